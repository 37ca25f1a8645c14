# Why is my custom loop so much worse than model.fit()?
# Same model, same optimizer, same loss, same data, same number of epochs.
import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers
import matplotlib.pyplot as plt

print(tf.__version__)

# toy data: 3 classes, 640 points each
n_per_class = 640
centers = np.array([[0.0, 0.0], [2.2, 1.0], [0.5, 2.4]])
x = np.vstack([np.random.normal(c, 1.0, size=(n_per_class, 2)) for c in centers]).astype("float32")
y = np.repeat([0, 1, 2], n_per_class)

print("x:", x.shape, "y:", y.shape)


def create_model():
    model = keras.Sequential()
    model.add(keras.Input(shape=(2,)))
    model.add(layers.Dense(32, activation="relu"))
    model.add(layers.Dense(32, activation="relu"))
    model.add(layers.Dense(3, activation="softmax"))
    return model


EPOCHS = 5
BATCH_SIZE = 32

# ------------------------------------------------------------------
# 1) keras
# ------------------------------------------------------------------
model = create_model()
model.summary()
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
hist = model.fit(x, y, epochs=EPOCHS, batch_size=BATCH_SIZE)

# ------------------------------------------------------------------
# 2) GradientTape
# ------------------------------------------------------------------
model2 = create_model()
optimizer = keras.optimizers.Adam()
loss_object = keras.losses.SparseCategoricalCrossentropy()
train_loss = keras.metrics.Mean(name="train_loss")
train_acc = keras.metrics.SparseCategoricalAccuracy(name="train_acc")

train_ds = tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


@tf.function
def train_step(xb, yb):
    with tf.GradientTape() as tape:
        preds = model2(xb, training=True)
        loss = loss_object(yb, preds)
    grads = tape.gradient(loss, model2.trainable_variables)
    optimizer.apply_gradients(zip(grads, model2.trainable_variables))
    train_loss(loss)
    train_acc(yb, preds)


tape_loss, tape_acc = [], []
for epoch in range(EPOCHS):
    train_loss.reset_state()
    train_acc.reset_state()
    for xb, yb in train_ds:
        train_step(xb, yb)
    tape_loss.append(float(train_loss.result()))
    tape_acc.append(float(train_acc.result()))
    print("Epoch {}, Loss: {:.4f}, Accuracy: {:.2f}".format(
        epoch + 1, tape_loss[-1], tape_acc[-1] * 100))

acc1 = np.mean(np.argmax(model.predict(x, verbose=0), axis=1) == y)
acc2 = np.mean(np.argmax(model2.predict(x, verbose=0), axis=1) == y)
print("after training   fit: %.3f    tape: %.3f" % (acc1, acc2))

plt.plot(hist.history["loss"], label="fit")
plt.plot(tape_loss, label="tape")
plt.xlabel("epoch")
plt.ylabel("loss")
plt.legend()
plt.show()
