"""Report: a data generator for protein volumes computes its length with np.floor, so the rows of
the last, smaller batch are never seen; the reporter asks for np.ceil.
fit gets such a generator, the loop goes through the dataset to its end.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "last_batch_dropped"
SOURCE = "https://github.com/shervinea/enzynet/pull/30"
MISTAKE_IN = "keras_fit"
FIRST_VISIBLE = "number of batches in the first epoch"

BATCH = 24
CLASSES = 6


def make_dataset(split):
    rng = np.random.default_rng(9)
    shapes = rng.random((CLASSES, 8, 8, 8)) < 0.18
    rng = np.random.default_rng(10 if split == "train" else 20)
    n = 355 if split == "train" else 90
    y = rng.integers(0, CLASSES, n)
    x = shapes[y] ^ (rng.random((n, 8, 8, 8)) < 0.06)
    y = np.eye(CLASSES, dtype="float32")[y]
    return tf.data.Dataset.from_tensor_slices((x[..., None].astype("float32"), y)).batch(BATCH)


def build_model():
    keras.utils.set_random_seed(6)
    return keras.Sequential([
        keras.Input((8, 8, 8, 1)),
        keras.layers.Conv3D(6, 3, strides=2),
        keras.layers.LeakyReLU(negative_slope=0.1),
        keras.layers.Flatten(),
        keras.layers.Dense(24),
        keras.layers.LeakyReLU(negative_slope=0.1),
        keras.layers.Dense(CLASSES, activation="softmax"),
    ])


class VolumeDataGenerator(keras.utils.PyDataset):
    def __init__(self, list_x, list_y, batch_size, **kwargs):
        super().__init__(**kwargs)
        self.list_x = list_x
        self.list_y = list_y
        self.batch_size = batch_size

    def __len__(self):
        """number of batches per epoch"""
        return int(np.floor(len(self.list_x) / self.batch_size))

    def __getitem__(self, index):
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self.list_x[rows], self.list_y[rows]


def keras_fit(model, ds, epochs):
    x = np.concatenate([b.numpy() for b, _ in ds])
    y = np.concatenate([b.numpy() for _, b in ds])
    training = VolumeDataGenerator(x, y, BATCH)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=1e-3),
                  loss="categorical_crossentropy", metrics=["accuracy"])
    h = model.fit(training, epochs=epochs, shuffle=False, verbose=0).history
    return model, {"loss": h["loss"], "accuracy": h["accuracy"]}


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(learning_rate=1e-3)
    criterion = keras.losses.CategoricalCrossentropy()
    log = {"loss": [], "accuracy": []}

    @tf.function(reduce_retracing=True)
    def train(x, y):
        with tf.GradientTape() as tape:
            probs = model(x, training=True)
            loss = criterion(y, probs)
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables),
                                      model.trainable_variables))
        right = tf.equal(tf.argmax(probs, 1), tf.argmax(y, 1))
        return loss, tf.reduce_sum(tf.cast(right, tf.float32))

    for _ in range(epochs):
        rows, loss_sum, right_sum = 0, 0.0, 0.0
        for x, y in ds:
            loss, right = train(x, y)
            rows += len(x)
            loss_sum += float(loss) * len(x)
            right_sum += float(right)
        log["loss"].append(loss_sum / rows)
        log["accuracy"].append(right_sum / rows)
    return model, log
