"""Report: in a graph-network library the gradient clipping was there but had no effect, as the
training loop never went through the place that clips.
Here the trainer has a clipping method that returns new pairs; the loop calls it and then
applies the pairs it had before. fit clips by the optimizer's global norm.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "clipping_missing"
SOURCE = "https://github.com/microsoft/tf2-gnn/pull/23"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "first update (its length)"

NODES, FEATS = 7, 5
CLIP = 1.0


def make_dataset(split):
    """Small complete graphs: node features and one property per graph."""
    rng = np.random.default_rng(40 if split == "train" else 41)
    n = 480 if split == "train" else 96
    x = rng.normal(size=(n, NODES, FEATS)).astype("float32")
    y = 4.0 * np.tanh(x[:, :, 0]).sum(1) + 2.0 * x[:, :, 1].max(1) + 5.0
    y = y.astype("float32")[:, None]
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(16)


class MessagePass(keras.layers.Layer):
    def __init__(self, units, **kw):
        super().__init__(**kw)
        self.own = keras.layers.Dense(units)
        self.others = keras.layers.Dense(units, use_bias=False)

    def build(self, shape):
        self.own.build(shape)
        self.others.build(shape)

    def call(self, nodes):
        pooled = keras.ops.mean(nodes, axis=1, keepdims=True)
        return keras.ops.tanh(self.own(nodes) + self.others(pooled))


def build_model():
    keras.utils.set_random_seed(77)
    inp = keras.Input((NODES, FEATS))
    h = MessagePass(16)(inp)
    h = MessagePass(16)(h)
    h = keras.layers.GlobalAveragePooling1D()(h)
    return keras.Model(inp, keras.layers.Dense(1)(h))


def keras_fit(model, ds, epochs):
    sgd = keras.optimizers.SGD(learning_rate=0.01, momentum=0.8, global_clipnorm=CLIP)
    model.compile(sgd, loss=keras.losses.MeanSquaredError())
    hist = model.fit(ds, epochs=epochs, verbose=0)
    return model, {"loss": hist.history["loss"]}


class GraphTask:
    def __init__(self, model, params):
        self.model = model
        self._params = params
        self.optimizer = keras.optimizers.SGD(learning_rate=params["lr"], momentum=params["momentum"])

    def clip(self, gradient_variable_pairs):
        max_norm = self._params.get("gradient_clip_global_norm")
        if max_norm is None:
            return gradient_variable_pairs
        grads = [g for g, _ in gradient_variable_pairs]
        clipped, _ = tf.clip_by_global_norm(grads, max_norm)
        return [(g, v) for g, (_, v) in zip(clipped, gradient_variable_pairs)]

    @tf.function
    def run_step(self, batch_x, batch_y):
        with tf.GradientTape() as tape:
            out = self.model(batch_x, training=True)
            loss = tf.reduce_mean(tf.square(out - batch_y))
        variables = self.model.trainable_variables
        pairs = list(zip(tape.gradient(loss, variables), variables))
        self.clip(pairs)
        self.optimizer.apply_gradients(pairs)
        return loss


def custom_loop(model, ds, epochs):
    task = GraphTask(model, {"lr": 0.01, "momentum": 0.8, "gradient_clip_global_norm": CLIP})
    per_epoch = []
    for _ in range(epochs):
        total, rows = 0.0, 0
        for bx, by in ds:
            total += float(task.run_step(bx, by)) * len(bx)
            rows += len(bx)
        per_epoch.append(total / rows)
    return model, {"loss": per_epoch}
