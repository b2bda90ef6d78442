module @step_clear {
  func.func @main(
    %trainable.1: tensor<72xf32> {tf.aliasing_output = 0 : i32},
    %trainable.4: tensor<6xf32> {tf.aliasing_output = 1 : i32}
  ) -> (tensor<72xf32>, tensor<6xf32>) {
    %zero_0.0 = stablehlo.constant dense<0.0e+00> : tensor<2xf32> loc(#call0)
    %zero_1.0 = stablehlo.constant dense<0.0e+00> : tensor<72xf32> loc(#call1)
    %result.0 = stablehlo.slice %trainable.4 [2:6] : (tensor<6xf32>) -> tensor<4xf32>
    %result.1 = stablehlo.concatenate %zero_0.0, %result.0, dim = 0 : (tensor<2xf32>, tensor<4xf32>) -> tensor<6xf32>
    return %zero_1.0, %result.1 : tensor<72xf32>, tensor<6xf32>
  }
}
#call0 = loc("clear/zero.0")
#call1 = loc("clear/zero.1")
