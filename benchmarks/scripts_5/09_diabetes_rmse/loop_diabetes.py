import numpy as np
import tensorflow as tf
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from tensorflow import keras

BATCH = 32
EPOCHS = 40

X, y = load_diabetes(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.2, random_state=1)
scaler = StandardScaler().fit(X_train)
X_train, X_val = scaler.transform(X_train).astype("float32"), scaler.transform(X_val).astype("float32")
y_train, y_val = (y_train / 100).astype("float32")[:, None], (y_val / 100).astype("float32")[:, None]

# 0.05 for 20 epochs, then 0.005 for 10, then 0.0005
steps_per_epoch = len(X_train) // BATCH
lr = keras.optimizers.schedules.PiecewiseConstantDecay(
    [20 * steps_per_epoch, 30 * steps_per_epoch], [0.05, 0.005, 0.0005])
optimizer = keras.optimizers.SGD(lr, momentum=0.8)

keras.utils.set_random_seed(5)
model = keras.Sequential([
    keras.Input((10,)),
    keras.layers.Dense(24, activation="relu"),
    keras.layers.Dense(12, activation="relu"),
    keras.layers.Dense(1),
])


@tf.function(reduce_retracing=True)
def train_batch(xb, yb):
    with tf.GradientTape() as tape:
        mse = tf.reduce_mean(tf.square(yb - model(xb, training=True)))
    gradients = tape.gradient(mse, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return tf.sqrt(mse)


def batches(a, b, shuffle):
    order = np.random.permutation(len(a)) if shuffle else np.arange(len(a))
    for i in range(0, len(a), BATCH):
        j = order[i:i + BATCH]
        yield tf.constant(a[j]), tf.constant(b[j])


log = {"rmse": [], "val_rmse": []}
for epoch in range(EPOCHS):
    log["rmse"].append(np.mean([train_batch(xb, yb) for xb, yb in batches(X_train, y_train, True)]))
    val = []
    for xb, yb in batches(X_val, y_val, False):
        val.append(np.sqrt(np.mean((yb - model(xb, training=False)) ** 2)))
    log["val_rmse"].append(np.mean(val))

for e in range(0, EPOCHS, 5):
    print(f"epoch {e + 1:2d}  rmse {log['rmse'][e]:.4f}  val_rmse {log['val_rmse'][e]:.4f}")
print("last val_rmse", log["val_rmse"][-1])
