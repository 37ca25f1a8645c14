# "train_on_batch gives much better curves than fit??"
# Small CNN, stripes against blobs. Everything else equal (I think), only the plots are not.
import keras
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from sklearn.utils import gen_batches

rng = np.random.default_rng(0)


def images(n):
    yy, xx = np.mgrid[:16, :16] / 16.0
    x = np.empty((n, 16, 16, 1), "float32")
    y = np.arange(n) % 3
    for i in range(n):
        if y[i] == 0:
            im = np.sin(2 * np.pi * (rng.uniform(1, 3) * xx + rng.uniform()))
        elif y[i] == 1:
            im = np.sin(2 * np.pi * (rng.uniform(1, 3) * yy + rng.uniform()))
        else:
            cx, cy = rng.uniform(.2, .8, 2)
            im = 2 * np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / .03) - .5
        x[i, ..., 0] = im + rng.normal(0, 1.3, (16, 16))
    return x, y.astype("int32")


x_train, y_train = images(660)
x_val, y_val = images(205)
# the last rows of the validation set come from the old camera
x_val[-5:] = x_val[-5:] * 0.3 + rng.normal(0, 1.0, (5, 16, 16, 1))
BATCH = 100
EPOCHS = 7


def cnn():
    m = keras.Sequential([
        keras.Input((16, 16, 1)),
        layers.Conv2D(8, 5, strides=2, activation="relu"),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ])
    m.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return m


# --- A
model_a = cnn()
hist_a = model_a.fit(x_train, y_train, batch_size=BATCH, epochs=EPOCHS,
                     validation_data=(x_val, y_val), validation_batch_size=BATCH, verbose=0).history

# --- B
model_b = cnn()
hist_b = {"loss": [], "accuracy": [], "val_loss": [], "val_accuracy": []}
for epoch in range(EPOCHS):
    perm = np.random.permutation(len(x_train))
    model_b.reset_metrics()
    for sl in gen_batches(len(x_train), BATCH):
        # running means since reset_metrics(), so what is left after the last batch is the epoch's
        logs = model_b.train_on_batch(x_train[perm[sl]], y_train[perm[sl]], return_dict=True)
    val = []
    for sl in gen_batches(len(x_val), BATCH):
        val.append(model_b.test_on_batch(x_val[sl], y_val[sl]))
    val_loss, val_acc = np.mean(val, axis=0)
    hist_b["loss"].append(float(logs["loss"]))
    hist_b["accuracy"].append(float(logs["accuracy"]))
    hist_b["val_loss"].append(float(val_loss))
    hist_b["val_accuracy"].append(float(val_acc))

fig, axes = plt.subplots(2, 2, figsize=(9, 6))
for ax, key in zip(axes.flat, hist_b):
    ax.plot(hist_a[key], label="fit")
    ax.plot(hist_b[key], label="train_on_batch")
    ax.set_title(key)
axes[0, 0].legend()
fig.savefig("curves.png", dpi=60)
for e in range(EPOCHS):
    print(e + 1, *(f"{k}: {hist_a[k][e]:.4f} / {hist_b[k][e]:.4f}  " for k in hist_b))
