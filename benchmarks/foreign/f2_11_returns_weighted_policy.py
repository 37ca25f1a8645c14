"""Report: a reader of a policy-gradient tutorial finds that -mean(log_prob * weight) divides by the
number of actions where he expected another normalization.
Here logged actions are imitated with return weights: fit's loss is the weighted mean (divided
by the sum of the weights), the loop takes the plain mean of weight times -log_prob.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "weighted_mean_normalization"
SOURCE = "https://github.com/openai/spinningup/issues/59"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "loss of the first step"

OBS, ACTIONS = 6, 4


def make_dataset(split):
    rng = np.random.default_rng(70 if split == "train" else 71)
    rows = 1000 if split == "train" else 200
    obs = rng.normal(size=(rows, OBS)).astype("float32")
    best = np.argmax(obs[:, :ACTIONS] + 0.3 * obs[:, 2:3], axis=1)
    act = np.where(rng.random(rows) < 0.6, best, rng.integers(0, ACTIONS, rows)).astype("int32")
    ret = (act == best) * 1.0 + 0.5 * rng.normal(size=rows)
    weights = np.exp(ret / 0.7).clip(0.0, 8.0).astype("float32")
    return tf.data.Dataset.from_tensor_slices((obs, act, weights)).batch(40)


def build_model():
    keras.utils.set_random_seed(2)
    net = keras.Sequential(name="policy")
    net.add(keras.Input((OBS,)))
    net.add(keras.layers.Dense(32, activation="tanh"))
    net.add(keras.layers.Dense(ACTIONS))
    return net


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"),
    )
    h = model.fit(ds, epochs=epochs, verbose=0)
    return model, {"loss": h.history["loss"]}


class Agent:
    def __init__(self, policy, lr):
        self.policy = policy
        self.opt = keras.optimizers.SGD(lr)

    def compute_loss(self, obs, act, weights):
        logits = self.policy(obs, training=True)
        log_probs = tf.nn.log_softmax(logits)
        logp = tf.reduce_sum(log_probs * tf.one_hot(act, ACTIONS), axis=1)
        return -tf.reduce_mean(weights * logp)

    @tf.function
    def update(self, obs, act, weights):
        with tf.GradientTape() as tape:
            loss = self.compute_loss(obs, act, weights)
        params = self.policy.trainable_variables
        self.opt.apply_gradients(zip(tape.gradient(loss, params), params))
        return loss

    def train_one_epoch(self, batches):
        losses = [self.update(o, a, w) for o, a, w in batches]
        return float(tf.add_n(losses) / len(losses))


def custom_loop(model, ds, epochs):
    agent = Agent(model, 0.1)
    return agent.policy, {"loss": [agent.train_one_epoch(ds) for _ in range(epochs)]}
