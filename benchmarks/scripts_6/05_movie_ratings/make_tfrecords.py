"""Writes data/train.tfrecord and data/test.tfrecord (a small synthetic MovieLens)."""
import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
N_USERS, N_MOVIES, N_GENRES, N = 120, 80, 6, 2240


def _int(v):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(v)]))


def _float(v):
    return tf.train.Feature(float_list=tf.train.FloatList(value=[float(v)]))


def main():
    rng = np.random.default_rng(11)
    pu, pm = rng.normal(0, 0.7, (N_USERS, 3)), rng.normal(0, 0.7, (N_MOVIES, 3))
    bu, bm = rng.normal(0, 0.4, N_USERS), rng.normal(0, 0.5, N_MOVIES)
    genre = rng.integers(0, N_GENRES, N_MOVIES)
    u, m = rng.integers(0, N_USERS, N), rng.integers(0, N_MOVIES, N)
    r = 3.4 + (pu[u] * pm[m]).sum(1) + bu[u] + bm[m] + rng.normal(0, 0.3, N)
    r = np.clip(np.round(r * 2) / 2, 0.5, 5.0)
    os.makedirs(OUT, exist_ok=True)
    for name, rows in (("train", range(0, 1920)), ("test", range(1920, N))):
        with tf.io.TFRecordWriter(os.path.join(OUT, name + ".tfrecord")) as w:
            for i in rows:
                ex = tf.train.Example(features=tf.train.Features(feature={
                    "user_id": _int(u[i]), "movie_id": _int(m[i]),
                    "genre": _int(genre[m[i]]), "rating": _float(r[i]),
                }))
                w.write(ex.SerializeToString())


if __name__ == "__main__":
    main()
