module @step_micro {
  func.func @main(
    %staging.0: tensor<27xi32>,
    %trainable.1: tensor<72xf32> {tf.aliasing_output = 0 : i32},
    %staging.1: tensor<8xf32>,
    %frozen.0: tensor<16x8xf32>,
    %frozen.8: tensor<8xf32>,
    %frozen.1: tensor<8x8xf32>,
    %staging.2: tensor<4xui32>,
    %trainable.0: tensor<72xf32>,
    %frozen.2: tensor<4x8xf32>,
    %frozen.3: tensor<4x8xf32>,
    %frozen.4: tensor<8x8xf32>,
    %frozen.9: tensor<8xf32>,
    %frozen.5: tensor<12x8xf32>,
    %frozen.6: tensor<12x8xf32>,
    %frozen.7: tensor<8x12xf32>,
    %frozen.10: tensor<8xf32>,
    %trainable.4: tensor<6xf32> {tf.aliasing_output = 1 : i32}
  ) -> (tensor<72xf32>, tensor<6xf32>) {
    %order_0.0 = stablehlo.slice %staging.0 [0:8] : (tensor<27xi32>) -> tensor<8xi32> loc(#call0)
    %order_0.1 = stablehlo.slice %trainable.1 [0:1] : (tensor<72xf32>) -> tensor<1xf32> loc(#call0)
    %order_0.2 = stablehlo.reshape %order_0.1 : (tensor<1xf32>) -> tensor<f32> loc(#call0)
    %order_0.3 = stablehlo.constant dense<0.0e+00> : tensor<f32> loc(#call0)
    %order_0.4 = stablehlo.multiply %order_0.2, %order_0.3 : tensor<f32> loc(#call0)
    %order_0.5 = stablehlo.convert %order_0.4 : (tensor<f32>) -> tensor<i32> loc(#call0)
    %order_0.6 = stablehlo.broadcast_in_dim %order_0.5, dims = [] : (tensor<i32>) -> tensor<8xi32> loc(#call0)
    %order_0.7 = stablehlo.add %order_0.0, %order_0.6 : tensor<8xi32> loc(#call0)
    %rope_table_1.0 = stablehlo.slice %staging.0 [8:16] : (tensor<27xi32>) -> tensor<8xi32> loc(#call1)
    %rope_table_1.1 = stablehlo.convert %rope_table_1.0 : (tensor<8xi32>) -> tensor<8xf32> loc(#call1)
    %rope_table_1.2 = stablehlo.broadcast_in_dim %rope_table_1.1, dims = [0] : (tensor<8xf32>) -> tensor<8x2xf32> loc(#call1)
    %rope_table_1.3 = stablehlo.slice %staging.1 [2:4] : (tensor<8xf32>) -> tensor<2xf32> loc(#call1)
    %rope_table_1.4 = stablehlo.broadcast_in_dim %rope_table_1.3, dims = [1] : (tensor<2xf32>) -> tensor<8x2xf32> loc(#call1)
    %rope_table_1.5 = stablehlo.multiply %rope_table_1.2, %rope_table_1.4 : tensor<8x2xf32> loc(#call1)
    %rope_table_1.6 = stablehlo.convert %rope_table_1.5 : (tensor<8x2xf32>) -> tensor<8x2xf64> loc(#call1)
    %rope_table_1.7 = stablehlo.cosine %rope_table_1.6 : tensor<8x2xf64> loc(#call1)
    %rope_table_1.8 = stablehlo.sine %rope_table_1.6 : tensor<8x2xf64> loc(#call1)
    %rope_table_1.9 = stablehlo.concatenate %rope_table_1.7, %rope_table_1.8, dim = 1 : (tensor<8x2xf64>, tensor<8x2xf64>) -> tensor<8x4xf64> loc(#call1)
    %rope_table_1.10 = stablehlo.convert %rope_table_1.9 : (tensor<8x4xf64>) -> tensor<8x4xf32> loc(#call1)
    %embedding_2.0 = "stablehlo.gather"(%frozen.0, %order_0.7) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1, 8>}> : (tensor<16x8xf32>, tensor<8xi32>) -> tensor<8x8xf32> loc(#call2)
    %rms_norm_3.0 = stablehlo.multiply %embedding_2.0, %embedding_2.0 : tensor<8x8xf32> loc(#call3)
    %rms_norm_3.1 = stablehlo.reduce(%rms_norm_3.0 init: %order_0.3) applies stablehlo.add across dimensions = [1] : (tensor<8x8xf32>, tensor<f32>) -> tensor<8xf32> loc(#call3)
    %rms_norm_3.2 = stablehlo.constant dense<1.25e-01> : tensor<8xf32> loc(#call3)
    %rms_norm_3.3 = stablehlo.multiply %rms_norm_3.1, %rms_norm_3.2 : tensor<8xf32> loc(#call3)
    %rms_norm_3.4 = stablehlo.constant dense<1.0e+00> : tensor<8xf32> loc(#call3)
    %rms_norm_3.5 = stablehlo.constant dense<1.0e-05> : tensor<8xf32> loc(#call3)
    %rms_norm_3.6 = stablehlo.add %rms_norm_3.3, %rms_norm_3.5 : tensor<8xf32> loc(#call3)
    %rms_norm_3.7 = stablehlo.sqrt %rms_norm_3.6 : tensor<8xf32> loc(#call3)
    %rms_norm_3.8 = stablehlo.divide %rms_norm_3.4, %rms_norm_3.7 : tensor<8xf32> loc(#call3)
    %rms_norm_3.9 = stablehlo.broadcast_in_dim %rms_norm_3.8, dims = [0] : (tensor<8xf32>) -> tensor<8x8xf32> loc(#call3)
    %rms_norm_3.10 = stablehlo.multiply %embedding_2.0, %rms_norm_3.9 : tensor<8x8xf32> loc(#call3)
    %rms_norm_3.11 = stablehlo.broadcast_in_dim %frozen.8, dims = [1] : (tensor<8xf32>) -> tensor<8x8xf32> loc(#call3)
    %rms_norm_3.12 = stablehlo.multiply %rms_norm_3.10, %rms_norm_3.11 : tensor<8x8xf32> loc(#call3)
    %linear_4.0 = stablehlo.slice %rms_norm_3.12 [0:1, 0:8] : (tensor<8x8xf32>) -> tensor<1x8xf32> loc(#call4)
    %linear_4.1 = stablehlo.slice %linear_4.0 [0:1, 0:1] : (tensor<1x8xf32>) -> tensor<1x1xf32> loc(#call4)
    %linear_4.2 = stablehlo.reshape %linear_4.1 : (tensor<1x1xf32>) -> tensor<f32> loc(#call4)
    %linear_4.3 = stablehlo.multiply %linear_4.2, %order_0.3 : tensor<f32> loc(#call4)
    %linear_4.4 = stablehlo.convert %linear_4.3 : (tensor<f32>) -> tensor<ui32> loc(#call4)
    %linear_4.5 = stablehlo.broadcast_in_dim %linear_4.4, dims = [] : (tensor<ui32>) -> tensor<4xui32> loc(#call4)
    %linear_4.6 = stablehlo.add %staging.2, %linear_4.5 : tensor<4xui32> loc(#call4)
    %linear_4.7 = stablehlo.constant dense<0> : tensor<ui32> loc(#call4)
    %linear_4.8 = func.call @philox_64(%linear_4.6, %linear_4.7) : (tensor<4xui32>, tensor<ui32>) -> tensor<64xui32> loc(#call4)
    %linear_4.9 = stablehlo.reshape %linear_4.8 : (tensor<64xui32>) -> tensor<8x8xui32> loc(#call4)
    %linear_4.10 = stablehlo.constant dense<429496729> : tensor<8x8xui32> loc(#call4)
    %linear_4.11 = stablehlo.compare GE, %linear_4.9, %linear_4.10 : (tensor<8x8xui32>, tensor<8x8xui32>) -> tensor<8x8xi1> loc(#call4)
    %linear_4.12 = stablehlo.constant dense<1.1111112e+00> : tensor<8x8xf32> loc(#call4)
    %linear_4.13 = stablehlo.multiply %rms_norm_3.12, %linear_4.12 : tensor<8x8xf32> loc(#call4)
    %linear_4.14 = stablehlo.constant dense<0.0e+00> : tensor<8x8xf32> loc(#call4)
    %linear_4.15 = stablehlo.select %linear_4.11, %linear_4.13, %linear_4.14 : tensor<8x8xi1>, tensor<8x8xf32> loc(#call4)
    %linear_4.16 = stablehlo.slice %trainable.0 [0:16] : (tensor<72xf32>) -> tensor<16xf32> loc(#call4)
    %linear_4.17 = stablehlo.reshape %linear_4.16 : (tensor<16xf32>) -> tensor<2x8xf32> loc(#call4)
    %linear_4.18 = stablehlo.dot_general %linear_4.15, %linear_4.17, contracting_dims = [1] x [1] : (tensor<8x8xf32>, tensor<2x8xf32>) -> tensor<8x2xf32> loc(#call4)
    %linear_4.19 = stablehlo.constant dense<2.0e+00> : tensor<8x2xf32> loc(#call4)
    %linear_4.20 = stablehlo.multiply %linear_4.18, %linear_4.19 : tensor<8x2xf32> loc(#call4)
    %linear_4.21 = stablehlo.slice %trainable.0 [16:32] : (tensor<72xf32>) -> tensor<16xf32> loc(#call4)
    %linear_4.22 = stablehlo.reshape %linear_4.21 : (tensor<16xf32>) -> tensor<8x2xf32> loc(#call4)
    %linear_4.23 = stablehlo.concatenate %rms_norm_3.12, %linear_4.20, dim = 1 : (tensor<8x8xf32>, tensor<8x2xf32>) -> tensor<8x10xf32> loc(#call4)
    %linear_4.24 = stablehlo.concatenate %frozen.1, %linear_4.22, dim = 1 : (tensor<8x8xf32>, tensor<8x2xf32>) -> tensor<8x10xf32> loc(#call4)
    %linear_4.25 = stablehlo.dot_general %linear_4.23, %linear_4.24, contracting_dims = [1] x [1] : (tensor<8x10xf32>, tensor<8x10xf32>) -> tensor<8x8xf32> loc(#call4)
    %linear_5.0 = stablehlo.dot_general %rms_norm_3.12, %frozen.2, contracting_dims = [1] x [1] : (tensor<8x8xf32>, tensor<4x8xf32>) -> tensor<8x4xf32> loc(#call5)
    %linear_6.0 = stablehlo.dot_general %rms_norm_3.12, %frozen.3, contracting_dims = [1] x [1] : (tensor<8x8xf32>, tensor<4x8xf32>) -> tensor<8x4xf32> loc(#call6)
    %rope_7.0 = stablehlo.slice %rope_table_1.10 [0:8, 0:2] : (tensor<8x4xf32>) -> tensor<8x2xf32> loc(#call7)
    %rope_7.1 = stablehlo.broadcast_in_dim %rope_7.0, dims = [0, 2] : (tensor<8x2xf32>) -> tensor<8x2x2xf32> loc(#call7)
    %rope_7.2 = stablehlo.slice %rope_table_1.10 [0:8, 2:4] : (tensor<8x4xf32>) -> tensor<8x2xf32> loc(#call7)
    %rope_7.3 = stablehlo.broadcast_in_dim %rope_7.2, dims = [0, 2] : (tensor<8x2xf32>) -> tensor<8x2x2xf32> loc(#call7)
    %rope_7.4 = stablehlo.reshape %linear_4.25 : (tensor<8x8xf32>) -> tensor<8x2x4xf32> loc(#call7)
    %rope_7.5 = stablehlo.slice %rope_7.4 [0:8, 0:2, 0:2] : (tensor<8x2x4xf32>) -> tensor<8x2x2xf32> loc(#call7)
    %rope_7.6 = stablehlo.slice %rope_7.4 [0:8, 0:2, 2:4] : (tensor<8x2x4xf32>) -> tensor<8x2x2xf32> loc(#call7)
    %rope_7.7 = stablehlo.multiply %rope_7.5, %rope_7.1 : tensor<8x2x2xf32> loc(#call7)
    %rope_7.8 = stablehlo.multiply %rope_7.6, %rope_7.3 : tensor<8x2x2xf32> loc(#call7)
    %rope_7.9 = stablehlo.subtract %rope_7.7, %rope_7.8 : tensor<8x2x2xf32> loc(#call7)
    %rope_7.10 = stablehlo.multiply %rope_7.6, %rope_7.1 : tensor<8x2x2xf32> loc(#call7)
    %rope_7.11 = stablehlo.multiply %rope_7.5, %rope_7.3 : tensor<8x2x2xf32> loc(#call7)
    %rope_7.12 = stablehlo.add %rope_7.10, %rope_7.11 : tensor<8x2x2xf32> loc(#call7)
    %rope_7.13 = stablehlo.concatenate %rope_7.9, %rope_7.12, dim = 2 : (tensor<8x2x2xf32>, tensor<8x2x2xf32>) -> tensor<8x2x4xf32> loc(#call7)
    %rope_7.14 = stablehlo.reshape %rope_7.13 : (tensor<8x2x4xf32>) -> tensor<8x8xf32> loc(#call7)
    %rope_8.0 = stablehlo.slice %rope_table_1.10 [0:8, 0:2] : (tensor<8x4xf32>) -> tensor<8x2xf32> loc(#call8)
    %rope_8.1 = stablehlo.broadcast_in_dim %rope_8.0, dims = [0, 2] : (tensor<8x2xf32>) -> tensor<8x1x2xf32> loc(#call8)
    %rope_8.2 = stablehlo.slice %rope_table_1.10 [0:8, 2:4] : (tensor<8x4xf32>) -> tensor<8x2xf32> loc(#call8)
    %rope_8.3 = stablehlo.broadcast_in_dim %rope_8.2, dims = [0, 2] : (tensor<8x2xf32>) -> tensor<8x1x2xf32> loc(#call8)
    %rope_8.4 = stablehlo.reshape %linear_5.0 : (tensor<8x4xf32>) -> tensor<8x1x4xf32> loc(#call8)
    %rope_8.5 = stablehlo.slice %rope_8.4 [0:8, 0:1, 0:2] : (tensor<8x1x4xf32>) -> tensor<8x1x2xf32> loc(#call8)
    %rope_8.6 = stablehlo.slice %rope_8.4 [0:8, 0:1, 2:4] : (tensor<8x1x4xf32>) -> tensor<8x1x2xf32> loc(#call8)
    %rope_8.7 = stablehlo.multiply %rope_8.5, %rope_8.1 : tensor<8x1x2xf32> loc(#call8)
    %rope_8.8 = stablehlo.multiply %rope_8.6, %rope_8.3 : tensor<8x1x2xf32> loc(#call8)
    %rope_8.9 = stablehlo.subtract %rope_8.7, %rope_8.8 : tensor<8x1x2xf32> loc(#call8)
    %rope_8.10 = stablehlo.multiply %rope_8.6, %rope_8.1 : tensor<8x1x2xf32> loc(#call8)
    %rope_8.11 = stablehlo.multiply %rope_8.5, %rope_8.3 : tensor<8x1x2xf32> loc(#call8)
    %rope_8.12 = stablehlo.add %rope_8.10, %rope_8.11 : tensor<8x1x2xf32> loc(#call8)
    %rope_8.13 = stablehlo.concatenate %rope_8.9, %rope_8.12, dim = 2 : (tensor<8x1x2xf32>, tensor<8x1x2xf32>) -> tensor<8x1x4xf32> loc(#call8)
    %rope_8.14 = stablehlo.reshape %rope_8.13 : (tensor<8x1x4xf32>) -> tensor<8x4xf32> loc(#call8)
    %attention_9.0 = stablehlo.reshape %rope_7.14 : (tensor<8x8xf32>) -> tensor<8x1x2x4xf32> loc(#call9)
    %attention_9.1 = stablehlo.transpose %attention_9.0, dims = [1, 0, 2, 3] : (tensor<8x1x2x4xf32>) -> tensor<1x8x2x4xf32> loc(#call9)
    %attention_9.2 = stablehlo.reshape %attention_9.1 : (tensor<1x8x2x4xf32>) -> tensor<1x16x4xf32> loc(#call9)
    %attention_9.3 = stablehlo.reshape %rope_8.14 : (tensor<8x4xf32>) -> tensor<8x1x4xf32> loc(#call9)
    %attention_9.4 = stablehlo.transpose %attention_9.3, dims = [1, 0, 2] : (tensor<8x1x4xf32>) -> tensor<1x8x4xf32> loc(#call9)
    %attention_9.5 = stablehlo.reshape %linear_6.0 : (tensor<8x4xf32>) -> tensor<8x1x4xf32> loc(#call9)
    %attention_9.6 = stablehlo.transpose %attention_9.5, dims = [1, 0, 2] : (tensor<8x1x4xf32>) -> tensor<1x8x4xf32> loc(#call9)
    %attention_9.7 = stablehlo.dot_general %attention_9.2, %attention_9.4, batching_dims = [0] x [0], contracting_dims = [2] x [2] : (tensor<1x16x4xf32>, tensor<1x8x4xf32>) -> tensor<1x16x8xf32> loc(#call9)
    %attention_9.8 = stablehlo.constant dense<5.0e-01> : tensor<1x16x8xf32> loc(#call9)
    %attention_9.9 = stablehlo.multiply %attention_9.7, %attention_9.8 : tensor<1x16x8xf32> loc(#call9)
    %attention_9.10 = stablehlo.slice %staging.0 [16:19] : (tensor<27xi32>) -> tensor<3xi32> loc(#call9)
    %attention_9.11 = stablehlo.iota dim = 0 : tensor<8xi32> loc(#call9)
    %attention_9.12 = stablehlo.broadcast_in_dim %attention_9.11, dims = [0] : (tensor<8xi32>) -> tensor<8x2xi32> loc(#call9)
    %attention_9.13 = stablehlo.slice %attention_9.10 [1:3] : (tensor<3xi32>) -> tensor<2xi32> loc(#call9)
    %attention_9.14 = stablehlo.broadcast_in_dim %attention_9.13, dims = [1] : (tensor<2xi32>) -> tensor<8x2xi32> loc(#call9)
    %attention_9.15 = stablehlo.compare GE, %attention_9.12, %attention_9.14 : (tensor<8x2xi32>, tensor<8x2xi32>) -> tensor<8x2xi1> loc(#call9)
    %attention_9.16 = stablehlo.convert %attention_9.15 : (tensor<8x2xi1>) -> tensor<8x2xi32> loc(#call9)
    %attention_9.17 = stablehlo.constant dense<0> : tensor<i32> loc(#call9)
    %attention_9.18 = stablehlo.reduce(%attention_9.16 init: %attention_9.17) applies stablehlo.add across dimensions = [1] : (tensor<8x2xi32>, tensor<i32>) -> tensor<8xi32> loc(#call9)
    %attention_9.19 = stablehlo.slice %attention_9.10 [0:2] : (tensor<3xi32>) -> tensor<2xi32> loc(#call9)
    %attention_9.20 = "stablehlo.gather"(%attention_9.19, %attention_9.18) <{dimension_numbers = #stablehlo.gather<offset_dims = [], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1>}> : (tensor<2xi32>, tensor<8xi32>) -> tensor<8xi32> loc(#call9)
    %attention_9.21 = stablehlo.slice %attention_9.10 [1:3] : (tensor<3xi32>) -> tensor<2xi32> loc(#call9)
    %attention_9.22 = "stablehlo.gather"(%attention_9.21, %attention_9.18) <{dimension_numbers = #stablehlo.gather<offset_dims = [], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1>}> : (tensor<2xi32>, tensor<8xi32>) -> tensor<8xi32> loc(#call9)
    %attention_9.23 = stablehlo.subtract %attention_9.22, %attention_9.20 : tensor<8xi32> loc(#call9)
    %attention_9.24 = stablehlo.subtract %attention_9.22, %attention_9.11 : tensor<8xi32> loc(#call9)
    %attention_9.25 = stablehlo.subtract %attention_9.23, %attention_9.24 : tensor<8xi32> loc(#call9)
    %attention_9.26 = stablehlo.add %attention_9.20, %attention_9.25 : tensor<8xi32> loc(#call9)
    %attention_9.27 = stablehlo.constant dense<1> : tensor<8xi32> loc(#call9)
    %attention_9.28 = stablehlo.add %attention_9.20, %attention_9.23 : tensor<8xi32> loc(#call9)
    %attention_9.29 = stablehlo.add %attention_9.26, %attention_9.27 : tensor<8xi32> loc(#call9)
    %attention_9.30 = stablehlo.iota dim = 2 : tensor<1x8x8xi32> loc(#call9)
    %attention_9.31 = stablehlo.iota dim = 0 : tensor<1x8x8xi32> loc(#call9)
    %attention_9.32 = stablehlo.constant dense<8> : tensor<1x8x8xi32> loc(#call9)
    %attention_9.33 = stablehlo.multiply %attention_9.31, %attention_9.32 : tensor<1x8x8xi32> loc(#call9)
    %attention_9.34 = stablehlo.add %attention_9.30, %attention_9.33 : tensor<1x8x8xi32> loc(#call9)
    %attention_9.35 = stablehlo.constant dense<0> : tensor<1x8x8xi32> loc(#call9)
    %attention_9.36 = stablehlo.add %attention_9.34, %attention_9.35 : tensor<1x8x8xi32> loc(#call9)
    %attention_9.37 = stablehlo.reshape %attention_9.20 : (tensor<8xi32>) -> tensor<1x8xi32> loc(#call9)
    %attention_9.38 = stablehlo.broadcast_in_dim %attention_9.37, dims = [0, 1] : (tensor<1x8xi32>) -> tensor<1x8x8xi32> loc(#call9)
    %attention_9.39 = stablehlo.compare GE, %attention_9.36, %attention_9.38 : (tensor<1x8x8xi32>, tensor<1x8x8xi32>) -> tensor<1x8x8xi1> loc(#call9)
    %attention_9.40 = stablehlo.reshape %attention_9.29 : (tensor<8xi32>) -> tensor<1x8xi32> loc(#call9)
    %attention_9.41 = stablehlo.broadcast_in_dim %attention_9.40, dims = [0, 1] : (tensor<1x8xi32>) -> tensor<1x8x8xi32> loc(#call9)
    %attention_9.42 = stablehlo.compare LT, %attention_9.36, %attention_9.41 : (tensor<1x8x8xi32>, tensor<1x8x8xi32>) -> tensor<1x8x8xi1> loc(#call9)
    %attention_9.43 = stablehlo.and %attention_9.39, %attention_9.42 : tensor<1x8x8xi1> loc(#call9)
    %attention_9.44 = stablehlo.reshape %attention_9.9 : (tensor<1x16x8xf32>) -> tensor<1x1x8x2x8xf32> loc(#call9)
    %attention_9.45 = stablehlo.broadcast_in_dim %attention_9.43, dims = [1, 2, 4] : (tensor<1x8x8xi1>) -> tensor<1x1x8x2x8xi1> loc(#call9)
    %attention_9.46 = stablehlo.constant dense<0xFF800000> : tensor<1x1x8x2x8xf32> loc(#call9)
    %attention_9.47 = stablehlo.select %attention_9.45, %attention_9.44, %attention_9.46 : tensor<1x1x8x2x8xi1>, tensor<1x1x8x2x8xf32> loc(#call9)
    %attention_9.48 = stablehlo.reshape %attention_9.47 : (tensor<1x1x8x2x8xf32>) -> tensor<1x16x8xf32> loc(#call9)
    %attention_9.49 = stablehlo.constant dense<0xFF800000> : tensor<f32> loc(#call9)
    %attention_9.50 = stablehlo.reduce(%attention_9.48 init: %attention_9.49) applies stablehlo.maximum across dimensions = [2] : (tensor<1x16x8xf32>, tensor<f32>) -> tensor<1x16xf32> loc(#call9)
    %attention_9.51 = stablehlo.broadcast_in_dim %attention_9.50, dims = [0, 1] : (tensor<1x16xf32>) -> tensor<1x16x8xf32> loc(#call9)
    %attention_9.52 = stablehlo.subtract %attention_9.48, %attention_9.51 : tensor<1x16x8xf32> loc(#call9)
    %attention_9.53 = stablehlo.exponential %attention_9.52 : tensor<1x16x8xf32> loc(#call9)
    %attention_9.54 = stablehlo.reduce(%attention_9.53 init: %order_0.3) applies stablehlo.add across dimensions = [2] : (tensor<1x16x8xf32>, tensor<f32>) -> tensor<1x16xf32> loc(#call9)
    %attention_9.55 = stablehlo.dot_general %attention_9.53, %attention_9.6, batching_dims = [0] x [0], contracting_dims = [2] x [1] : (tensor<1x16x8xf32>, tensor<1x8x4xf32>) -> tensor<1x16x4xf32> loc(#call9)
    %attention_9.56 = stablehlo.broadcast_in_dim %attention_9.54, dims = [0, 1] : (tensor<1x16xf32>) -> tensor<1x16x4xf32> loc(#call9)
    %attention_9.57 = stablehlo.divide %attention_9.55, %attention_9.56 : tensor<1x16x4xf32> loc(#call9)
    %attention_9.58 = stablehlo.log %attention_9.54 : tensor<1x16xf32> loc(#call9)
    %attention_9.59 = stablehlo.add %attention_9.50, %attention_9.58 : tensor<1x16xf32> loc(#call9)
    %attention_9.60 = stablehlo.reshape %attention_9.59 : (tensor<1x16xf32>) -> tensor<1x16x1xf32> loc(#call9)
    %attention_9.61 = stablehlo.reshape %attention_9.57 : (tensor<1x16x4xf32>) -> tensor<1x8x2x4xf32> loc(#call9)
    %attention_9.62 = stablehlo.transpose %attention_9.61, dims = [1, 0, 2, 3] : (tensor<1x8x2x4xf32>) -> tensor<8x1x2x4xf32> loc(#call9)
    %attention_9.63 = stablehlo.reshape %attention_9.62 : (tensor<8x1x2x4xf32>) -> tensor<8x8xf32> loc(#call9)
    %attention_9.64 = stablehlo.reshape %attention_9.60 : (tensor<1x16x1xf32>) -> tensor<1x8x2x1xf32> loc(#call9)
    %attention_9.65 = stablehlo.transpose %attention_9.64, dims = [1, 0, 2, 3] : (tensor<1x8x2x1xf32>) -> tensor<8x1x2x1xf32> loc(#call9)
    %attention_9.66 = stablehlo.reshape %attention_9.65 : (tensor<8x1x2x1xf32>) -> tensor<8x2xf32> loc(#call9)
    %linear_10.0 = stablehlo.dot_general %attention_9.63, %frozen.4, contracting_dims = [1] x [1] : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32> loc(#call10)
    %rms_norm_11.0 = stablehlo.add %embedding_2.0, %linear_10.0 : tensor<8x8xf32> loc(#call11)
    %rms_norm_11.1 = stablehlo.multiply %rms_norm_11.0, %rms_norm_11.0 : tensor<8x8xf32> loc(#call11)
    %rms_norm_11.2 = stablehlo.reduce(%rms_norm_11.1 init: %order_0.3) applies stablehlo.add across dimensions = [1] : (tensor<8x8xf32>, tensor<f32>) -> tensor<8xf32> loc(#call11)
    %rms_norm_11.3 = stablehlo.multiply %rms_norm_11.2, %rms_norm_3.2 : tensor<8xf32> loc(#call11)
    %rms_norm_11.4 = stablehlo.add %rms_norm_11.3, %rms_norm_3.5 : tensor<8xf32> loc(#call11)
    %rms_norm_11.5 = stablehlo.sqrt %rms_norm_11.4 : tensor<8xf32> loc(#call11)
    %rms_norm_11.6 = stablehlo.divide %rms_norm_3.4, %rms_norm_11.5 : tensor<8xf32> loc(#call11)
    %rms_norm_11.7 = stablehlo.broadcast_in_dim %rms_norm_11.6, dims = [0] : (tensor<8xf32>) -> tensor<8x8xf32> loc(#call11)
    %rms_norm_11.8 = stablehlo.multiply %rms_norm_11.0, %rms_norm_11.7 : tensor<8x8xf32> loc(#call11)
    %rms_norm_11.9 = stablehlo.broadcast_in_dim %frozen.9, dims = [1] : (tensor<8xf32>) -> tensor<8x8xf32> loc(#call11)
    %rms_norm_11.10 = stablehlo.multiply %rms_norm_11.8, %rms_norm_11.9 : tensor<8x8xf32> loc(#call11)
    %linear_12.0 = stablehlo.dot_general %rms_norm_11.10, %frozen.5, contracting_dims = [1] x [1] : (tensor<8x8xf32>, tensor<12x8xf32>) -> tensor<8x12xf32> loc(#call12)
    %linear_13.0 = stablehlo.dot_general %rms_norm_11.10, %frozen.6, contracting_dims = [1] x [1] : (tensor<8x8xf32>, tensor<12x8xf32>) -> tensor<8x12xf32> loc(#call13)
    %swiglu_14.0 = stablehlo.logistic %linear_12.0 : tensor<8x12xf32> loc(#call14)
    %swiglu_14.1 = stablehlo.multiply %linear_12.0, %swiglu_14.0 : tensor<8x12xf32> loc(#call14)
    %swiglu_14.2 = stablehlo.multiply %swiglu_14.1, %linear_13.0 : tensor<8x12xf32> loc(#call14)
    %linear_15.0 = stablehlo.slice %swiglu_14.2 [0:1, 0:12] : (tensor<8x12xf32>) -> tensor<1x12xf32> loc(#call15)
    %linear_15.1 = stablehlo.slice %linear_15.0 [0:1, 0:1] : (tensor<1x12xf32>) -> tensor<1x1xf32> loc(#call15)
    %linear_15.2 = stablehlo.reshape %linear_15.1 : (tensor<1x1xf32>) -> tensor<f32> loc(#call15)
    %linear_15.3 = stablehlo.multiply %linear_15.2, %order_0.3 : tensor<f32> loc(#call15)
    %linear_15.4 = stablehlo.convert %linear_15.3 : (tensor<f32>) -> tensor<ui32> loc(#call15)
    %linear_15.5 = stablehlo.broadcast_in_dim %linear_15.4, dims = [] : (tensor<ui32>) -> tensor<4xui32> loc(#call15)
    %linear_15.6 = stablehlo.add %staging.2, %linear_15.5 : tensor<4xui32> loc(#call15)
    %linear_15.7 = stablehlo.constant dense<1> : tensor<ui32> loc(#call15)
    %linear_15.8 = func.call @philox_96(%linear_15.6, %linear_15.7) : (tensor<4xui32>, tensor<ui32>) -> tensor<96xui32> loc(#call15)
    %linear_15.9 = stablehlo.reshape %linear_15.8 : (tensor<96xui32>) -> tensor<8x12xui32> loc(#call15)
    %linear_15.10 = stablehlo.constant dense<429496729> : tensor<8x12xui32> loc(#call15)
    %linear_15.11 = stablehlo.compare GE, %linear_15.9, %linear_15.10 : (tensor<8x12xui32>, tensor<8x12xui32>) -> tensor<8x12xi1> loc(#call15)
    %linear_15.12 = stablehlo.constant dense<1.1111112e+00> : tensor<8x12xf32> loc(#call15)
    %linear_15.13 = stablehlo.multiply %swiglu_14.2, %linear_15.12 : tensor<8x12xf32> loc(#call15)
    %linear_15.14 = stablehlo.constant dense<0.0e+00> : tensor<8x12xf32> loc(#call15)
    %linear_15.15 = stablehlo.select %linear_15.11, %linear_15.13, %linear_15.14 : tensor<8x12xi1>, tensor<8x12xf32> loc(#call15)
    %linear_15.16 = stablehlo.slice %trainable.0 [32:56] : (tensor<72xf32>) -> tensor<24xf32> loc(#call15)
    %linear_15.17 = stablehlo.reshape %linear_15.16 : (tensor<24xf32>) -> tensor<2x12xf32> loc(#call15)
    %linear_15.18 = stablehlo.dot_general %linear_15.15, %linear_15.17, contracting_dims = [1] x [1] : (tensor<8x12xf32>, tensor<2x12xf32>) -> tensor<8x2xf32> loc(#call15)
    %linear_15.19 = stablehlo.multiply %linear_15.18, %linear_4.19 : tensor<8x2xf32> loc(#call15)
    %linear_15.20 = stablehlo.slice %trainable.0 [56:72] : (tensor<72xf32>) -> tensor<16xf32> loc(#call15)
    %linear_15.21 = stablehlo.reshape %linear_15.20 : (tensor<16xf32>) -> tensor<8x2xf32> loc(#call15)
    %linear_15.22 = stablehlo.concatenate %swiglu_14.2, %linear_15.19, dim = 1 : (tensor<8x12xf32>, tensor<8x2xf32>) -> tensor<8x14xf32> loc(#call15)
    %linear_15.23 = stablehlo.concatenate %frozen.7, %linear_15.21, dim = 1 : (tensor<8x12xf32>, tensor<8x2xf32>) -> tensor<8x14xf32> loc(#call15)
    %linear_15.24 = stablehlo.dot_general %linear_15.22, %linear_15.23, contracting_dims = [1] x [1] : (tensor<8x14xf32>, tensor<8x14xf32>) -> tensor<8x8xf32> loc(#call15)
    %add_16.0 = stablehlo.add %rms_norm_11.0, %linear_15.24 : tensor<8x8xf32> loc(#call16)
    %rms_norm_17.0 = stablehlo.multiply %add_16.0, %add_16.0 : tensor<8x8xf32> loc(#call17)
    %rms_norm_17.1 = stablehlo.reduce(%rms_norm_17.0 init: %order_0.3) applies stablehlo.add across dimensions = [1] : (tensor<8x8xf32>, tensor<f32>) -> tensor<8xf32> loc(#call17)
    %rms_norm_17.2 = stablehlo.multiply %rms_norm_17.1, %rms_norm_3.2 : tensor<8xf32> loc(#call17)
    %rms_norm_17.3 = stablehlo.add %rms_norm_17.2, %rms_norm_3.5 : tensor<8xf32> loc(#call17)
    %rms_norm_17.4 = stablehlo.sqrt %rms_norm_17.3 : tensor<8xf32> loc(#call17)
    %rms_norm_17.5 = stablehlo.divide %rms_norm_3.4, %rms_norm_17.4 : tensor<8xf32> loc(#call17)
    %rms_norm_17.6 = stablehlo.broadcast_in_dim %rms_norm_17.5, dims = [0] : (tensor<8xf32>) -> tensor<8x8xf32> loc(#call17)
    %rms_norm_17.7 = stablehlo.multiply %add_16.0, %rms_norm_17.6 : tensor<8x8xf32> loc(#call17)
    %rms_norm_17.8 = stablehlo.broadcast_in_dim %frozen.10, dims = [1] : (tensor<8xf32>) -> tensor<8x8xf32> loc(#call17)
    %rms_norm_17.9 = stablehlo.multiply %rms_norm_17.7, %rms_norm_17.8 : tensor<8x8xf32> loc(#call17)
    %linear_cross_entropy_18.0 = stablehlo.slice %staging.0 [19:23] : (tensor<27xi32>) -> tensor<4xi32> loc(#call18)
    %linear_cross_entropy_18.1 = stablehlo.slice %staging.0 [23:27] : (tensor<27xi32>) -> tensor<4xi32> loc(#call18)
    %linear_cross_entropy_18.2 = stablehlo.slice %staging.1 [4:8] : (tensor<8xf32>) -> tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.3 = stablehlo.slice %staging.1 [0:1] : (tensor<8xf32>) -> tensor<1xf32> loc(#call18)
    %linear_cross_entropy_18.4 = stablehlo.reshape %linear_cross_entropy_18.3 : (tensor<1xf32>) -> tensor<f32> loc(#call18)
    %linear_cross_entropy_18.5 = stablehlo.broadcast_in_dim %linear_cross_entropy_18.4, dims = [] : (tensor<f32>) -> tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.6 = stablehlo.multiply %linear_cross_entropy_18.2, %linear_cross_entropy_18.5 : tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.7 = "stablehlo.gather"(%rms_norm_17.9, %linear_cross_entropy_18.0) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1, 8>}> : (tensor<8x8xf32>, tensor<4xi32>) -> tensor<4x8xf32> loc(#call18)
    %linear_cross_entropy_18.8 = stablehlo.multiply %order_0.3, %order_0.3 : tensor<f32> loc(#call18)
    %linear_cross_entropy_18.9 = stablehlo.broadcast_in_dim %linear_cross_entropy_18.8, dims = [] : (tensor<f32>) -> tensor<4x8xf32> loc(#call18)
    %linear_cross_entropy_18.10 = stablehlo.add %linear_cross_entropy_18.7, %linear_cross_entropy_18.9 : tensor<4x8xf32> loc(#call18)
    %linear_cross_entropy_18.11 = stablehlo.dot_general %frozen.0, %linear_cross_entropy_18.10, contracting_dims = [1] x [1] : (tensor<16x8xf32>, tensor<4x8xf32>) -> tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.12 = stablehlo.broadcast_in_dim %linear_cross_entropy_18.6, dims = [1] : (tensor<4xf32>) -> tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.13 = stablehlo.reduce(%linear_cross_entropy_18.11 init: %attention_9.49) applies stablehlo.maximum across dimensions = [0] : (tensor<16x4xf32>, tensor<f32>) -> tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.14 = stablehlo.broadcast_in_dim %linear_cross_entropy_18.13, dims = [1] : (tensor<4xf32>) -> tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.15 = stablehlo.subtract %linear_cross_entropy_18.11, %linear_cross_entropy_18.14 : tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.16 = stablehlo.exponential %linear_cross_entropy_18.15 : tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.17 = stablehlo.reduce(%linear_cross_entropy_18.16 init: %order_0.3) applies stablehlo.add across dimensions = [0] : (tensor<16x4xf32>, tensor<f32>) -> tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.18 = stablehlo.log %linear_cross_entropy_18.17 : tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.19 = stablehlo.add %linear_cross_entropy_18.13, %linear_cross_entropy_18.18 : tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.20 = stablehlo.constant dense<0> : tensor<4xi32> loc(#call18)
    %linear_cross_entropy_18.21 = stablehlo.constant dense<15> : tensor<4xi32> loc(#call18)
    %linear_cross_entropy_18.22 = stablehlo.clamp %linear_cross_entropy_18.20, %linear_cross_entropy_18.1, %linear_cross_entropy_18.21 : tensor<4xi32> loc(#call18)
    %linear_cross_entropy_18.23 = stablehlo.constant dense<4> : tensor<4xi32> loc(#call18)
    %linear_cross_entropy_18.24 = stablehlo.multiply %linear_cross_entropy_18.22, %linear_cross_entropy_18.23 : tensor<4xi32> loc(#call18)
    %linear_cross_entropy_18.25 = stablehlo.iota dim = 0 : tensor<4xi32> loc(#call18)
    %linear_cross_entropy_18.26 = stablehlo.add %linear_cross_entropy_18.24, %linear_cross_entropy_18.25 : tensor<4xi32> loc(#call18)
    %linear_cross_entropy_18.27 = stablehlo.reshape %linear_cross_entropy_18.11 : (tensor<16x4xf32>) -> tensor<64xf32> loc(#call18)
    %linear_cross_entropy_18.28 = "stablehlo.gather"(%linear_cross_entropy_18.27, %linear_cross_entropy_18.26) <{dimension_numbers = #stablehlo.gather<offset_dims = [], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1>}> : (tensor<64xf32>, tensor<4xi32>) -> tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.29 = stablehlo.subtract %linear_cross_entropy_18.19, %linear_cross_entropy_18.28 : tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.30 = stablehlo.iota dim = 0 : tensor<16x4xi32> loc(#call18)
    %linear_cross_entropy_18.31 = stablehlo.broadcast_in_dim %linear_cross_entropy_18.22, dims = [1] : (tensor<4xi32>) -> tensor<16x4xi32> loc(#call18)
    %linear_cross_entropy_18.32 = stablehlo.compare LT, %linear_cross_entropy_18.30, %linear_cross_entropy_18.31 : (tensor<16x4xi32>, tensor<16x4xi32>) -> tensor<16x4xi1> loc(#call18)
    %linear_cross_entropy_18.33 = stablehlo.broadcast_in_dim %linear_cross_entropy_18.13, dims = [1] : (tensor<4xf32>) -> tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.34 = stablehlo.compare GE, %linear_cross_entropy_18.11, %linear_cross_entropy_18.33 : (tensor<16x4xf32>, tensor<16x4xf32>) -> tensor<16x4xi1> loc(#call18)
    %linear_cross_entropy_18.35 = stablehlo.and %linear_cross_entropy_18.32, %linear_cross_entropy_18.34 : tensor<16x4xi1> loc(#call18)
    %linear_cross_entropy_18.36 = stablehlo.compare GE, %linear_cross_entropy_18.28, %linear_cross_entropy_18.13 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1> loc(#call18)
    %linear_cross_entropy_18.37 = stablehlo.constant dense<false> : tensor<i1> loc(#call18)
    %linear_cross_entropy_18.38 = stablehlo.reduce(%linear_cross_entropy_18.35 init: %linear_cross_entropy_18.37) applies stablehlo.or across dimensions = [0] : (tensor<16x4xi1>, tensor<i1>) -> tensor<4xi1> loc(#call18)
    %linear_cross_entropy_18.39 = stablehlo.not %linear_cross_entropy_18.38 : tensor<4xi1> loc(#call18)
    %linear_cross_entropy_18.40 = stablehlo.and %linear_cross_entropy_18.36, %linear_cross_entropy_18.39 : tensor<4xi1> loc(#call18)
    %linear_cross_entropy_18.41 = stablehlo.constant dense<1.0e+00> : tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.42 = stablehlo.divide %linear_cross_entropy_18.41, %linear_cross_entropy_18.17 : tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.43 = stablehlo.constant dense<0.0e+00> : tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.44 = stablehlo.broadcast_in_dim %linear_cross_entropy_18.22, dims = [1] : (tensor<4xi32>) -> tensor<16x4xi32> loc(#call18)
    %linear_cross_entropy_18.45 = stablehlo.compare EQ, %linear_cross_entropy_18.30, %linear_cross_entropy_18.44 : (tensor<16x4xi32>, tensor<16x4xi32>) -> tensor<16x4xi1> loc(#call18)
    %linear_cross_entropy_18.46 = stablehlo.broadcast_in_dim %linear_cross_entropy_18.42, dims = [1] : (tensor<4xf32>) -> tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.47 = stablehlo.multiply %linear_cross_entropy_18.16, %linear_cross_entropy_18.46 : tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.48 = stablehlo.constant dense<1.0e+00> : tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.49 = stablehlo.select %linear_cross_entropy_18.45, %linear_cross_entropy_18.48, %linear_cross_entropy_18.43 : tensor<16x4xi1>, tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.50 = stablehlo.subtract %linear_cross_entropy_18.47, %linear_cross_entropy_18.49 : tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.51 = stablehlo.multiply %linear_cross_entropy_18.12, %linear_cross_entropy_18.50 : tensor<16x4xf32> loc(#call18)
    %linear_cross_entropy_18.52 = stablehlo.multiply %linear_cross_entropy_18.29, %linear_cross_entropy_18.6 : tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.53 = stablehlo.reduce(%linear_cross_entropy_18.52 init: %order_0.3) applies stablehlo.add across dimensions = [0] : (tensor<4xf32>, tensor<f32>) -> tensor<f32> loc(#call18)
    %linear_cross_entropy_18.54 = stablehlo.add %order_0.3, %linear_cross_entropy_18.53 : tensor<f32> loc(#call18)
    %linear_cross_entropy_18.55 = stablehlo.constant dense<0.0e+00> : tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.56 = stablehlo.select %linear_cross_entropy_18.40, %linear_cross_entropy_18.2, %linear_cross_entropy_18.55 : tensor<4xi1>, tensor<4xf32> loc(#call18)
    %linear_cross_entropy_18.57 = stablehlo.reduce(%linear_cross_entropy_18.56 init: %order_0.3) applies stablehlo.add across dimensions = [0] : (tensor<4xf32>, tensor<f32>) -> tensor<f32> loc(#call18)
    %linear_cross_entropy_18.58 = stablehlo.add %order_0.3, %linear_cross_entropy_18.57 : tensor<f32> loc(#call18)
    %linear_cross_entropy_18.59 = stablehlo.dot_general %linear_cross_entropy_18.51, %frozen.0, contracting_dims = [0] x [0] : (tensor<16x4xf32>, tensor<16x8xf32>) -> tensor<4x8xf32> loc(#call18)
    %linear_cross_entropy_18.60 = stablehlo.reshape %linear_cross_entropy_18.54 : (tensor<f32>) -> tensor<1xf32> loc(#call18)
    %linear_cross_entropy_18.61 = stablehlo.reshape %linear_cross_entropy_18.58 : (tensor<f32>) -> tensor<1xf32> loc(#call18)
    %linear_cross_entropy_18.62 = stablehlo.concatenate %linear_cross_entropy_18.60, %linear_cross_entropy_18.61, dim = 0 : (tensor<1xf32>, tensor<1xf32>) -> tensor<2xf32> loc(#call18)
    %linear_cross_entropy_18.63 = stablehlo.slice %staging.0 [19:23] : (tensor<27xi32>) -> tensor<4xi32> loc(#call18)
    %linear_cross_entropy_18.64 = stablehlo.reshape %linear_cross_entropy_18.63 : (tensor<4xi32>) -> tensor<4x1xi32> loc(#call18)
    %linear_cross_entropy_18.65 = "stablehlo.scatter"(%linear_4.14, %linear_cross_entropy_18.64, %linear_cross_entropy_18.59) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>, indices_are_sorted = false, unique_indices = false}> ({
    ^bb0(%l: tensor<f32>, %r: tensor<f32>):
      %s = stablehlo.add %l, %r : tensor<f32>
      stablehlo.return %s : tensor<f32>
    }) : (tensor<8x8xf32>, tensor<4x1xi32>, tensor<4x8xf32>) -> tensor<8x8xf32> loc(#call18)
    %rms_norm_backward_19.0 = stablehlo.slice %linear_cross_entropy_18.65 [0:1, 0:8] : (tensor<8x8xf32>) -> tensor<1x8xf32> loc(#call19)
    %rms_norm_backward_19.1 = stablehlo.slice %rms_norm_backward_19.0 [0:1, 0:1] : (tensor<1x8xf32>) -> tensor<1x1xf32> loc(#call19)
    %rms_norm_backward_19.2 = stablehlo.reshape %rms_norm_backward_19.1 : (tensor<1x1xf32>) -> tensor<f32> loc(#call19)
    %rms_norm_backward_19.3 = stablehlo.multiply %rms_norm_backward_19.2, %order_0.3 : tensor<f32> loc(#call19)
    %rms_norm_backward_19.4 = stablehlo.broadcast_in_dim %rms_norm_backward_19.3, dims = [] : (tensor<f32>) -> tensor<8x8xf32> loc(#call19)
    %rms_norm_backward_19.5 = stablehlo.add %add_16.0, %rms_norm_backward_19.4 : tensor<8x8xf32> loc(#call19)
    %rms_norm_backward_19.6 = stablehlo.broadcast_in_dim %rms_norm_17.5, dims = [0] : (tensor<8xf32>) -> tensor<8x8xf32> loc(#call19)
    %rms_norm_backward_19.7 = stablehlo.multiply %rms_norm_backward_19.5, %rms_norm_backward_19.6 : tensor<8x8xf32> loc(#call19)
    %rms_norm_backward_19.8 = stablehlo.broadcast_in_dim %frozen.10, dims = [1] : (tensor<8xf32>) -> tensor<8x8xf32> loc(#call19)
    %rms_norm_backward_19.9 = stablehlo.multiply %linear_cross_entropy_18.65, %rms_norm_backward_19.8 : tensor<8x8xf32> loc(#call19)
    %rms_norm_backward_19.10 = stablehlo.multiply %rms_norm_backward_19.9, %rms_norm_backward_19.7 : tensor<8x8xf32> loc(#call19)
    %rms_norm_backward_19.11 = stablehlo.reduce(%rms_norm_backward_19.10 init: %order_0.3) applies stablehlo.add across dimensions = [1] : (tensor<8x8xf32>, tensor<f32>) -> tensor<8xf32> loc(#call19)
    %rms_norm_backward_19.12 = stablehlo.multiply %rms_norm_backward_19.11, %rms_norm_3.2 : tensor<8xf32> loc(#call19)
    %rms_norm_backward_19.13 = stablehlo.broadcast_in_dim %rms_norm_backward_19.12, dims = [0] : (tensor<8xf32>) -> tensor<8x8xf32> loc(#call19)
    %rms_norm_backward_19.14 = stablehlo.multiply %rms_norm_backward_19.7, %rms_norm_backward_19.13 : tensor<8x8xf32> loc(#call19)
    %rms_norm_backward_19.15 = stablehlo.subtract %rms_norm_backward_19.9, %rms_norm_backward_19.14 : tensor<8x8xf32> loc(#call19)
    %rms_norm_backward_19.16 = stablehlo.multiply %rms_norm_backward_19.6, %rms_norm_backward_19.15 : tensor<8x8xf32> loc(#call19)
    %linear_backward_20.0 = stablehlo.dot_general %rms_norm_backward_19.16, %frozen.7, contracting_dims = [1] x [0] : (tensor<8x8xf32>, tensor<8x12xf32>) -> tensor<8x12xf32> loc(#call20)
    %linear_backward_20.1 = stablehlo.dot_general %rms_norm_backward_19.16, %linear_15.19, contracting_dims = [0] x [0] : (tensor<8x8xf32>, tensor<8x2xf32>) -> tensor<8x2xf32> loc(#call20)
    %linear_backward_20.2 = stablehlo.reshape %linear_backward_20.1 : (tensor<8x2xf32>) -> tensor<16xf32> loc(#call20)
    %linear_backward_20.3 = stablehlo.slice %trainable.0 [56:72] : (tensor<72xf32>) -> tensor<16xf32> loc(#call20)
    %linear_backward_20.4 = stablehlo.reshape %linear_backward_20.3 : (tensor<16xf32>) -> tensor<8x2xf32> loc(#call20)
    %linear_backward_20.5 = stablehlo.dot_general %rms_norm_backward_19.16, %linear_backward_20.4, contracting_dims = [1] x [0] : (tensor<8x8xf32>, tensor<8x2xf32>) -> tensor<8x2xf32> loc(#call20)
    %linear_backward_20.6 = stablehlo.multiply %linear_backward_20.5, %linear_4.19 : tensor<8x2xf32> loc(#call20)
    %linear_backward_20.7 = stablehlo.slice %rms_norm_backward_19.16 [0:1, 0:8] : (tensor<8x8xf32>) -> tensor<1x8xf32> loc(#call20)
    %linear_backward_20.8 = stablehlo.slice %linear_backward_20.7 [0:1, 0:1] : (tensor<1x8xf32>) -> tensor<1x1xf32> loc(#call20)
    %linear_backward_20.9 = stablehlo.reshape %linear_backward_20.8 : (tensor<1x1xf32>) -> tensor<f32> loc(#call20)
    %linear_backward_20.10 = stablehlo.multiply %linear_backward_20.9, %order_0.3 : tensor<f32> loc(#call20)
    %linear_backward_20.11 = stablehlo.convert %linear_backward_20.10 : (tensor<f32>) -> tensor<ui32> loc(#call20)
    %linear_backward_20.12 = stablehlo.broadcast_in_dim %linear_backward_20.11, dims = [] : (tensor<ui32>) -> tensor<4xui32> loc(#call20)
    %linear_backward_20.13 = stablehlo.add %staging.2, %linear_backward_20.12 : tensor<4xui32> loc(#call20)
    %linear_backward_20.14 = func.call @philox_96(%linear_backward_20.13, %linear_15.7) : (tensor<4xui32>, tensor<ui32>) -> tensor<96xui32> loc(#call20)
    %linear_backward_20.15 = stablehlo.reshape %linear_backward_20.14 : (tensor<96xui32>) -> tensor<8x12xui32> loc(#call20)
    %linear_backward_20.16 = stablehlo.compare GE, %linear_backward_20.15, %linear_15.10 : (tensor<8x12xui32>, tensor<8x12xui32>) -> tensor<8x12xi1> loc(#call20)
    %linear_backward_20.17 = stablehlo.multiply %swiglu_14.2, %linear_15.12 : tensor<8x12xf32> loc(#call20)
    %linear_backward_20.18 = stablehlo.select %linear_backward_20.16, %linear_backward_20.17, %linear_15.14 : tensor<8x12xi1>, tensor<8x12xf32> loc(#call20)
    %linear_backward_20.19 = stablehlo.dot_general %linear_backward_20.6, %linear_backward_20.18, contracting_dims = [0] x [0] : (tensor<8x2xf32>, tensor<8x12xf32>) -> tensor<2x12xf32> loc(#call20)
    %linear_backward_20.20 = stablehlo.reshape %linear_backward_20.19 : (tensor<2x12xf32>) -> tensor<24xf32> loc(#call20)
    %linear_backward_20.21 = stablehlo.slice %trainable.0 [32:56] : (tensor<72xf32>) -> tensor<24xf32> loc(#call20)
    %linear_backward_20.22 = stablehlo.reshape %linear_backward_20.21 : (tensor<24xf32>) -> tensor<2x12xf32> loc(#call20)
    %linear_backward_20.23 = stablehlo.dot_general %linear_backward_20.6, %linear_backward_20.22, contracting_dims = [1] x [0] : (tensor<8x2xf32>, tensor<2x12xf32>) -> tensor<8x12xf32> loc(#call20)
    %linear_backward_20.24 = stablehlo.slice %rms_norm_backward_19.16 [0:1, 0:8] : (tensor<8x8xf32>) -> tensor<1x8xf32> loc(#call20)
    %linear_backward_20.25 = stablehlo.slice %linear_backward_20.24 [0:1, 0:1] : (tensor<1x8xf32>) -> tensor<1x1xf32> loc(#call20)
    %linear_backward_20.26 = stablehlo.reshape %linear_backward_20.25 : (tensor<1x1xf32>) -> tensor<f32> loc(#call20)
    %linear_backward_20.27 = stablehlo.multiply %linear_backward_20.26, %order_0.3 : tensor<f32> loc(#call20)
    %linear_backward_20.28 = stablehlo.convert %linear_backward_20.27 : (tensor<f32>) -> tensor<ui32> loc(#call20)
    %linear_backward_20.29 = stablehlo.broadcast_in_dim %linear_backward_20.28, dims = [] : (tensor<ui32>) -> tensor<4xui32> loc(#call20)
    %linear_backward_20.30 = stablehlo.add %staging.2, %linear_backward_20.29 : tensor<4xui32> loc(#call20)
    %linear_backward_20.31 = func.call @philox_96(%linear_backward_20.30, %linear_15.7) : (tensor<4xui32>, tensor<ui32>) -> tensor<96xui32> loc(#call20)
    %linear_backward_20.32 = stablehlo.reshape %linear_backward_20.31 : (tensor<96xui32>) -> tensor<8x12xui32> loc(#call20)
    %linear_backward_20.33 = stablehlo.compare GE, %linear_backward_20.32, %linear_15.10 : (tensor<8x12xui32>, tensor<8x12xui32>) -> tensor<8x12xi1> loc(#call20)
    %linear_backward_20.34 = stablehlo.multiply %linear_backward_20.23, %linear_15.12 : tensor<8x12xf32> loc(#call20)
    %linear_backward_20.35 = stablehlo.select %linear_backward_20.33, %linear_backward_20.34, %linear_15.14 : tensor<8x12xi1>, tensor<8x12xf32> loc(#call20)
    %linear_backward_20.36 = stablehlo.add %linear_backward_20.0, %linear_backward_20.35 : tensor<8x12xf32> loc(#call20)
    %swiglu_backward_21.0 = stablehlo.slice %linear_backward_20.36 [0:1, 0:12] : (tensor<8x12xf32>) -> tensor<1x12xf32> loc(#call21)
    %swiglu_backward_21.1 = stablehlo.slice %swiglu_backward_21.0 [0:1, 0:1] : (tensor<1x12xf32>) -> tensor<1x1xf32> loc(#call21)
    %swiglu_backward_21.2 = stablehlo.reshape %swiglu_backward_21.1 : (tensor<1x1xf32>) -> tensor<f32> loc(#call21)
    %swiglu_backward_21.3 = stablehlo.multiply %swiglu_backward_21.2, %order_0.3 : tensor<f32> loc(#call21)
    %swiglu_backward_21.4 = stablehlo.broadcast_in_dim %swiglu_backward_21.3, dims = [] : (tensor<f32>) -> tensor<8x12xf32> loc(#call21)
    %swiglu_backward_21.5 = stablehlo.add %linear_12.0, %swiglu_backward_21.4 : tensor<8x12xf32> loc(#call21)
    %swiglu_backward_21.6 = stablehlo.logistic %swiglu_backward_21.5 : tensor<8x12xf32> loc(#call21)
    %swiglu_backward_21.7 = stablehlo.constant dense<1.0e+00> : tensor<8x12xf32> loc(#call21)
    %swiglu_backward_21.8 = stablehlo.subtract %swiglu_backward_21.7, %swiglu_backward_21.6 : tensor<8x12xf32> loc(#call21)
    %swiglu_backward_21.9 = stablehlo.multiply %swiglu_backward_21.5, %swiglu_backward_21.8 : tensor<8x12xf32> loc(#call21)
    %swiglu_backward_21.10 = stablehlo.add %swiglu_backward_21.7, %swiglu_backward_21.9 : tensor<8x12xf32> loc(#call21)
    %swiglu_backward_21.11 = stablehlo.multiply %swiglu_backward_21.6, %swiglu_backward_21.10 : tensor<8x12xf32> loc(#call21)
    %swiglu_backward_21.12 = stablehlo.multiply %linear_backward_20.36, %linear_13.0 : tensor<8x12xf32> loc(#call21)
    %swiglu_backward_21.13 = stablehlo.multiply %swiglu_backward_21.12, %swiglu_backward_21.11 : tensor<8x12xf32> loc(#call21)
    %swiglu_backward_21.14 = stablehlo.multiply %swiglu_backward_21.5, %swiglu_backward_21.6 : tensor<8x12xf32> loc(#call21)
    %swiglu_backward_21.15 = stablehlo.multiply %linear_backward_20.36, %swiglu_backward_21.14 : tensor<8x12xf32> loc(#call21)
    %linear_backward_22.0 = stablehlo.dot_general %swiglu_backward_21.13, %frozen.5, contracting_dims = [1] x [0] : (tensor<8x12xf32>, tensor<12x8xf32>) -> tensor<8x8xf32> loc(#call22)
    %linear_backward_23.0 = stablehlo.dot_general %swiglu_backward_21.15, %frozen.6, contracting_dims = [1] x [0] : (tensor<8x12xf32>, tensor<12x8xf32>) -> tensor<8x8xf32> loc(#call23)
    %linear_backward_23.1 = stablehlo.add %linear_backward_22.0, %linear_backward_23.0 : tensor<8x8xf32> loc(#call23)
    %rms_norm_backward_24.0 = stablehlo.slice %linear_backward_23.1 [0:1, 0:8] : (tensor<8x8xf32>) -> tensor<1x8xf32> loc(#call24)
    %rms_norm_backward_24.1 = stablehlo.slice %rms_norm_backward_24.0 [0:1, 0:1] : (tensor<1x8xf32>) -> tensor<1x1xf32> loc(#call24)
    %rms_norm_backward_24.2 = stablehlo.reshape %rms_norm_backward_24.1 : (tensor<1x1xf32>) -> tensor<f32> loc(#call24)
    %rms_norm_backward_24.3 = stablehlo.multiply %rms_norm_backward_24.2, %order_0.3 : tensor<f32> loc(#call24)
    %rms_norm_backward_24.4 = stablehlo.broadcast_in_dim %rms_norm_backward_24.3, dims = [] : (tensor<f32>) -> tensor<8x8xf32> loc(#call24)
    %rms_norm_backward_24.5 = stablehlo.add %rms_norm_11.0, %rms_norm_backward_24.4 : tensor<8x8xf32> loc(#call24)
    %rms_norm_backward_24.6 = stablehlo.broadcast_in_dim %rms_norm_11.6, dims = [0] : (tensor<8xf32>) -> tensor<8x8xf32> loc(#call24)
    %rms_norm_backward_24.7 = stablehlo.multiply %rms_norm_backward_24.5, %rms_norm_backward_24.6 : tensor<8x8xf32> loc(#call24)
    %rms_norm_backward_24.8 = stablehlo.broadcast_in_dim %frozen.9, dims = [1] : (tensor<8xf32>) -> tensor<8x8xf32> loc(#call24)
    %rms_norm_backward_24.9 = stablehlo.multiply %linear_backward_23.1, %rms_norm_backward_24.8 : tensor<8x8xf32> loc(#call24)
    %rms_norm_backward_24.10 = stablehlo.multiply %rms_norm_backward_24.9, %rms_norm_backward_24.7 : tensor<8x8xf32> loc(#call24)
    %rms_norm_backward_24.11 = stablehlo.reduce(%rms_norm_backward_24.10 init: %order_0.3) applies stablehlo.add across dimensions = [1] : (tensor<8x8xf32>, tensor<f32>) -> tensor<8xf32> loc(#call24)
    %rms_norm_backward_24.12 = stablehlo.multiply %rms_norm_backward_24.11, %rms_norm_3.2 : tensor<8xf32> loc(#call24)
    %rms_norm_backward_24.13 = stablehlo.broadcast_in_dim %rms_norm_backward_24.12, dims = [0] : (tensor<8xf32>) -> tensor<8x8xf32> loc(#call24)
    %rms_norm_backward_24.14 = stablehlo.multiply %rms_norm_backward_24.7, %rms_norm_backward_24.13 : tensor<8x8xf32> loc(#call24)
    %rms_norm_backward_24.15 = stablehlo.subtract %rms_norm_backward_24.9, %rms_norm_backward_24.14 : tensor<8x8xf32> loc(#call24)
    %rms_norm_backward_24.16 = stablehlo.multiply %rms_norm_backward_24.6, %rms_norm_backward_24.15 : tensor<8x8xf32> loc(#call24)
    %rms_norm_backward_24.17 = stablehlo.add %rms_norm_backward_19.16, %rms_norm_backward_24.16 : tensor<8x8xf32> loc(#call24)
    %linear_backward_25.0 = stablehlo.dot_general %rms_norm_backward_24.17, %frozen.4, contracting_dims = [1] x [0] : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32> loc(#call25)
    %attention_backward_26.0 = stablehlo.reshape %linear_backward_25.0 : (tensor<8x8xf32>) -> tensor<8x1x2x4xf32> loc(#call26)
    %attention_backward_26.1 = stablehlo.transpose %attention_backward_26.0, dims = [1, 0, 2, 3] : (tensor<8x1x2x4xf32>) -> tensor<1x8x2x4xf32> loc(#call26)
    %attention_backward_26.2 = stablehlo.reshape %attention_backward_26.1 : (tensor<1x8x2x4xf32>) -> tensor<1x16x4xf32> loc(#call26)
    %attention_backward_26.3 = stablehlo.reshape %rope_7.14 : (tensor<8x8xf32>) -> tensor<8x1x2x4xf32> loc(#call26)
    %attention_backward_26.4 = stablehlo.transpose %attention_backward_26.3, dims = [1, 0, 2, 3] : (tensor<8x1x2x4xf32>) -> tensor<1x8x2x4xf32> loc(#call26)
    %attention_backward_26.5 = stablehlo.reshape %attention_backward_26.4 : (tensor<1x8x2x4xf32>) -> tensor<1x16x4xf32> loc(#call26)
    %attention_backward_26.6 = stablehlo.slice %attention_backward_26.2 [0:1, 0:1, 0:4] : (tensor<1x16x4xf32>) -> tensor<1x1x4xf32> loc(#call26)
    %attention_backward_26.7 = stablehlo.slice %attention_backward_26.6 [0:1, 0:1, 0:1] : (tensor<1x1x4xf32>) -> tensor<1x1x1xf32> loc(#call26)
    %attention_backward_26.8 = stablehlo.reshape %attention_backward_26.7 : (tensor<1x1x1xf32>) -> tensor<f32> loc(#call26)
    %attention_backward_26.9 = stablehlo.multiply %attention_backward_26.8, %order_0.3 : tensor<f32> loc(#call26)
    %attention_backward_26.10 = stablehlo.broadcast_in_dim %attention_backward_26.9, dims = [] : (tensor<f32>) -> tensor<1x16x4xf32> loc(#call26)
    %attention_backward_26.11 = stablehlo.add %attention_backward_26.5, %attention_backward_26.10 : tensor<1x16x4xf32> loc(#call26)
    %attention_backward_26.12 = stablehlo.reshape %rope_8.14 : (tensor<8x4xf32>) -> tensor<8x1x4xf32> loc(#call26)
    %attention_backward_26.13 = stablehlo.transpose %attention_backward_26.12, dims = [1, 0, 2] : (tensor<8x1x4xf32>) -> tensor<1x8x4xf32> loc(#call26)
    %attention_backward_26.14 = stablehlo.reshape %linear_6.0 : (tensor<8x4xf32>) -> tensor<8x1x4xf32> loc(#call26)
    %attention_backward_26.15 = stablehlo.transpose %attention_backward_26.14, dims = [1, 0, 2] : (tensor<8x1x4xf32>) -> tensor<1x8x4xf32> loc(#call26)
    %attention_backward_26.16 = stablehlo.reshape %attention_9.66 : (tensor<8x2xf32>) -> tensor<8x1x2x1xf32> loc(#call26)
    %attention_backward_26.17 = stablehlo.transpose %attention_backward_26.16, dims = [1, 0, 2, 3] : (tensor<8x1x2x1xf32>) -> tensor<1x8x2x1xf32> loc(#call26)
    %attention_backward_26.18 = stablehlo.reshape %attention_backward_26.17 : (tensor<1x8x2x1xf32>) -> tensor<1x16x1xf32> loc(#call26)
    %attention_backward_26.19 = stablehlo.reshape %attention_9.63 : (tensor<8x8xf32>) -> tensor<8x1x2x4xf32> loc(#call26)
    %attention_backward_26.20 = stablehlo.transpose %attention_backward_26.19, dims = [1, 0, 2, 3] : (tensor<8x1x2x4xf32>) -> tensor<1x8x2x4xf32> loc(#call26)
    %attention_backward_26.21 = stablehlo.reshape %attention_backward_26.20 : (tensor<1x8x2x4xf32>) -> tensor<1x16x4xf32> loc(#call26)
    %attention_backward_26.22 = stablehlo.multiply %attention_backward_26.2, %attention_backward_26.21 : tensor<1x16x4xf32> loc(#call26)
    %attention_backward_26.23 = stablehlo.reduce(%attention_backward_26.22 init: %order_0.3) applies stablehlo.add across dimensions = [2] : (tensor<1x16x4xf32>, tensor<f32>) -> tensor<1x16xf32> loc(#call26)
    %attention_backward_26.24 = stablehlo.reshape %attention_backward_26.23 : (tensor<1x16xf32>) -> tensor<1x16x1xf32> loc(#call26)
    %attention_backward_26.25 = stablehlo.dot_general %attention_backward_26.11, %attention_backward_26.13, batching_dims = [0] x [0], contracting_dims = [2] x [2] : (tensor<1x16x4xf32>, tensor<1x8x4xf32>) -> tensor<1x16x8xf32> loc(#call26)
    %attention_backward_26.26 = stablehlo.multiply %attention_backward_26.25, %attention_9.8 : tensor<1x16x8xf32> loc(#call26)
    %attention_backward_26.27 = stablehlo.reshape %attention_backward_26.18 : (tensor<1x16x1xf32>) -> tensor<1x16xf32> loc(#call26)
    %attention_backward_26.28 = stablehlo.broadcast_in_dim %attention_backward_26.27, dims = [0, 1] : (tensor<1x16xf32>) -> tensor<1x16x8xf32> loc(#call26)
    %attention_backward_26.29 = stablehlo.subtract %attention_backward_26.26, %attention_backward_26.28 : tensor<1x16x8xf32> loc(#call26)
    %attention_backward_26.30 = stablehlo.exponential %attention_backward_26.29 : tensor<1x16x8xf32> loc(#call26)
    %attention_backward_26.31 = stablehlo.slice %staging.0 [16:19] : (tensor<27xi32>) -> tensor<3xi32> loc(#call26)
    %attention_backward_26.32 = stablehlo.iota dim = 0 : tensor<8xi32> loc(#call26)
    %attention_backward_26.33 = stablehlo.broadcast_in_dim %attention_backward_26.32, dims = [0] : (tensor<8xi32>) -> tensor<8x2xi32> loc(#call26)
    %attention_backward_26.34 = stablehlo.slice %attention_backward_26.31 [1:3] : (tensor<3xi32>) -> tensor<2xi32> loc(#call26)
    %attention_backward_26.35 = stablehlo.broadcast_in_dim %attention_backward_26.34, dims = [1] : (tensor<2xi32>) -> tensor<8x2xi32> loc(#call26)
    %attention_backward_26.36 = stablehlo.compare GE, %attention_backward_26.33, %attention_backward_26.35 : (tensor<8x2xi32>, tensor<8x2xi32>) -> tensor<8x2xi1> loc(#call26)
    %attention_backward_26.37 = stablehlo.convert %attention_backward_26.36 : (tensor<8x2xi1>) -> tensor<8x2xi32> loc(#call26)
    %attention_backward_26.38 = stablehlo.reduce(%attention_backward_26.37 init: %attention_9.17) applies stablehlo.add across dimensions = [1] : (tensor<8x2xi32>, tensor<i32>) -> tensor<8xi32> loc(#call26)
    %attention_backward_26.39 = stablehlo.slice %attention_backward_26.31 [0:2] : (tensor<3xi32>) -> tensor<2xi32> loc(#call26)
    %attention_backward_26.40 = "stablehlo.gather"(%attention_backward_26.39, %attention_backward_26.38) <{dimension_numbers = #stablehlo.gather<offset_dims = [], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1>}> : (tensor<2xi32>, tensor<8xi32>) -> tensor<8xi32> loc(#call26)
    %attention_backward_26.41 = stablehlo.slice %attention_backward_26.31 [1:3] : (tensor<3xi32>) -> tensor<2xi32> loc(#call26)
    %attention_backward_26.42 = "stablehlo.gather"(%attention_backward_26.41, %attention_backward_26.38) <{dimension_numbers = #stablehlo.gather<offset_dims = [], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1>}> : (tensor<2xi32>, tensor<8xi32>) -> tensor<8xi32> loc(#call26)
    %attention_backward_26.43 = stablehlo.subtract %attention_backward_26.42, %attention_backward_26.40 : tensor<8xi32> loc(#call26)
    %attention_backward_26.44 = stablehlo.subtract %attention_backward_26.42, %attention_backward_26.32 : tensor<8xi32> loc(#call26)
    %attention_backward_26.45 = stablehlo.subtract %attention_backward_26.43, %attention_backward_26.44 : tensor<8xi32> loc(#call26)
    %attention_backward_26.46 = stablehlo.add %attention_backward_26.40, %attention_backward_26.45 : tensor<8xi32> loc(#call26)
    %attention_backward_26.47 = stablehlo.add %attention_backward_26.40, %attention_backward_26.43 : tensor<8xi32> loc(#call26)
    %attention_backward_26.48 = stablehlo.add %attention_backward_26.46, %attention_9.27 : tensor<8xi32> loc(#call26)
    %attention_backward_26.49 = stablehlo.iota dim = 2 : tensor<1x8x8xi32> loc(#call26)
    %attention_backward_26.50 = stablehlo.iota dim = 0 : tensor<1x8x8xi32> loc(#call26)
    %attention_backward_26.51 = stablehlo.multiply %attention_backward_26.50, %attention_9.32 : tensor<1x8x8xi32> loc(#call26)
    %attention_backward_26.52 = stablehlo.add %attention_backward_26.49, %attention_backward_26.51 : tensor<1x8x8xi32> loc(#call26)
    %attention_backward_26.53 = stablehlo.add %attention_backward_26.52, %attention_9.35 : tensor<1x8x8xi32> loc(#call26)
    %attention_backward_26.54 = stablehlo.reshape %attention_backward_26.40 : (tensor<8xi32>) -> tensor<1x8xi32> loc(#call26)
    %attention_backward_26.55 = stablehlo.broadcast_in_dim %attention_backward_26.54, dims = [0, 1] : (tensor<1x8xi32>) -> tensor<1x8x8xi32> loc(#call26)
    %attention_backward_26.56 = stablehlo.compare GE, %attention_backward_26.53, %attention_backward_26.55 : (tensor<1x8x8xi32>, tensor<1x8x8xi32>) -> tensor<1x8x8xi1> loc(#call26)
    %attention_backward_26.57 = stablehlo.reshape %attention_backward_26.48 : (tensor<8xi32>) -> tensor<1x8xi32> loc(#call26)
    %attention_backward_26.58 = stablehlo.broadcast_in_dim %attention_backward_26.57, dims = [0, 1] : (tensor<1x8xi32>) -> tensor<1x8x8xi32> loc(#call26)
    %attention_backward_26.59 = stablehlo.compare LT, %attention_backward_26.53, %attention_backward_26.58 : (tensor<1x8x8xi32>, tensor<1x8x8xi32>) -> tensor<1x8x8xi1> loc(#call26)
    %attention_backward_26.60 = stablehlo.and %attention_backward_26.56, %attention_backward_26.59 : tensor<1x8x8xi1> loc(#call26)
    %attention_backward_26.61 = stablehlo.reshape %attention_backward_26.30 : (tensor<1x16x8xf32>) -> tensor<1x1x8x2x8xf32> loc(#call26)
    %attention_backward_26.62 = stablehlo.broadcast_in_dim %attention_backward_26.60, dims = [1, 2, 4] : (tensor<1x8x8xi1>) -> tensor<1x1x8x2x8xi1> loc(#call26)
    %attention_backward_26.63 = stablehlo.constant dense<0.0e+00> : tensor<1x1x8x2x8xf32> loc(#call26)
    %attention_backward_26.64 = stablehlo.select %attention_backward_26.62, %attention_backward_26.61, %attention_backward_26.63 : tensor<1x1x8x2x8xi1>, tensor<1x1x8x2x8xf32> loc(#call26)
    %attention_backward_26.65 = stablehlo.reshape %attention_backward_26.64 : (tensor<1x1x8x2x8xf32>) -> tensor<1x16x8xf32> loc(#call26)
    %attention_backward_26.66 = stablehlo.dot_general %attention_backward_26.2, %attention_backward_26.15, batching_dims = [0] x [0], contracting_dims = [2] x [2] : (tensor<1x16x4xf32>, tensor<1x8x4xf32>) -> tensor<1x16x8xf32> loc(#call26)
    %attention_backward_26.67 = stablehlo.reshape %attention_backward_26.24 : (tensor<1x16x1xf32>) -> tensor<1x16xf32> loc(#call26)
    %attention_backward_26.68 = stablehlo.broadcast_in_dim %attention_backward_26.67, dims = [0, 1] : (tensor<1x16xf32>) -> tensor<1x16x8xf32> loc(#call26)
    %attention_backward_26.69 = stablehlo.subtract %attention_backward_26.66, %attention_backward_26.68 : tensor<1x16x8xf32> loc(#call26)
    %attention_backward_26.70 = stablehlo.multiply %attention_backward_26.65, %attention_backward_26.69 : tensor<1x16x8xf32> loc(#call26)
    %attention_backward_26.71 = stablehlo.multiply %attention_backward_26.70, %attention_9.8 : tensor<1x16x8xf32> loc(#call26)
    %attention_backward_26.72 = stablehlo.dot_general %attention_backward_26.71, %attention_backward_26.13, batching_dims = [0] x [0], contracting_dims = [2] x [1] : (tensor<1x16x8xf32>, tensor<1x8x4xf32>) -> tensor<1x16x4xf32> loc(#call26)
    %attention_backward_26.73 = stablehlo.dot_general %attention_backward_26.71, %attention_backward_26.11, batching_dims = [0] x [0], contracting_dims = [1] x [1] : (tensor<1x16x8xf32>, tensor<1x16x4xf32>) -> tensor<1x8x4xf32> loc(#call26)
    %attention_backward_26.74 = stablehlo.dot_general %attention_backward_26.65, %attention_backward_26.2, batching_dims = [0] x [0], contracting_dims = [1] x [1] : (tensor<1x16x8xf32>, tensor<1x16x4xf32>) -> tensor<1x8x4xf32> loc(#call26)
    %attention_backward_26.75 = stablehlo.reshape %attention_backward_26.72 : (tensor<1x16x4xf32>) -> tensor<1x8x2x4xf32> loc(#call26)
    %attention_backward_26.76 = stablehlo.transpose %attention_backward_26.75, dims = [1, 0, 2, 3] : (tensor<1x8x2x4xf32>) -> tensor<8x1x2x4xf32> loc(#call26)
    %attention_backward_26.77 = stablehlo.reshape %attention_backward_26.76 : (tensor<8x1x2x4xf32>) -> tensor<8x8xf32> loc(#call26)
    %attention_backward_26.78 = stablehlo.transpose %attention_backward_26.73, dims = [1, 0, 2] : (tensor<1x8x4xf32>) -> tensor<8x1x4xf32> loc(#call26)
    %attention_backward_26.79 = stablehlo.reshape %attention_backward_26.78 : (tensor<8x1x4xf32>) -> tensor<8x4xf32> loc(#call26)
    %attention_backward_26.80 = stablehlo.transpose %attention_backward_26.74, dims = [1, 0, 2] : (tensor<1x8x4xf32>) -> tensor<8x1x4xf32> loc(#call26)
    %attention_backward_26.81 = stablehlo.reshape %attention_backward_26.80 : (tensor<8x1x4xf32>) -> tensor<8x4xf32> loc(#call26)
    %rope_27.0 = stablehlo.slice %rope_table_1.10 [0:8, 0:2] : (tensor<8x4xf32>) -> tensor<8x2xf32> loc(#call27)
    %rope_27.1 = stablehlo.broadcast_in_dim %rope_27.0, dims = [0, 2] : (tensor<8x2xf32>) -> tensor<8x2x2xf32> loc(#call27)
    %rope_27.2 = stablehlo.slice %rope_table_1.10 [0:8, 2:4] : (tensor<8x4xf32>) -> tensor<8x2xf32> loc(#call27)
    %rope_27.3 = stablehlo.broadcast_in_dim %rope_27.2, dims = [0, 2] : (tensor<8x2xf32>) -> tensor<8x2x2xf32> loc(#call27)
    %rope_27.4 = stablehlo.negate %rope_27.3 : tensor<8x2x2xf32> loc(#call27)
    %rope_27.5 = stablehlo.reshape %attention_backward_26.77 : (tensor<8x8xf32>) -> tensor<8x2x4xf32> loc(#call27)
    %rope_27.6 = stablehlo.slice %rope_27.5 [0:8, 0:2, 0:2] : (tensor<8x2x4xf32>) -> tensor<8x2x2xf32> loc(#call27)
    %rope_27.7 = stablehlo.slice %rope_27.5 [0:8, 0:2, 2:4] : (tensor<8x2x4xf32>) -> tensor<8x2x2xf32> loc(#call27)
    %rope_27.8 = stablehlo.multiply %rope_27.6, %rope_27.1 : tensor<8x2x2xf32> loc(#call27)
    %rope_27.9 = stablehlo.multiply %rope_27.7, %rope_27.4 : tensor<8x2x2xf32> loc(#call27)
    %rope_27.10 = stablehlo.subtract %rope_27.8, %rope_27.9 : tensor<8x2x2xf32> loc(#call27)
    %rope_27.11 = stablehlo.multiply %rope_27.7, %rope_27.1 : tensor<8x2x2xf32> loc(#call27)
    %rope_27.12 = stablehlo.multiply %rope_27.6, %rope_27.4 : tensor<8x2x2xf32> loc(#call27)
    %rope_27.13 = stablehlo.add %rope_27.11, %rope_27.12 : tensor<8x2x2xf32> loc(#call27)
    %rope_27.14 = stablehlo.concatenate %rope_27.10, %rope_27.13, dim = 2 : (tensor<8x2x2xf32>, tensor<8x2x2xf32>) -> tensor<8x2x4xf32> loc(#call27)
    %rope_27.15 = stablehlo.reshape %rope_27.14 : (tensor<8x2x4xf32>) -> tensor<8x8xf32> loc(#call27)
    %rope_28.0 = stablehlo.slice %rope_table_1.10 [0:8, 0:2] : (tensor<8x4xf32>) -> tensor<8x2xf32> loc(#call28)
    %rope_28.1 = stablehlo.broadcast_in_dim %rope_28.0, dims = [0, 2] : (tensor<8x2xf32>) -> tensor<8x1x2xf32> loc(#call28)
    %rope_28.2 = stablehlo.slice %rope_table_1.10 [0:8, 2:4] : (tensor<8x4xf32>) -> tensor<8x2xf32> loc(#call28)
    %rope_28.3 = stablehlo.broadcast_in_dim %rope_28.2, dims = [0, 2] : (tensor<8x2xf32>) -> tensor<8x1x2xf32> loc(#call28)
    %rope_28.4 = stablehlo.negate %rope_28.3 : tensor<8x1x2xf32> loc(#call28)
    %rope_28.5 = stablehlo.reshape %attention_backward_26.79 : (tensor<8x4xf32>) -> tensor<8x1x4xf32> loc(#call28)
    %rope_28.6 = stablehlo.slice %rope_28.5 [0:8, 0:1, 0:2] : (tensor<8x1x4xf32>) -> tensor<8x1x2xf32> loc(#call28)
    %rope_28.7 = stablehlo.slice %rope_28.5 [0:8, 0:1, 2:4] : (tensor<8x1x4xf32>) -> tensor<8x1x2xf32> loc(#call28)
    %rope_28.8 = stablehlo.multiply %rope_28.6, %rope_28.1 : tensor<8x1x2xf32> loc(#call28)
    %rope_28.9 = stablehlo.multiply %rope_28.7, %rope_28.4 : tensor<8x1x2xf32> loc(#call28)
    %rope_28.10 = stablehlo.subtract %rope_28.8, %rope_28.9 : tensor<8x1x2xf32> loc(#call28)
    %rope_28.11 = stablehlo.multiply %rope_28.7, %rope_28.1 : tensor<8x1x2xf32> loc(#call28)
    %rope_28.12 = stablehlo.multiply %rope_28.6, %rope_28.4 : tensor<8x1x2xf32> loc(#call28)
    %rope_28.13 = stablehlo.add %rope_28.11, %rope_28.12 : tensor<8x1x2xf32> loc(#call28)
    %rope_28.14 = stablehlo.concatenate %rope_28.10, %rope_28.13, dim = 2 : (tensor<8x1x2xf32>, tensor<8x1x2xf32>) -> tensor<8x1x4xf32> loc(#call28)
    %rope_28.15 = stablehlo.reshape %rope_28.14 : (tensor<8x1x4xf32>) -> tensor<8x4xf32> loc(#call28)
    %linear_backward_29.0 = stablehlo.dot_general %rope_27.15, %linear_4.20, contracting_dims = [0] x [0] : (tensor<8x8xf32>, tensor<8x2xf32>) -> tensor<8x2xf32> loc(#call29)
    %linear_backward_29.1 = stablehlo.reshape %linear_backward_29.0 : (tensor<8x2xf32>) -> tensor<16xf32> loc(#call29)
    %linear_backward_29.2 = stablehlo.slice %trainable.0 [16:32] : (tensor<72xf32>) -> tensor<16xf32> loc(#call29)
    %linear_backward_29.3 = stablehlo.reshape %linear_backward_29.2 : (tensor<16xf32>) -> tensor<8x2xf32> loc(#call29)
    %linear_backward_29.4 = stablehlo.dot_general %rope_27.15, %linear_backward_29.3, contracting_dims = [1] x [0] : (tensor<8x8xf32>, tensor<8x2xf32>) -> tensor<8x2xf32> loc(#call29)
    %linear_backward_29.5 = stablehlo.multiply %linear_backward_29.4, %linear_4.19 : tensor<8x2xf32> loc(#call29)
    %linear_backward_29.6 = stablehlo.slice %rope_27.15 [0:1, 0:8] : (tensor<8x8xf32>) -> tensor<1x8xf32> loc(#call29)
    %linear_backward_29.7 = stablehlo.slice %linear_backward_29.6 [0:1, 0:1] : (tensor<1x8xf32>) -> tensor<1x1xf32> loc(#call29)
    %linear_backward_29.8 = stablehlo.reshape %linear_backward_29.7 : (tensor<1x1xf32>) -> tensor<f32> loc(#call29)
    %linear_backward_29.9 = stablehlo.multiply %linear_backward_29.8, %order_0.3 : tensor<f32> loc(#call29)
    %linear_backward_29.10 = stablehlo.convert %linear_backward_29.9 : (tensor<f32>) -> tensor<ui32> loc(#call29)
    %linear_backward_29.11 = stablehlo.broadcast_in_dim %linear_backward_29.10, dims = [] : (tensor<ui32>) -> tensor<4xui32> loc(#call29)
    %linear_backward_29.12 = stablehlo.add %staging.2, %linear_backward_29.11 : tensor<4xui32> loc(#call29)
    %linear_backward_29.13 = func.call @philox_64(%linear_backward_29.12, %linear_4.7) : (tensor<4xui32>, tensor<ui32>) -> tensor<64xui32> loc(#call29)
    %linear_backward_29.14 = stablehlo.reshape %linear_backward_29.13 : (tensor<64xui32>) -> tensor<8x8xui32> loc(#call29)
    %linear_backward_29.15 = stablehlo.compare GE, %linear_backward_29.14, %linear_4.10 : (tensor<8x8xui32>, tensor<8x8xui32>) -> tensor<8x8xi1> loc(#call29)
    %linear_backward_29.16 = stablehlo.multiply %rms_norm_3.12, %linear_4.12 : tensor<8x8xf32> loc(#call29)
    %linear_backward_29.17 = stablehlo.select %linear_backward_29.15, %linear_backward_29.16, %linear_4.14 : tensor<8x8xi1>, tensor<8x8xf32> loc(#call29)
    %linear_backward_29.18 = stablehlo.dot_general %linear_backward_29.5, %linear_backward_29.17, contracting_dims = [0] x [0] : (tensor<8x2xf32>, tensor<8x8xf32>) -> tensor<2x8xf32> loc(#call29)
    %linear_backward_29.19 = stablehlo.reshape %linear_backward_29.18 : (tensor<2x8xf32>) -> tensor<16xf32> loc(#call29)
    %result.0 = stablehlo.concatenate %linear_backward_29.19, %linear_backward_29.1, %linear_backward_20.20, %linear_backward_20.2, dim = 0 : (tensor<16xf32>, tensor<16xf32>, tensor<24xf32>, tensor<16xf32>) -> tensor<72xf32>
    %result.1 = stablehlo.add %trainable.1, %result.0 : tensor<72xf32>
    %result.2 = stablehlo.slice %trainable.4 [0:2] : (tensor<6xf32>) -> tensor<2xf32>
    %result.3 = stablehlo.add %result.2, %linear_cross_entropy_18.62 : tensor<2xf32>
    %result.4 = stablehlo.slice %trainable.4 [2:6] : (tensor<6xf32>) -> tensor<4xf32>
    %result.5 = stablehlo.concatenate %result.3, %result.4, dim = 0 : (tensor<2xf32>, tensor<4xf32>) -> tensor<6xf32>
    return %result.1, %result.5 : tensor<72xf32>, tensor<6xf32>
  }
  func.func private @philox_64(%seed: tensor<4xui32>, %site: tensor<ui32>) -> tensor<64xui32> {
    %v.0 = stablehlo.iota dim = 0 : tensor<16xui32>
    %v.1 = stablehlo.broadcast_in_dim %site, dims = [] : (tensor<ui32>) -> tensor<16xui32>
    %v.2 = stablehlo.slice %seed [2:3] : (tensor<4xui32>) -> tensor<1xui32>
    %v.3 = stablehlo.reshape %v.2 : (tensor<1xui32>) -> tensor<ui32>
    %v.4 = stablehlo.broadcast_in_dim %v.3, dims = [] : (tensor<ui32>) -> tensor<16xui32>
    %v.5 = stablehlo.slice %seed [3:4] : (tensor<4xui32>) -> tensor<1xui32>
    %v.6 = stablehlo.reshape %v.5 : (tensor<1xui32>) -> tensor<ui32>
    %v.7 = stablehlo.broadcast_in_dim %v.6, dims = [] : (tensor<ui32>) -> tensor<16xui32>
    %v.8 = stablehlo.slice %seed [0:1] : (tensor<4xui32>) -> tensor<1xui32>
    %v.9 = stablehlo.reshape %v.8 : (tensor<1xui32>) -> tensor<ui32>
    %v.10 = stablehlo.broadcast_in_dim %v.9, dims = [] : (tensor<ui32>) -> tensor<16xui32>
    %v.11 = stablehlo.slice %seed [1:2] : (tensor<4xui32>) -> tensor<1xui32>
    %v.12 = stablehlo.reshape %v.11 : (tensor<1xui32>) -> tensor<ui32>
    %v.13 = stablehlo.broadcast_in_dim %v.12, dims = [] : (tensor<ui32>) -> tensor<16xui32>
    %v.14 = stablehlo.convert %v.0 : (tensor<16xui32>) -> tensor<16xui64>
    %v.15 = stablehlo.constant dense<3528531795> : tensor<16xui64>
    %v.16 = stablehlo.multiply %v.14, %v.15 : tensor<16xui64>
    %v.17 = stablehlo.constant dense<32> : tensor<16xui64>
    %v.18 = stablehlo.shift_right_logical %v.16, %v.17 : tensor<16xui64>
    %v.19 = stablehlo.convert %v.18 : (tensor<16xui64>) -> tensor<16xui32>
    %v.20 = stablehlo.convert %v.16 : (tensor<16xui64>) -> tensor<16xui32>
    %v.21 = stablehlo.convert %v.4 : (tensor<16xui32>) -> tensor<16xui64>
    %v.22 = stablehlo.constant dense<3449720151> : tensor<16xui64>
    %v.23 = stablehlo.multiply %v.21, %v.22 : tensor<16xui64>
    %v.24 = stablehlo.shift_right_logical %v.23, %v.17 : tensor<16xui64>
    %v.25 = stablehlo.convert %v.24 : (tensor<16xui64>) -> tensor<16xui32>
    %v.26 = stablehlo.convert %v.23 : (tensor<16xui64>) -> tensor<16xui32>
    %v.27 = stablehlo.xor %v.25, %v.1 : tensor<16xui32>
    %v.28 = stablehlo.xor %v.27, %v.10 : tensor<16xui32>
    %v.29 = stablehlo.xor %v.19, %v.7 : tensor<16xui32>
    %v.30 = stablehlo.xor %v.29, %v.13 : tensor<16xui32>
    %v.31 = stablehlo.constant dense<2654435769> : tensor<16xui32>
    %v.32 = stablehlo.add %v.10, %v.31 : tensor<16xui32>
    %v.33 = stablehlo.constant dense<3144134277> : tensor<16xui32>
    %v.34 = stablehlo.add %v.13, %v.33 : tensor<16xui32>
    %v.35 = stablehlo.convert %v.28 : (tensor<16xui32>) -> tensor<16xui64>
    %v.36 = stablehlo.multiply %v.35, %v.15 : tensor<16xui64>
    %v.37 = stablehlo.shift_right_logical %v.36, %v.17 : tensor<16xui64>
    %v.38 = stablehlo.convert %v.37 : (tensor<16xui64>) -> tensor<16xui32>
    %v.39 = stablehlo.convert %v.36 : (tensor<16xui64>) -> tensor<16xui32>
    %v.40 = stablehlo.convert %v.30 : (tensor<16xui32>) -> tensor<16xui64>
    %v.41 = stablehlo.multiply %v.40, %v.22 : tensor<16xui64>
    %v.42 = stablehlo.shift_right_logical %v.41, %v.17 : tensor<16xui64>
    %v.43 = stablehlo.convert %v.42 : (tensor<16xui64>) -> tensor<16xui32>
    %v.44 = stablehlo.convert %v.41 : (tensor<16xui64>) -> tensor<16xui32>
    %v.45 = stablehlo.xor %v.43, %v.26 : tensor<16xui32>
    %v.46 = stablehlo.xor %v.45, %v.32 : tensor<16xui32>
    %v.47 = stablehlo.xor %v.38, %v.20 : tensor<16xui32>
    %v.48 = stablehlo.xor %v.47, %v.34 : tensor<16xui32>
    %v.49 = stablehlo.add %v.32, %v.31 : tensor<16xui32>
    %v.50 = stablehlo.add %v.34, %v.33 : tensor<16xui32>
    %v.51 = stablehlo.convert %v.46 : (tensor<16xui32>) -> tensor<16xui64>
    %v.52 = stablehlo.multiply %v.51, %v.15 : tensor<16xui64>
    %v.53 = stablehlo.shift_right_logical %v.52, %v.17 : tensor<16xui64>
    %v.54 = stablehlo.convert %v.53 : (tensor<16xui64>) -> tensor<16xui32>
    %v.55 = stablehlo.convert %v.52 : (tensor<16xui64>) -> tensor<16xui32>
    %v.56 = stablehlo.convert %v.48 : (tensor<16xui32>) -> tensor<16xui64>
    %v.57 = stablehlo.multiply %v.56, %v.22 : tensor<16xui64>
    %v.58 = stablehlo.shift_right_logical %v.57, %v.17 : tensor<16xui64>
    %v.59 = stablehlo.convert %v.58 : (tensor<16xui64>) -> tensor<16xui32>
    %v.60 = stablehlo.convert %v.57 : (tensor<16xui64>) -> tensor<16xui32>
    %v.61 = stablehlo.xor %v.59, %v.44 : tensor<16xui32>
    %v.62 = stablehlo.xor %v.61, %v.49 : tensor<16xui32>
    %v.63 = stablehlo.xor %v.54, %v.39 : tensor<16xui32>
    %v.64 = stablehlo.xor %v.63, %v.50 : tensor<16xui32>
    %v.65 = stablehlo.add %v.49, %v.31 : tensor<16xui32>
    %v.66 = stablehlo.add %v.50, %v.33 : tensor<16xui32>
    %v.67 = stablehlo.convert %v.62 : (tensor<16xui32>) -> tensor<16xui64>
    %v.68 = stablehlo.multiply %v.67, %v.15 : tensor<16xui64>
    %v.69 = stablehlo.shift_right_logical %v.68, %v.17 : tensor<16xui64>
    %v.70 = stablehlo.convert %v.69 : (tensor<16xui64>) -> tensor<16xui32>
    %v.71 = stablehlo.convert %v.68 : (tensor<16xui64>) -> tensor<16xui32>
    %v.72 = stablehlo.convert %v.64 : (tensor<16xui32>) -> tensor<16xui64>
    %v.73 = stablehlo.multiply %v.72, %v.22 : tensor<16xui64>
    %v.74 = stablehlo.shift_right_logical %v.73, %v.17 : tensor<16xui64>
    %v.75 = stablehlo.convert %v.74 : (tensor<16xui64>) -> tensor<16xui32>
    %v.76 = stablehlo.convert %v.73 : (tensor<16xui64>) -> tensor<16xui32>
    %v.77 = stablehlo.xor %v.75, %v.60 : tensor<16xui32>
    %v.78 = stablehlo.xor %v.77, %v.65 : tensor<16xui32>
    %v.79 = stablehlo.xor %v.70, %v.55 : tensor<16xui32>
    %v.80 = stablehlo.xor %v.79, %v.66 : tensor<16xui32>
    %v.81 = stablehlo.add %v.65, %v.31 : tensor<16xui32>
    %v.82 = stablehlo.add %v.66, %v.33 : tensor<16xui32>
    %v.83 = stablehlo.convert %v.78 : (tensor<16xui32>) -> tensor<16xui64>
    %v.84 = stablehlo.multiply %v.83, %v.15 : tensor<16xui64>
    %v.85 = stablehlo.shift_right_logical %v.84, %v.17 : tensor<16xui64>
    %v.86 = stablehlo.convert %v.85 : (tensor<16xui64>) -> tensor<16xui32>
    %v.87 = stablehlo.convert %v.84 : (tensor<16xui64>) -> tensor<16xui32>
    %v.88 = stablehlo.convert %v.80 : (tensor<16xui32>) -> tensor<16xui64>
    %v.89 = stablehlo.multiply %v.88, %v.22 : tensor<16xui64>
    %v.90 = stablehlo.shift_right_logical %v.89, %v.17 : tensor<16xui64>
    %v.91 = stablehlo.convert %v.90 : (tensor<16xui64>) -> tensor<16xui32>
    %v.92 = stablehlo.convert %v.89 : (tensor<16xui64>) -> tensor<16xui32>
    %v.93 = stablehlo.xor %v.91, %v.76 : tensor<16xui32>
    %v.94 = stablehlo.xor %v.93, %v.81 : tensor<16xui32>
    %v.95 = stablehlo.xor %v.86, %v.71 : tensor<16xui32>
    %v.96 = stablehlo.xor %v.95, %v.82 : tensor<16xui32>
    %v.97 = stablehlo.add %v.81, %v.31 : tensor<16xui32>
    %v.98 = stablehlo.add %v.82, %v.33 : tensor<16xui32>
    %v.99 = stablehlo.convert %v.94 : (tensor<16xui32>) -> tensor<16xui64>
    %v.100 = stablehlo.multiply %v.99, %v.15 : tensor<16xui64>
    %v.101 = stablehlo.shift_right_logical %v.100, %v.17 : tensor<16xui64>
    %v.102 = stablehlo.convert %v.101 : (tensor<16xui64>) -> tensor<16xui32>
    %v.103 = stablehlo.convert %v.100 : (tensor<16xui64>) -> tensor<16xui32>
    %v.104 = stablehlo.convert %v.96 : (tensor<16xui32>) -> tensor<16xui64>
    %v.105 = stablehlo.multiply %v.104, %v.22 : tensor<16xui64>
    %v.106 = stablehlo.shift_right_logical %v.105, %v.17 : tensor<16xui64>
    %v.107 = stablehlo.convert %v.106 : (tensor<16xui64>) -> tensor<16xui32>
    %v.108 = stablehlo.convert %v.105 : (tensor<16xui64>) -> tensor<16xui32>
    %v.109 = stablehlo.xor %v.107, %v.92 : tensor<16xui32>
    %v.110 = stablehlo.xor %v.109, %v.97 : tensor<16xui32>
    %v.111 = stablehlo.xor %v.102, %v.87 : tensor<16xui32>
    %v.112 = stablehlo.xor %v.111, %v.98 : tensor<16xui32>
    %v.113 = stablehlo.add %v.97, %v.31 : tensor<16xui32>
    %v.114 = stablehlo.add %v.98, %v.33 : tensor<16xui32>
    %v.115 = stablehlo.convert %v.110 : (tensor<16xui32>) -> tensor<16xui64>
    %v.116 = stablehlo.multiply %v.115, %v.15 : tensor<16xui64>
    %v.117 = stablehlo.shift_right_logical %v.116, %v.17 : tensor<16xui64>
    %v.118 = stablehlo.convert %v.117 : (tensor<16xui64>) -> tensor<16xui32>
    %v.119 = stablehlo.convert %v.116 : (tensor<16xui64>) -> tensor<16xui32>
    %v.120 = stablehlo.convert %v.112 : (tensor<16xui32>) -> tensor<16xui64>
    %v.121 = stablehlo.multiply %v.120, %v.22 : tensor<16xui64>
    %v.122 = stablehlo.shift_right_logical %v.121, %v.17 : tensor<16xui64>
    %v.123 = stablehlo.convert %v.122 : (tensor<16xui64>) -> tensor<16xui32>
    %v.124 = stablehlo.convert %v.121 : (tensor<16xui64>) -> tensor<16xui32>
    %v.125 = stablehlo.xor %v.123, %v.108 : tensor<16xui32>
    %v.126 = stablehlo.xor %v.125, %v.113 : tensor<16xui32>
    %v.127 = stablehlo.xor %v.118, %v.103 : tensor<16xui32>
    %v.128 = stablehlo.xor %v.127, %v.114 : tensor<16xui32>
    %v.129 = stablehlo.add %v.113, %v.31 : tensor<16xui32>
    %v.130 = stablehlo.add %v.114, %v.33 : tensor<16xui32>
    %v.131 = stablehlo.convert %v.126 : (tensor<16xui32>) -> tensor<16xui64>
    %v.132 = stablehlo.multiply %v.131, %v.15 : tensor<16xui64>
    %v.133 = stablehlo.shift_right_logical %v.132, %v.17 : tensor<16xui64>
    %v.134 = stablehlo.convert %v.133 : (tensor<16xui64>) -> tensor<16xui32>
    %v.135 = stablehlo.convert %v.132 : (tensor<16xui64>) -> tensor<16xui32>
    %v.136 = stablehlo.convert %v.128 : (tensor<16xui32>) -> tensor<16xui64>
    %v.137 = stablehlo.multiply %v.136, %v.22 : tensor<16xui64>
    %v.138 = stablehlo.shift_right_logical %v.137, %v.17 : tensor<16xui64>
    %v.139 = stablehlo.convert %v.138 : (tensor<16xui64>) -> tensor<16xui32>
    %v.140 = stablehlo.convert %v.137 : (tensor<16xui64>) -> tensor<16xui32>
    %v.141 = stablehlo.xor %v.139, %v.124 : tensor<16xui32>
    %v.142 = stablehlo.xor %v.141, %v.129 : tensor<16xui32>
    %v.143 = stablehlo.xor %v.134, %v.119 : tensor<16xui32>
    %v.144 = stablehlo.xor %v.143, %v.130 : tensor<16xui32>
    %v.145 = stablehlo.add %v.129, %v.31 : tensor<16xui32>
    %v.146 = stablehlo.add %v.130, %v.33 : tensor<16xui32>
    %v.147 = stablehlo.convert %v.142 : (tensor<16xui32>) -> tensor<16xui64>
    %v.148 = stablehlo.multiply %v.147, %v.15 : tensor<16xui64>
    %v.149 = stablehlo.shift_right_logical %v.148, %v.17 : tensor<16xui64>
    %v.150 = stablehlo.convert %v.149 : (tensor<16xui64>) -> tensor<16xui32>
    %v.151 = stablehlo.convert %v.148 : (tensor<16xui64>) -> tensor<16xui32>
    %v.152 = stablehlo.convert %v.144 : (tensor<16xui32>) -> tensor<16xui64>
    %v.153 = stablehlo.multiply %v.152, %v.22 : tensor<16xui64>
    %v.154 = stablehlo.shift_right_logical %v.153, %v.17 : tensor<16xui64>
    %v.155 = stablehlo.convert %v.154 : (tensor<16xui64>) -> tensor<16xui32>
    %v.156 = stablehlo.convert %v.153 : (tensor<16xui64>) -> tensor<16xui32>
    %v.157 = stablehlo.xor %v.155, %v.140 : tensor<16xui32>
    %v.158 = stablehlo.xor %v.157, %v.145 : tensor<16xui32>
    %v.159 = stablehlo.xor %v.150, %v.135 : tensor<16xui32>
    %v.160 = stablehlo.xor %v.159, %v.146 : tensor<16xui32>
    %v.161 = stablehlo.add %v.145, %v.31 : tensor<16xui32>
    %v.162 = stablehlo.add %v.146, %v.33 : tensor<16xui32>
    %v.163 = stablehlo.convert %v.158 : (tensor<16xui32>) -> tensor<16xui64>
    %v.164 = stablehlo.multiply %v.163, %v.15 : tensor<16xui64>
    %v.165 = stablehlo.shift_right_logical %v.164, %v.17 : tensor<16xui64>
    %v.166 = stablehlo.convert %v.165 : (tensor<16xui64>) -> tensor<16xui32>
    %v.167 = stablehlo.convert %v.164 : (tensor<16xui64>) -> tensor<16xui32>
    %v.168 = stablehlo.convert %v.160 : (tensor<16xui32>) -> tensor<16xui64>
    %v.169 = stablehlo.multiply %v.168, %v.22 : tensor<16xui64>
    %v.170 = stablehlo.shift_right_logical %v.169, %v.17 : tensor<16xui64>
    %v.171 = stablehlo.convert %v.170 : (tensor<16xui64>) -> tensor<16xui32>
    %v.172 = stablehlo.convert %v.169 : (tensor<16xui64>) -> tensor<16xui32>
    %v.173 = stablehlo.xor %v.171, %v.156 : tensor<16xui32>
    %v.174 = stablehlo.xor %v.173, %v.161 : tensor<16xui32>
    %v.175 = stablehlo.xor %v.166, %v.151 : tensor<16xui32>
    %v.176 = stablehlo.xor %v.175, %v.162 : tensor<16xui32>
    %v.177 = stablehlo.add %v.161, %v.31 : tensor<16xui32>
    %v.178 = stablehlo.add %v.162, %v.33 : tensor<16xui32>
    %v.179 = stablehlo.reshape %v.174 : (tensor<16xui32>) -> tensor<16x1xui32>
    %v.180 = stablehlo.reshape %v.172 : (tensor<16xui32>) -> tensor<16x1xui32>
    %v.181 = stablehlo.reshape %v.176 : (tensor<16xui32>) -> tensor<16x1xui32>
    %v.182 = stablehlo.reshape %v.167 : (tensor<16xui32>) -> tensor<16x1xui32>
    %v.183 = stablehlo.concatenate %v.179, %v.180, %v.181, %v.182, dim = 1 : (tensor<16x1xui32>, tensor<16x1xui32>, tensor<16x1xui32>, tensor<16x1xui32>) -> tensor<16x4xui32>
    %v.184 = stablehlo.reshape %v.183 : (tensor<16x4xui32>) -> tensor<64xui32>
    return %v.184 : tensor<64xui32>
  }
  func.func private @philox_96(%seed: tensor<4xui32>, %site: tensor<ui32>) -> tensor<96xui32> {
    %v.0 = stablehlo.iota dim = 0 : tensor<24xui32>
    %v.1 = stablehlo.broadcast_in_dim %site, dims = [] : (tensor<ui32>) -> tensor<24xui32>
    %v.2 = stablehlo.slice %seed [2:3] : (tensor<4xui32>) -> tensor<1xui32>
    %v.3 = stablehlo.reshape %v.2 : (tensor<1xui32>) -> tensor<ui32>
    %v.4 = stablehlo.broadcast_in_dim %v.3, dims = [] : (tensor<ui32>) -> tensor<24xui32>
    %v.5 = stablehlo.slice %seed [3:4] : (tensor<4xui32>) -> tensor<1xui32>
    %v.6 = stablehlo.reshape %v.5 : (tensor<1xui32>) -> tensor<ui32>
    %v.7 = stablehlo.broadcast_in_dim %v.6, dims = [] : (tensor<ui32>) -> tensor<24xui32>
    %v.8 = stablehlo.slice %seed [0:1] : (tensor<4xui32>) -> tensor<1xui32>
    %v.9 = stablehlo.reshape %v.8 : (tensor<1xui32>) -> tensor<ui32>
    %v.10 = stablehlo.broadcast_in_dim %v.9, dims = [] : (tensor<ui32>) -> tensor<24xui32>
    %v.11 = stablehlo.slice %seed [1:2] : (tensor<4xui32>) -> tensor<1xui32>
    %v.12 = stablehlo.reshape %v.11 : (tensor<1xui32>) -> tensor<ui32>
    %v.13 = stablehlo.broadcast_in_dim %v.12, dims = [] : (tensor<ui32>) -> tensor<24xui32>
    %v.14 = stablehlo.convert %v.0 : (tensor<24xui32>) -> tensor<24xui64>
    %v.15 = stablehlo.constant dense<3528531795> : tensor<24xui64>
    %v.16 = stablehlo.multiply %v.14, %v.15 : tensor<24xui64>
    %v.17 = stablehlo.constant dense<32> : tensor<24xui64>
    %v.18 = stablehlo.shift_right_logical %v.16, %v.17 : tensor<24xui64>
    %v.19 = stablehlo.convert %v.18 : (tensor<24xui64>) -> tensor<24xui32>
    %v.20 = stablehlo.convert %v.16 : (tensor<24xui64>) -> tensor<24xui32>
    %v.21 = stablehlo.convert %v.4 : (tensor<24xui32>) -> tensor<24xui64>
    %v.22 = stablehlo.constant dense<3449720151> : tensor<24xui64>
    %v.23 = stablehlo.multiply %v.21, %v.22 : tensor<24xui64>
    %v.24 = stablehlo.shift_right_logical %v.23, %v.17 : tensor<24xui64>
    %v.25 = stablehlo.convert %v.24 : (tensor<24xui64>) -> tensor<24xui32>
    %v.26 = stablehlo.convert %v.23 : (tensor<24xui64>) -> tensor<24xui32>
    %v.27 = stablehlo.xor %v.25, %v.1 : tensor<24xui32>
    %v.28 = stablehlo.xor %v.27, %v.10 : tensor<24xui32>
    %v.29 = stablehlo.xor %v.19, %v.7 : tensor<24xui32>
    %v.30 = stablehlo.xor %v.29, %v.13 : tensor<24xui32>
    %v.31 = stablehlo.constant dense<2654435769> : tensor<24xui32>
    %v.32 = stablehlo.add %v.10, %v.31 : tensor<24xui32>
    %v.33 = stablehlo.constant dense<3144134277> : tensor<24xui32>
    %v.34 = stablehlo.add %v.13, %v.33 : tensor<24xui32>
    %v.35 = stablehlo.convert %v.28 : (tensor<24xui32>) -> tensor<24xui64>
    %v.36 = stablehlo.multiply %v.35, %v.15 : tensor<24xui64>
    %v.37 = stablehlo.shift_right_logical %v.36, %v.17 : tensor<24xui64>
    %v.38 = stablehlo.convert %v.37 : (tensor<24xui64>) -> tensor<24xui32>
    %v.39 = stablehlo.convert %v.36 : (tensor<24xui64>) -> tensor<24xui32>
    %v.40 = stablehlo.convert %v.30 : (tensor<24xui32>) -> tensor<24xui64>
    %v.41 = stablehlo.multiply %v.40, %v.22 : tensor<24xui64>
    %v.42 = stablehlo.shift_right_logical %v.41, %v.17 : tensor<24xui64>
    %v.43 = stablehlo.convert %v.42 : (tensor<24xui64>) -> tensor<24xui32>
    %v.44 = stablehlo.convert %v.41 : (tensor<24xui64>) -> tensor<24xui32>
    %v.45 = stablehlo.xor %v.43, %v.26 : tensor<24xui32>
    %v.46 = stablehlo.xor %v.45, %v.32 : tensor<24xui32>
    %v.47 = stablehlo.xor %v.38, %v.20 : tensor<24xui32>
    %v.48 = stablehlo.xor %v.47, %v.34 : tensor<24xui32>
    %v.49 = stablehlo.add %v.32, %v.31 : tensor<24xui32>
    %v.50 = stablehlo.add %v.34, %v.33 : tensor<24xui32>
    %v.51 = stablehlo.convert %v.46 : (tensor<24xui32>) -> tensor<24xui64>
    %v.52 = stablehlo.multiply %v.51, %v.15 : tensor<24xui64>
    %v.53 = stablehlo.shift_right_logical %v.52, %v.17 : tensor<24xui64>
    %v.54 = stablehlo.convert %v.53 : (tensor<24xui64>) -> tensor<24xui32>
    %v.55 = stablehlo.convert %v.52 : (tensor<24xui64>) -> tensor<24xui32>
    %v.56 = stablehlo.convert %v.48 : (tensor<24xui32>) -> tensor<24xui64>
    %v.57 = stablehlo.multiply %v.56, %v.22 : tensor<24xui64>
    %v.58 = stablehlo.shift_right_logical %v.57, %v.17 : tensor<24xui64>
    %v.59 = stablehlo.convert %v.58 : (tensor<24xui64>) -> tensor<24xui32>
    %v.60 = stablehlo.convert %v.57 : (tensor<24xui64>) -> tensor<24xui32>
    %v.61 = stablehlo.xor %v.59, %v.44 : tensor<24xui32>
    %v.62 = stablehlo.xor %v.61, %v.49 : tensor<24xui32>
    %v.63 = stablehlo.xor %v.54, %v.39 : tensor<24xui32>
    %v.64 = stablehlo.xor %v.63, %v.50 : tensor<24xui32>
    %v.65 = stablehlo.add %v.49, %v.31 : tensor<24xui32>
    %v.66 = stablehlo.add %v.50, %v.33 : tensor<24xui32>
    %v.67 = stablehlo.convert %v.62 : (tensor<24xui32>) -> tensor<24xui64>
    %v.68 = stablehlo.multiply %v.67, %v.15 : tensor<24xui64>
    %v.69 = stablehlo.shift_right_logical %v.68, %v.17 : tensor<24xui64>
    %v.70 = stablehlo.convert %v.69 : (tensor<24xui64>) -> tensor<24xui32>
    %v.71 = stablehlo.convert %v.68 : (tensor<24xui64>) -> tensor<24xui32>
    %v.72 = stablehlo.convert %v.64 : (tensor<24xui32>) -> tensor<24xui64>
    %v.73 = stablehlo.multiply %v.72, %v.22 : tensor<24xui64>
    %v.74 = stablehlo.shift_right_logical %v.73, %v.17 : tensor<24xui64>
    %v.75 = stablehlo.convert %v.74 : (tensor<24xui64>) -> tensor<24xui32>
    %v.76 = stablehlo.convert %v.73 : (tensor<24xui64>) -> tensor<24xui32>
    %v.77 = stablehlo.xor %v.75, %v.60 : tensor<24xui32>
    %v.78 = stablehlo.xor %v.77, %v.65 : tensor<24xui32>
    %v.79 = stablehlo.xor %v.70, %v.55 : tensor<24xui32>
    %v.80 = stablehlo.xor %v.79, %v.66 : tensor<24xui32>
    %v.81 = stablehlo.add %v.65, %v.31 : tensor<24xui32>
    %v.82 = stablehlo.add %v.66, %v.33 : tensor<24xui32>
    %v.83 = stablehlo.convert %v.78 : (tensor<24xui32>) -> tensor<24xui64>
    %v.84 = stablehlo.multiply %v.83, %v.15 : tensor<24xui64>
    %v.85 = stablehlo.shift_right_logical %v.84, %v.17 : tensor<24xui64>
    %v.86 = stablehlo.convert %v.85 : (tensor<24xui64>) -> tensor<24xui32>
    %v.87 = stablehlo.convert %v.84 : (tensor<24xui64>) -> tensor<24xui32>
    %v.88 = stablehlo.convert %v.80 : (tensor<24xui32>) -> tensor<24xui64>
    %v.89 = stablehlo.multiply %v.88, %v.22 : tensor<24xui64>
    %v.90 = stablehlo.shift_right_logical %v.89, %v.17 : tensor<24xui64>
    %v.91 = stablehlo.convert %v.90 : (tensor<24xui64>) -> tensor<24xui32>
    %v.92 = stablehlo.convert %v.89 : (tensor<24xui64>) -> tensor<24xui32>
    %v.93 = stablehlo.xor %v.91, %v.76 : tensor<24xui32>
    %v.94 = stablehlo.xor %v.93, %v.81 : tensor<24xui32>
    %v.95 = stablehlo.xor %v.86, %v.71 : tensor<24xui32>
    %v.96 = stablehlo.xor %v.95, %v.82 : tensor<24xui32>
    %v.97 = stablehlo.add %v.81, %v.31 : tensor<24xui32>
    %v.98 = stablehlo.add %v.82, %v.33 : tensor<24xui32>
    %v.99 = stablehlo.convert %v.94 : (tensor<24xui32>) -> tensor<24xui64>
    %v.100 = stablehlo.multiply %v.99, %v.15 : tensor<24xui64>
    %v.101 = stablehlo.shift_right_logical %v.100, %v.17 : tensor<24xui64>
    %v.102 = stablehlo.convert %v.101 : (tensor<24xui64>) -> tensor<24xui32>
    %v.103 = stablehlo.convert %v.100 : (tensor<24xui64>) -> tensor<24xui32>
    %v.104 = stablehlo.convert %v.96 : (tensor<24xui32>) -> tensor<24xui64>
    %v.105 = stablehlo.multiply %v.104, %v.22 : tensor<24xui64>
    %v.106 = stablehlo.shift_right_logical %v.105, %v.17 : tensor<24xui64>
    %v.107 = stablehlo.convert %v.106 : (tensor<24xui64>) -> tensor<24xui32>
    %v.108 = stablehlo.convert %v.105 : (tensor<24xui64>) -> tensor<24xui32>
    %v.109 = stablehlo.xor %v.107, %v.92 : tensor<24xui32>
    %v.110 = stablehlo.xor %v.109, %v.97 : tensor<24xui32>
    %v.111 = stablehlo.xor %v.102, %v.87 : tensor<24xui32>
    %v.112 = stablehlo.xor %v.111, %v.98 : tensor<24xui32>
    %v.113 = stablehlo.add %v.97, %v.31 : tensor<24xui32>
    %v.114 = stablehlo.add %v.98, %v.33 : tensor<24xui32>
    %v.115 = stablehlo.convert %v.110 : (tensor<24xui32>) -> tensor<24xui64>
    %v.116 = stablehlo.multiply %v.115, %v.15 : tensor<24xui64>
    %v.117 = stablehlo.shift_right_logical %v.116, %v.17 : tensor<24xui64>
    %v.118 = stablehlo.convert %v.117 : (tensor<24xui64>) -> tensor<24xui32>
    %v.119 = stablehlo.convert %v.116 : (tensor<24xui64>) -> tensor<24xui32>
    %v.120 = stablehlo.convert %v.112 : (tensor<24xui32>) -> tensor<24xui64>
    %v.121 = stablehlo.multiply %v.120, %v.22 : tensor<24xui64>
    %v.122 = stablehlo.shift_right_logical %v.121, %v.17 : tensor<24xui64>
    %v.123 = stablehlo.convert %v.122 : (tensor<24xui64>) -> tensor<24xui32>
    %v.124 = stablehlo.convert %v.121 : (tensor<24xui64>) -> tensor<24xui32>
    %v.125 = stablehlo.xor %v.123, %v.108 : tensor<24xui32>
    %v.126 = stablehlo.xor %v.125, %v.113 : tensor<24xui32>
    %v.127 = stablehlo.xor %v.118, %v.103 : tensor<24xui32>
    %v.128 = stablehlo.xor %v.127, %v.114 : tensor<24xui32>
    %v.129 = stablehlo.add %v.113, %v.31 : tensor<24xui32>
    %v.130 = stablehlo.add %v.114, %v.33 : tensor<24xui32>
    %v.131 = stablehlo.convert %v.126 : (tensor<24xui32>) -> tensor<24xui64>
    %v.132 = stablehlo.multiply %v.131, %v.15 : tensor<24xui64>
    %v.133 = stablehlo.shift_right_logical %v.132, %v.17 : tensor<24xui64>
    %v.134 = stablehlo.convert %v.133 : (tensor<24xui64>) -> tensor<24xui32>
    %v.135 = stablehlo.convert %v.132 : (tensor<24xui64>) -> tensor<24xui32>
    %v.136 = stablehlo.convert %v.128 : (tensor<24xui32>) -> tensor<24xui64>
    %v.137 = stablehlo.multiply %v.136, %v.22 : tensor<24xui64>
    %v.138 = stablehlo.shift_right_logical %v.137, %v.17 : tensor<24xui64>
    %v.139 = stablehlo.convert %v.138 : (tensor<24xui64>) -> tensor<24xui32>
    %v.140 = stablehlo.convert %v.137 : (tensor<24xui64>) -> tensor<24xui32>
    %v.141 = stablehlo.xor %v.139, %v.124 : tensor<24xui32>
    %v.142 = stablehlo.xor %v.141, %v.129 : tensor<24xui32>
    %v.143 = stablehlo.xor %v.134, %v.119 : tensor<24xui32>
    %v.144 = stablehlo.xor %v.143, %v.130 : tensor<24xui32>
    %v.145 = stablehlo.add %v.129, %v.31 : tensor<24xui32>
    %v.146 = stablehlo.add %v.130, %v.33 : tensor<24xui32>
    %v.147 = stablehlo.convert %v.142 : (tensor<24xui32>) -> tensor<24xui64>
    %v.148 = stablehlo.multiply %v.147, %v.15 : tensor<24xui64>
    %v.149 = stablehlo.shift_right_logical %v.148, %v.17 : tensor<24xui64>
    %v.150 = stablehlo.convert %v.149 : (tensor<24xui64>) -> tensor<24xui32>
    %v.151 = stablehlo.convert %v.148 : (tensor<24xui64>) -> tensor<24xui32>
    %v.152 = stablehlo.convert %v.144 : (tensor<24xui32>) -> tensor<24xui64>
    %v.153 = stablehlo.multiply %v.152, %v.22 : tensor<24xui64>
    %v.154 = stablehlo.shift_right_logical %v.153, %v.17 : tensor<24xui64>
    %v.155 = stablehlo.convert %v.154 : (tensor<24xui64>) -> tensor<24xui32>
    %v.156 = stablehlo.convert %v.153 : (tensor<24xui64>) -> tensor<24xui32>
    %v.157 = stablehlo.xor %v.155, %v.140 : tensor<24xui32>
    %v.158 = stablehlo.xor %v.157, %v.145 : tensor<24xui32>
    %v.159 = stablehlo.xor %v.150, %v.135 : tensor<24xui32>
    %v.160 = stablehlo.xor %v.159, %v.146 : tensor<24xui32>
    %v.161 = stablehlo.add %v.145, %v.31 : tensor<24xui32>
    %v.162 = stablehlo.add %v.146, %v.33 : tensor<24xui32>
    %v.163 = stablehlo.convert %v.158 : (tensor<24xui32>) -> tensor<24xui64>
    %v.164 = stablehlo.multiply %v.163, %v.15 : tensor<24xui64>
    %v.165 = stablehlo.shift_right_logical %v.164, %v.17 : tensor<24xui64>
    %v.166 = stablehlo.convert %v.165 : (tensor<24xui64>) -> tensor<24xui32>
    %v.167 = stablehlo.convert %v.164 : (tensor<24xui64>) -> tensor<24xui32>
    %v.168 = stablehlo.convert %v.160 : (tensor<24xui32>) -> tensor<24xui64>
    %v.169 = stablehlo.multiply %v.168, %v.22 : tensor<24xui64>
    %v.170 = stablehlo.shift_right_logical %v.169, %v.17 : tensor<24xui64>
    %v.171 = stablehlo.convert %v.170 : (tensor<24xui64>) -> tensor<24xui32>
    %v.172 = stablehlo.convert %v.169 : (tensor<24xui64>) -> tensor<24xui32>
    %v.173 = stablehlo.xor %v.171, %v.156 : tensor<24xui32>
    %v.174 = stablehlo.xor %v.173, %v.161 : tensor<24xui32>
    %v.175 = stablehlo.xor %v.166, %v.151 : tensor<24xui32>
    %v.176 = stablehlo.xor %v.175, %v.162 : tensor<24xui32>
    %v.177 = stablehlo.add %v.161, %v.31 : tensor<24xui32>
    %v.178 = stablehlo.add %v.162, %v.33 : tensor<24xui32>
    %v.179 = stablehlo.reshape %v.174 : (tensor<24xui32>) -> tensor<24x1xui32>
    %v.180 = stablehlo.reshape %v.172 : (tensor<24xui32>) -> tensor<24x1xui32>
    %v.181 = stablehlo.reshape %v.176 : (tensor<24xui32>) -> tensor<24x1xui32>
    %v.182 = stablehlo.reshape %v.167 : (tensor<24xui32>) -> tensor<24x1xui32>
    %v.183 = stablehlo.concatenate %v.179, %v.180, %v.181, %v.182, dim = 1 : (tensor<24x1xui32>, tensor<24x1xui32>, tensor<24x1xui32>, tensor<24x1xui32>) -> tensor<24x4xui32>
    %v.184 = stablehlo.reshape %v.183 : (tensor<24x4xui32>) -> tensor<96xui32>
    return %v.184 : tensor<96xui32>
  }
}
#call0 = loc("micro/order.0")
#call1 = loc("micro/rope_table.1")
#call2 = loc("micro/embedding.2")
#call3 = loc("micro/rms_norm.3")
#call4 = loc("micro/linear.4")
#call5 = loc("micro/linear.5")
#call6 = loc("micro/linear.6")
#call7 = loc("micro/rope.7")
#call8 = loc("micro/rope.8")
#call9 = loc("micro/attention.9")
#call10 = loc("micro/linear.10")
#call11 = loc("micro/rms_norm.11")
#call12 = loc("micro/linear.12")
#call13 = loc("micro/linear.13")
#call14 = loc("micro/swiglu.14")
#call15 = loc("micro/linear.15")
#call16 = loc("micro/add.16")
#call17 = loc("micro/rms_norm.17")
#call18 = loc("micro/linear_cross_entropy.18")
#call19 = loc("micro/rms_norm_backward.19")
#call20 = loc("micro/linear_backward.20")
#call21 = loc("micro/swiglu_backward.21")
#call22 = loc("micro/linear_backward.22")
#call23 = loc("micro/linear_backward.23")
#call24 = loc("micro/rms_norm_backward.24")
#call25 = loc("micro/linear_backward.25")
#call26 = loc("micro/attention_backward.26")
#call27 = loc("micro/rope.27")
#call28 = loc("micro/rope.28")
#call29 = loc("micro/linear_backward.29")
