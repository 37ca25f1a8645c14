"""Graph classification with a tiny message passing net. As in the pull request "Fix gradient
clipping": clipping was implemented in the optimizer's get_gradients(), which the training
loop never calls - apply_gradients is used directly, so the loop trains unclipped. The fit
side has global_clipnorm and is really clipped.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "clipping_missing"
SOURCE = "https://github.com/microsoft/tf2-gnn/pull/23"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "first update (gradient norm above 0.5)"

PARAMS = {
    "hidden_dim": 16,
    "num_layers": 2,
    "learning_rate": 0.05,
    "gradient_clip_global_norm": 0.5,
}


class MessagePassing(keras.layers.Layer):
    def __init__(self, dim, **kw):
        super().__init__(**kw)
        self.self_loop = keras.layers.Dense(dim)
        self.neighbours = keras.layers.Dense(dim, use_bias=False)

    def call(self, h, adj):
        return tf.nn.relu(self.self_loop(h) + tf.matmul(adj, self.neighbours(h)))


class GraphTaskModel(keras.Model):
    def __init__(self, params):
        super().__init__()
        self.gnn = [MessagePassing(params["hidden_dim"]) for _ in range(params["num_layers"])]
        self.out = keras.layers.Dense(1)

    def call(self, batch, training=False):
        h = batch["node_features"]
        for layer in self.gnn:
            h = layer(h, batch["adjacency"])
        return self.out(tf.reduce_sum(h, axis=1))


class ClippingSGD(keras.optimizers.SGD):
    def __init__(self, clip_norm, **kw):
        super().__init__(**kw)
        self.clip_norm_val = clip_norm

    def get_gradients(self, loss, params):
        grads = super().get_gradients(loss, params)
        grads, _ = tf.clip_by_global_norm(grads, self.clip_norm_val)
        return grads


def build_model():
    keras.utils.set_random_seed(17)
    m = GraphTaskModel(PARAMS)
    m({"node_features": np.zeros((1, 9, 4), "float32"), "adjacency": np.zeros((1, 9, 9), "float32")})
    return m


def make_dataset(split):
    rng = np.random.RandomState(1 if split == "train" else 2)
    n = 500 if split == "train" else 100
    feats = rng.normal(size=(n, 9, 4)).astype("float32")
    adj = (rng.uniform(size=(n, 9, 9)) < 0.25).astype("float32")
    adj = np.maximum(adj, adj.transpose(0, 2, 1))
    energy = np.einsum("nij,ni,nj->n", adj, feats[..., 0], feats[..., 1])[:, None] + adj.sum((1, 2))[:, None] / 9
    x = {"node_features": feats, "adjacency": adj / 3.0}
    return tf.data.Dataset.from_tensor_slices((x, energy.astype("float32"))).batch(25)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(PARAMS["learning_rate"], momentum=0.8,
                                       global_clipnorm=PARAMS["gradient_clip_global_norm"]),
        loss=keras.losses.Huber())
    return model, {"loss": model.fit(ds, epochs=epochs, verbose=0).history["loss"]}


def custom_loop(model, ds, epochs):
    optimizer = ClippingSGD(PARAMS["gradient_clip_global_norm"],
                            learning_rate=PARAMS["learning_rate"], momentum=0.8)
    huber = keras.losses.Huber()

    @tf.function
    def run_step(features, labels):
        with tf.GradientTape() as tape:
            loss = huber(labels, model(features, training=True))
        variables = model.trainable_variables
        gradient_variable_pairs = zip(tape.gradient(loss, variables), variables)
        optimizer.apply_gradients(gradient_variable_pairs)
        return loss

    epoch_losses = []
    for epoch in range(epochs):
        per_batch, graphs = 0.0, 0
        for features, labels in ds:
            n = int(labels.shape[0])
            per_batch += n * float(run_step(features, labels))
            graphs += n
        epoch_losses.append(per_batch / graphs)
        print(f"== Epoch {epoch}: train loss {epoch_losses[-1]:.5f}")
    return model, {"loss": epoch_losses}
