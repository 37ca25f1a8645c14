"""Both sides under MirroredStrategy, as TensorFlow's guide to distributed training writes them."""

import keras
import numpy as np
import tensorflow as tf

GLOBAL_BATCH_SIZE = 32
strategy = tf.distribute.MirroredStrategy()


def make_dataset(split):
    n, seed = (240, 231) if split == "train" else (96, 232)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype("float32")
    y = (x[:, :3].sum(1) > 0).astype("int32") + (x[:, 3] > 1)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(GLOBAL_BATCH_SIZE, drop_remainder=True)


def build_model():
    with strategy.scope():
        return keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(16, activation="relu"),
                keras.layers.BatchNormalization(),
                keras.layers.Dense(3),
            ]
        )


def keras_fit(model, ds, epochs):
    with strategy.scope():
        model.compile(
            optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    return model.fit(ds, epochs=epochs, verbose=0)


def custom_loop(model, ds, epochs):
    with strategy.scope():
        loss_object = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9)

    def train_step(inputs):
        images, labels = inputs
        with tf.GradientTape() as tape:
            per_example = loss_object(labels, model(images, training=True))
            loss = tf.nn.compute_average_loss(per_example, global_batch_size=GLOBAL_BATCH_SIZE)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    @tf.function
    def distributed_train_step(inputs):
        per_replica = strategy.run(train_step, args=(inputs,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)

    distributed = strategy.experimental_distribute_dataset(ds)
    history = {"loss": []}
    for _ in range(epochs):
        total, batches = 0.0, 0
        for inputs in distributed:
            total += distributed_train_step(inputs)
            batches += 1
        history["loss"].append(float(total / batches))
    return model, history
