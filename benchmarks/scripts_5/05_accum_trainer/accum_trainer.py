from __future__ import annotations

import dataclasses

import keras
import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Config:
    rows: int = 1000
    micro_batch: int = 16
    accumulate: int = 4
    epochs: int = 6
    lr: float = 4e-3
    seed: int = 7


def make_data(cfg: Config):
    r = np.random.RandomState(cfg.seed)
    tokens = r.randint(1, 120, size=(cfg.rows, 18)).astype("int32")
    lengths = r.randint(5, 19, size=cfg.rows)
    tokens[np.arange(18)[None] >= lengths[:, None]] = 0
    score = np.isin(tokens, np.arange(10, 34)).sum(1) - np.isin(tokens, np.arange(60, 84)).sum(1)
    label = np.digitize(score + r.normal(0, .5, cfg.rows), [-0.5, 0.5]).astype("int32")
    return tokens, label


def make_model(cfg: Config) -> keras.Model:
    keras.utils.set_random_seed(cfg.seed)
    inp = keras.Input((18,), dtype="int32")
    e = keras.layers.Embedding(120, 16, mask_zero=True)(inp)
    h = keras.layers.GlobalAveragePooling1D()(e)
    h = keras.layers.Dense(32, activation="gelu")(h)
    return keras.Model(inp, keras.layers.Dense(3)(h))


class Trainer:
    """fit() does not fit on the small card, so: micro batches, update every `accumulate`."""

    def __init__(self, model: keras.Model, cfg: Config):
        self.model, self.cfg = model, cfg
        self.optimizer = keras.optimizers.Adam(cfg.lr)
        self.loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.buffer = [tf.Variable(tf.zeros_like(w), trainable=False) for w in model.trainable_variables]

    @tf.function(reduce_retracing=True)
    def _forward_backward(self, x, y):
        with tf.GradientTape() as tape:
            loss = self.loss(y, self.model(x, training=True))
        for b, g in zip(self.buffer, tape.gradient(loss, self.model.trainable_variables)):
            b.assign_add(tf.convert_to_tensor(g) / self.cfg.accumulate)
        return loss

    @tf.function
    def _update(self):
        self.optimizer.apply_gradients(zip([b.read_value() for b in self.buffer], self.model.trainable_variables))

    def _zero_grad(self):
        for b in self.buffer:
            b.assign(tf.zeros_like(b))

    def train(self, ds: tf.data.Dataset):
        mean = keras.metrics.Mean()
        for epoch in range(self.cfg.epochs):
            mean.reset_state()
            self._zero_grad()
            for i, (x, y) in enumerate(ds, start=1):
                mean.update_state(self._forward_backward(x, y), sample_weight=tf.shape(x)[0])
                if i % self.cfg.accumulate == 0:
                    self._update()
                    self._zero_grad()
            print(f"trainer {epoch}: {float(mean.result()):.4f}")


def main():
    cfg = Config()
    x, y = make_data(cfg)
    ds = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=cfg.seed).batch(cfg.micro_batch)

    reference = make_model(cfg)
    reference.compile(
        optimizer=keras.optimizers.Adam(cfg.lr, gradient_accumulation_steps=cfg.accumulate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    reference.fit(ds, epochs=cfg.epochs, verbose=2)

    own = make_model(cfg)
    Trainer(own, cfg).train(ds)

    for name, m in (("fit", reference), ("trainer", own)):
        print(name, "accuracy", (m.predict(x, verbose=0).argmax(1) == y).mean())
    return reference, own


if __name__ == "__main__":
    main()
