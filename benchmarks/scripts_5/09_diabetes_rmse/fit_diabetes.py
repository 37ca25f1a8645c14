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
y_train, y_val = (y_train / 100).astype("float32"), (y_val / 100).astype("float32")

train_ds = tf.data.Dataset.from_tensor_slices((X_train, y_train)).shuffle(len(X_train)).batch(BATCH)
val_ds = tf.data.Dataset.from_tensor_slices((X_val, y_val)).batch(BATCH)

# 0.05 for 20 epochs, then 0.005 for 10, then 0.0005
steps_per_epoch = len(train_ds)
lr = keras.optimizers.schedules.PiecewiseConstantDecay(
    [20 * steps_per_epoch, 30 * steps_per_epoch], [0.05, 0.005, 0.0005])

keras.utils.set_random_seed(5)
model = keras.Sequential([
    keras.Input((10,)),
    keras.layers.Dense(24, activation="relu"),
    keras.layers.Dense(12, activation="relu"),
    keras.layers.Dense(1),
])
model.compile(optimizer=keras.optimizers.SGD(lr, momentum=0.8), loss="mse",
              metrics=[keras.metrics.RootMeanSquaredError(name="rmse")])
history = model.fit(train_ds, validation_data=val_ds, epochs=EPOCHS, verbose=0)

for e in range(0, EPOCHS, 5):
    print(f"epoch {e + 1:2d}  rmse {history.history['rmse'][e]:.4f}  val_rmse {history.history['val_rmse'][e]:.4f}")
print("last val_rmse", history.history["val_rmse"][-1])
