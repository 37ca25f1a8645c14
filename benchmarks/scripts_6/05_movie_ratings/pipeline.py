import os

import tensorflow as tf

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
SIZES = {"train": 1920, "test": 320}

FEATURES = {
    "user_id": tf.io.FixedLenFeature([], tf.int64),
    "movie_id": tf.io.FixedLenFeature([], tf.int64),
    "genre": tf.io.FixedLenFeature([], tf.int64),
    "rating": tf.io.FixedLenFeature([], tf.float32),
}


def _parse(batch):
    ex = tf.io.parse_example(batch, FEATURES)
    rating = ex.pop("rating")
    return ex, rating[:, tf.newaxis]


def read(split, batch_size, shuffle=0):
    ds = tf.data.TFRecordDataset(os.path.join(DATA, split + ".tfrecord"))
    ds = ds.apply(tf.data.experimental.assert_cardinality(SIZES[split]))
    if shuffle:
        ds = ds.shuffle(shuffle)
    return ds.batch(batch_size).map(_parse, num_parallel_calls=2).prefetch(1)
