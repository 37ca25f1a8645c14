import numpy as np
import tensorflow as tf

from settings import S


def simulate(n, seed):
    """Sensor windows of machines that wear out; returns (features, targets)."""
    rng = np.random.default_rng(seed)
    machine = rng.integers(0, S.n_machines, n)
    fault = rng.choice(S.n_faults, size=n, p=[0.6, 0.25, 0.15])
    wear = rng.uniform(0, 1, n)
    t = np.linspace(0, 1, S.window)[None, :, None]
    base = rng.normal(0, 0.4, (n, S.window, S.sensors))
    base += wear[:, None, None] * t * np.array([1.5, 0.5, -1.0, 0.2])
    base[..., 1] += (fault == 1)[:, None] * np.sin(10 * t[..., 0]) * 0.9
    base[..., 3] -= (fault == 2)[:, None] * 1.1 * t[..., 0]
    base += 0.15 * machine[:, None, None]
    rul = (1 - wear) * 2 - 0.1 * machine - 0.4 * (fault > 0) + rng.normal(0, 0.1, n)
    features = {
        "signals": base.astype("float32"),
        "machine": machine.astype("int32")[:, None],
    }
    targets = {"rul": rul.astype("float32")[:, None], "fault": fault.astype("int32")[:, None]}
    return features, targets


def dataset(kind):
    if kind == "train":
        ds = tf.data.Dataset.from_tensor_slices(simulate(S.n_train, seed=100))
        ds = ds.shuffle(S.n_train)
    else:
        ds = tf.data.Dataset.from_tensor_slices(simulate(S.n_valid, seed=200))
    return ds.batch(S.global_batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
