import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


class Digits:
    def __init__(self, cfg):
        d = load_digits()
        images = (d.images / 16.0).astype("float32")[..., None]
        self.x_train, self.x_val, self.y_train, self.y_val = train_test_split(
            images, d.target.astype("int32"), test_size=0.2, random_state=cfg.seed, stratify=d.target)
        self.cfg = cfg
        # the stream below has no end, one "epoch" is this many full batches
        self.steps = int(np.ceil(len(self.x_train) / cfg.batch))

    def stream(self):
        """endless, batches run over the end of a pass, so all of them are full"""
        ds = tf.data.Dataset.from_tensor_slices((self.x_train, self.y_train))
        return ds.shuffle(len(self.x_train), seed=self.cfg.seed).repeat().batch(self.cfg.batch)

    def validation(self):
        return tf.data.Dataset.from_tensor_slices((self.x_val, self.y_val)).batch(100)
