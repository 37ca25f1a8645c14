# Self-supervised pretraining on paired recordings of the same event (two
# microphones).  Online network predicts the embedding the slow network gives
# for the other view; the slow network is a copy that is renewed every RENEW
# updates.  Version 1 uses fit(), version 2 is the loop for the cluster.
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import keras
from keras import layers, ops
import tensorflow as tf

RENEW = 30
BATCH = 32
EPOCHS = 6
DIM = 16


def recordings(n=512, d=20, seed=3):
    rng = np.random.RandomState(seed)
    kind = rng.randint(0, 5, n)
    protos = rng.randn(5, d) * 1.5
    clean = protos[kind] + 0.4 * rng.randn(n, d)
    left = clean + 0.3 * rng.randn(n, d)
    right = clean * rng.uniform(0.8, 1.2, (n, 1)) + 0.3 * rng.randn(n, d)
    return left.astype("float32"), right.astype("float32"), kind


def encoder(d):
    return keras.Sequential([
        keras.Input((d,)),
        layers.Dense(32, activation="relu"),
        layers.Dense(DIM),
    ])


def predictor():
    return keras.Sequential([keras.Input((DIM,)),
                             layers.Dense(24, activation="relu"),
                             layers.Dense(DIM)])


def neg_cos(p, z):
    p = ops.normalize(p, axis=-1)
    z = ops.normalize(z, axis=-1)
    return ops.mean(2.0 - 2.0 * ops.sum(p * z, axis=-1))


class TwoViews(keras.Model):
    def __init__(self, d):
        super().__init__()
        self.online = encoder(d)
        self.head = predictor()
        self.slow = encoder(d)
        self.slow.set_weights(self.online.get_weights())
        self.slow.trainable = False
        self.updates = 0
        self.tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.tracker]

    def call(self, x, training=False):
        return self.head(self.online(x, training=training), training=training)

    def pair_loss(self, a, b):
        za = tf.stop_gradient(self.slow(a, training=False))
        zb = tf.stop_gradient(self.slow(b, training=False))
        return 0.5 * (neg_cos(self(a, training=True), zb)
                      + neg_cos(self(b, training=True), za))

    def renew(self):
        for s, o in zip(self.slow.weights, self.online.weights):
            s.assign(o)

    def train_step(self, data):
        (a, b), = data
        with tf.GradientTape() as tape:
            loss = self.pair_loss(a, b)
        weights = self.online.trainable_weights + self.head.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        self.updates += 1
        if self.updates % RENEW == 0:
            self.renew()
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}


left, right, kind = recordings()
ds = tf.data.Dataset.from_tensor_slices((left, right))
ds = ds.shuffle(512, seed=1).batch(BATCH).map(lambda a, b: ((a, b),))

# ---- version 1
keras.utils.set_random_seed(0)
m1 = TwoViews(left.shape[1])
m1.compile(optimizer=keras.optimizers.Adam(2e-3))
m1.fit(ds, epochs=EPOCHS, verbose=2)

# ---- version 2
keras.utils.set_random_seed(0)
m2 = TwoViews(left.shape[1])
opt = keras.optimizers.Adam(2e-3)
weights = m2.online.trainable_weights + m2.head.trainable_weights


@tf.function
def step(a, b):
    with tf.GradientTape() as tape:
        loss = m2.pair_loss(a, b)
    opt.apply_gradients(zip(tape.gradient(loss, weights), weights))
    return loss


n = 0
for epoch in range(EPOCHS):
    seen = []
    for (a, b), in ds:
        seen.append(float(step(a, b)))
        n += 1
        if n % RENEW == 0:
            m2.renew()
    print(f"epoch {epoch + 1}  loss {np.mean(seen):.4f}")


def probe(model):
    z = model.online.predict(left, verbose=0)
    mid = np.stack([z[kind == k].mean(0) for k in range(5)])
    near = ((z[:, None] - mid[None]) ** 2).sum(-1).argmin(1)
    return (near == kind).mean()


print("nearest-centroid accuracy: fit %.3f, loop %.3f" % (probe(m1), probe(m2)))
