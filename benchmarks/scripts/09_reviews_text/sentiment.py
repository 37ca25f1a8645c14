"""Restaurant reviews -> positive / negative.

reviews.txt: one review per line, "<label>\t<text>"
Trains once with fit and once with a loop, to be sure that the loop is right before I build on it.
"""
import random

import numpy as np
import keras
import tensorflow as tf
from keras import layers

MAX_TOKENS = 500
SEQ_LEN = 32
EMBED = 16
BATCH = 32
EPOCHS = 4

keras.utils.set_random_seed(1234)

texts, labels = [], []
with open("reviews.txt", encoding="utf-8") as f:
    for line in f:
        label, text = line.rstrip("\n").split("\t")
        labels.append(int(label))
        texts.append(text)

idx = list(range(len(texts)))
random.shuffle(idx)
n_train = int(0.8 * len(idx))
train_idx, val_idx = idx[:n_train], idx[n_train:]

train_texts = [texts[i] for i in train_idx]
val_texts = [texts[i] for i in val_idx]
y_train = np.array([labels[i] for i in train_idx], dtype="float32").reshape(-1, 1)
y_val = np.array([labels[i] for i in val_idx], dtype="float32").reshape(-1, 1)
print(len(train_texts), "train", len(val_texts), "val", "positive: %.2f" % y_train.mean())

vectorize = layers.TextVectorization(max_tokens=MAX_TOKENS, output_mode="int",
                                     output_sequence_length=SEQ_LEN)
vectorize.adapt(train_texts)
print("vocabulary:", vectorize.vocabulary_size(), vectorize.get_vocabulary()[:12])

x_train = vectorize(tf.constant(train_texts)).numpy()
x_val = vectorize(tf.constant(val_texts)).numpy()

model = keras.Sequential([
    keras.Input((SEQ_LEN,), dtype="int64"),
    layers.Embedding(MAX_TOKENS, EMBED, mask_zero=True),
    layers.LSTM(24),
    layers.Dropout(0.3),
    layers.Dense(16, activation="relu"),
    layers.Dense(1, activation="sigmoid"),
])
model.summary()

model2 = keras.models.clone_model(model)
model2.set_weights(model.get_weights())

# --- fit
model.compile(optimizer=keras.optimizers.Adam(5e-3), loss="binary_crossentropy",
              metrics=["accuracy"])
h = model.fit(x_train, y_train, batch_size=BATCH, epochs=EPOCHS,
              validation_data=(x_val, y_val), verbose=2)

# --- loop
train_ds = tf.data.Dataset.from_tensor_slices((x_train, y_train)).shuffle(len(x_train)).batch(BATCH)
val_ds = tf.data.Dataset.from_tensor_slices((x_val, y_val)).batch(BATCH)

optimizer = keras.optimizers.Adam(5e-3)
bce = keras.losses.BinaryCrossentropy()
metrics = {
    "loss": keras.metrics.Mean(),
    "accuracy": keras.metrics.BinaryAccuracy(),
    "val_loss": keras.metrics.Mean(),
    "val_accuracy": keras.metrics.BinaryAccuracy(),
}


@tf.function(reduce_retracing=True)
def train_on(x, y):
    with tf.GradientTape() as tape:
        p = model2(x, training=True)
        loss = bce(y, p)
    optimizer.apply(tape.gradient(loss, model2.trainable_weights), model2.trainable_weights)
    metrics["loss"].update_state(loss, sample_weight=tf.shape(y)[0])
    metrics["accuracy"].update_state(y, p)


@tf.function(reduce_retracing=True)
def validate_on(x, y):
    p = model2(x, training=False)
    metrics["val_loss"].update_state(bce(y, p), sample_weight=tf.shape(y)[0])
    metrics["val_accuracy"].update_state(y, p)


for epoch in range(EPOCHS):
    for m in metrics.values():
        m.reset_state()
    for x, y in train_ds:
        train_on(x, y)
    for x, y in val_ds:
        validate_on(x, y)
    print("Epoch %d/%d" % (epoch + 1, EPOCHS),
          " - ".join("%s: %.4f" % (k, m.result()) for k, m in metrics.items()))

tests = ["the soup was cold and our waiter was rude", "Lovely terrace, the pizza was perfect!"]
ids = vectorize(tf.constant(tests))
for t, a, b in zip(tests, model.predict(ids, verbose=0), model2.predict(ids, verbose=0)):
    print("%-50s fit %.3f  loop %.3f" % (t, a[0], b[0]))
