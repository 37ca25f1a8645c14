"""Keras version of the tiny attention regressor (after the port from PyTorch)."""
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import keras
from keras import layers

SEED, MICRO, ACCUM, EPOCHS = 0, 8, 4, 4
LR, WD = 2e-3, 0.02


def dataset():
    g = np.random.default_rng(42)
    x = g.standard_normal((215, 10, 6)).astype("float32")
    w = g.standard_normal(6)
    score = x @ w
    att = np.exp(score) / np.exp(score).sum(1, keepdims=True)
    y = (att[..., None] * x).sum(1)[:, :2] + 0.1 * g.standard_normal((215, 2))
    return x, y.astype("float32")


def make_model():
    keras.utils.set_random_seed(SEED)
    inp = keras.Input((10, 6))
    h = layers.Dense(16, name="embed")(inp)
    a = layers.MultiHeadAttention(2, 8, name="attn")(h, h)
    h = layers.LayerNormalization(name="norm")(h + a)
    h = layers.GlobalAveragePooling1D()(h)
    return keras.Model(inp, layers.Dense(2, name="head")(h))


if __name__ == "__main__":
    x, y = dataset()
    model = make_model()
    opt = keras.optimizers.AdamW(learning_rate=LR, weight_decay=WD, global_clipnorm=1.0,
                                 gradient_accumulation_steps=ACCUM)
    opt.exclude_from_weight_decay(var_list=[v for v in model.trainable_variables if v.ndim < 2])
    model.compile(optimizer=opt, loss="mean_squared_error")
    model.fit(x, y, batch_size=MICRO, epochs=EPOCHS, verbose=2)
    print("train mse", model.evaluate(x, y, batch_size=64, verbose=0))
