import math

import keras
from keras import layers


def convnet(cfg):
    keras.utils.set_random_seed(cfg.seed)
    inp = keras.Input((8, 8, 1))
    x = layers.RandomTranslation(0.1, 0.1, fill_mode="constant", seed=cfg.seed)(inp)
    x = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(24, 3, padding="same", activation="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(cfg.dropout, seed=cfg.seed + 1)(x)
    return keras.Model(inp, layers.Dense(10)(x))


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """up in a line, down in a half cosine"""

    def __init__(self, peak, up, total):
        self.peak, self.up, self.total = peak, up, total

    def __call__(self, step):
        s = keras.ops.cast(step, "float32")
        rise = s / self.up
        fall = 0.5 + 0.5 * keras.ops.cos(math.pi * (s - self.up) / (self.total - self.up))
        return self.peak * keras.ops.where(s < self.up, rise, fall)

    def get_config(self):
        return {"peak": self.peak, "up": self.up, "total": self.total}
