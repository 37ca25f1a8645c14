"""Eight pumps, vibration sampled once a minute; predict the next minute. Batch row = pump."""
import numpy as np

N_PUMPS, WINDOW = 8, 12


def recordings(minutes=481, seed=4):
    r = np.random.default_rng(seed)
    t = np.arange(minutes)
    drift = np.cumsum(r.normal(0, 0.05, (N_PUMPS, minutes)), axis=1)
    load = r.uniform(0.5, 2.0, (N_PUMPS, 1))
    phase = r.uniform(0, 6.28, (N_PUMPS, 1))
    s = load * np.sin(2 * np.pi * t / 90 + phase) + drift + 0.1 * r.normal(size=(N_PUMPS, minutes))
    return s.astype("float32")


def windows(series):
    """(N_PUMPS, T) -> x (steps * N_PUMPS, WINDOW, 1), y the same shape, one minute later.

    Step-major: rows k*N_PUMPS ... (k+1)*N_PUMPS-1 are the k-th window of all the pumps,
    so that a stateful layer with batch size N_PUMPS goes on where the pump was left.
    """
    steps = (series.shape[1] - 1) // WINDOW
    xs, ys = [], []
    for k in range(steps):
        a = k * WINDOW
        xs.append(series[:, a:a + WINDOW])
        ys.append(series[:, a + 1:a + WINDOW + 1])
    return np.concatenate(xs)[..., None], np.concatenate(ys)[..., None]


def split():
    s = recordings()
    return windows(s[:, :361]), windows(s[:, 360:])
