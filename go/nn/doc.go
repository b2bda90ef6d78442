// Package nn holds the layers of a model and the training step, each written
// once: forward and backward side by side, over the operations of bindings.
//
// A layer is told where its tensors are and never what is in them. It is given
// a Reading (operations, memory, the device's profile) and no way to download,
// so nothing computed on the device can decide what the host does. The same
// calls run the step, trace it or count its bytes, depending on the device.
//
// Layers save first and take temporaries after: a block allocates what its
// backward pass needs, marks the activation stack, works, and releases. So the
// stack needs no holes.
//
// What lives elsewhere: which layers make up a model (go/model), what is
// trained and where it enters (go/method), the numbers of the optimizer
// (go/optim), where batches come from (go/data).
package nn
