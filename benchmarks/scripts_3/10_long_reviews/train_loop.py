"""Same training as train_fit.py, but with GradientTape (needed for the adversarial part, which comes later)."""
import numpy as np
import tensorflow as tf
import keras

from common import BATCH, EPOCHS, LR, MAXLEN, build_model, corpus, tokenize, vocabulary


class Encoder:
    def __init__(self, texts):
        self.vocab = vocabulary(texts)

    def __call__(self, texts):
        out = np.zeros((len(texts), MAXLEN), dtype="int32")
        for row, ids in enumerate(tokenize(texts, self.vocab)):
            ids = ids[:MAXLEN]
            out[row, :len(ids)] = ids
        return out


texts, y = corpus(900, 1)
encode = Encoder(texts)
x = encode(texts)

model = build_model(len(encode.vocab) + 2)
optimizer = keras.optimizers.Nadam(LR)
loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)
acc = keras.metrics.BinaryAccuracy(threshold=0.0)


@tf.function
def step(xb, yb):
    with tf.GradientTape() as tape:
        logits = model(xb, training=True)
        loss = loss_fn(yb, logits)
    grads = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(grads, model.trainable_variables))
    acc.update_state(yb, logits)
    return loss


rng = np.random.default_rng()
for epoch in range(EPOCHS):
    acc.reset_state()
    order = rng.permutation(len(x))
    total = 0.0
    for i in range(0, len(x), BATCH):
        rows = order[i:i + BATCH]
        total += float(step(tf.constant(x[rows]), tf.constant(y[rows]))) * len(rows)
    print(f"epoch {epoch + 1}: loss {total / len(x):.4f} acc {float(acc.result()):.4f}")

test_texts, y_test = corpus(400, 2)
p = model.predict(encode(test_texts), verbose=0)
print("test acc", np.mean((p > 0) == (y_test > 0.5)))
