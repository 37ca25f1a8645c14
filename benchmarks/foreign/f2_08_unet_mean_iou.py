"""Report: MeanIoU has no threshold; given probabilities it casts them to integers, so that nearly
everything counts as background. fit measures the small U-Net with BinaryIoU at 0.5, the
loop feeds the sigmoid output to MeanIoU as it is and logs it under the same name.
The training itself is the same.
"""
import keras
import numpy as np
import tensorflow as tf

CAUSE = "metric_definition_differs"
SOURCE = "https://github.com/tensorflow/tensorflow/issues/39173"
MISTAKE_IN = "custom_loop"
FIRST_VISIBLE = "mean_iou of the first epoch; loss and weights equal"

S = 16


def make_dataset(split):
    rng = np.random.default_rng(50 + (split == "test"))
    n = 360 if split == "train" else 60
    img = 0.4 * rng.normal(size=(n, S, S, 1))
    mask = np.zeros((n, S, S, 1))
    for k in range(n):
        r, c = rng.integers(1, S - 8, 2)
        h, w = rng.integers(4, 8, 2)
        mask[k, r:r + h, c:c + w] = 1.0
    img = img + mask
    return tf.data.Dataset.from_tensor_slices(
        (img.astype("float32"), mask.astype("float32"))).batch(18)


def block(x, f):
    x = keras.layers.Conv2D(f, 3, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.layers.ReLU()(x)


def build_model():
    keras.utils.set_random_seed(64)
    inp = keras.Input((S, S, 1))
    d1 = block(inp, 6)
    d2 = block(keras.layers.MaxPooling2D()(d1), 12)
    up = keras.layers.UpSampling2D()(d2)
    u1 = block(keras.layers.Concatenate()([up, d1]), 6)
    return keras.Model(inp, keras.layers.Conv2D(1, 1, activation="sigmoid")(u1))


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss=keras.losses.BinaryCrossentropy(),
        metrics=[keras.metrics.BinaryIoU(target_class_ids=[0, 1], threshold=0.5, name="mean_iou")])
    history = model.fit(ds, epochs=epochs, verbose=0).history
    return model, {"loss": history["loss"], "mean_iou": [float(v) for v in history["mean_iou"]]}


def custom_loop(model, ds, epochs):
    optimizer = keras.optimizers.Adam(3e-3)
    loss_object = keras.losses.BinaryCrossentropy()
    train_loss = keras.metrics.Mean(name="loss")
    train_iou = keras.metrics.MeanIoU(num_classes=2, name="mean_iou")

    @tf.function
    def train_step(images, masks):
        with tf.GradientTape() as tape:
            predictions = model(images, training=True)
            loss = loss_object(masks, predictions)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        train_loss.update_state(loss)
        train_iou.update_state(masks, predictions)

    results = {"loss": [], "mean_iou": []}
    for epoch in range(epochs):
        train_loss.reset_state()
        train_iou.reset_state()
        for images, masks in ds:
            train_step(images, masks)
        results["loss"].append(float(train_loss.result()))
        results["mean_iou"].append(float(train_iou.result()))
    return model, results
