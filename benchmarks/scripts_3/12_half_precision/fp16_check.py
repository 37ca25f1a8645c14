"""mixed_float16: compile()/fit() against a tape loop. Asked on the forum whether the loop has to unscale
the gradients itself (as with the old get_unscaled_gradients). There is no such call any more, so I left it out."""
import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.config.set_dtype_policy("mixed_float16")

SIZE = 12


def blobs(n, seed):
    """rings, discs and crosses, 12 x 12 pixels"""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:SIZE, :SIZE]
    imgs, labels = [], rng.integers(0, 3, n)
    for c in labels:
        cx, cy = rng.uniform(4, 8, 2)
        rad = np.hypot(xx - cx, yy - cy)
        if c == 0:
            im = np.exp(-(rad - 3) ** 2)
        elif c == 1:
            im = 1 / (1 + np.exp(2 * (rad - 3)))
        else:
            im = np.exp(-np.minimum((xx - cx) ** 2, (yy - cy) ** 2)) * (rad < 4.5)
        imgs.append(im + rng.normal(0, 0.25, im.shape))
    return np.stack(imgs)[..., None].astype("float32"), keras.utils.to_categorical(labels, 3)


def augment(images, seed):
    """Flips and brightness, drawn once so that both runs see the same pictures."""
    rng = np.random.default_rng(seed)
    flip = rng.random(len(images)) < 0.5
    images = np.where(flip[:, None, None, None], images[:, :, ::-1], images)
    return (images * rng.uniform(0.8, 1.2, (len(images), 1, 1, 1))).astype("float32")


def small_net():
    keras.utils.set_random_seed(3)
    inp = keras.Input((SIZE, SIZE, 1))
    h = layers.Conv2D(8, 3, strides=2, activation="relu")(inp)
    h = layers.Flatten()(h)
    h = layers.Dense(24, activation="relu")(h)
    # softmax has to be computed in float32
    return keras.Model(inp, layers.Dense(3, activation="softmax", dtype="float32")(h))


x, y = blobs(310, 1)
x = augment(x, 9)
x_val, y_val = blobs(150, 2)

BATCH, EPOCHS = 64, 6
train = tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH)
val = tf.data.Dataset.from_tensor_slices((x_val, y_val)).batch(BATCH)

# A: Keras wraps the optimizer by itself under this policy
net_a = small_net()
net_a.compile(
    optimizer=keras.optimizers.SGD(0.1, momentum=0.5, clipnorm=1.0),
    loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.05),
    metrics=["accuracy"],
)
log_a = net_a.fit(train, validation_data=val, epochs=EPOCHS, verbose=0).history
print("A uses", type(net_a.optimizer).__name__)

# B: own loop
net_b = small_net()
optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1, momentum=0.5, clipnorm=1.0))
optimizer.build(net_b.trainable_variables)
criterion = keras.losses.CategoricalCrossentropy(label_smoothing=0.05)


@tf.function
def step(xb, yb):
    with tf.GradientTape() as tape:
        loss = criterion(yb, net_b(xb, training=True))
        big = optimizer.scale_loss(loss)
    grads = tape.gradient(big, net_b.trainable_variables)
    optimizer.apply(grads)
    return loss


@tf.function
def predict(xb):
    return net_b(xb, training=False)


log_b = []
for epoch in range(EPOCHS):
    seen = running = 0.0
    for xb, yb in train:
        running += float(step(xb, yb)) * len(xb)
        seen += len(xb)
    hits = sum(int(tf.reduce_sum(tf.cast(tf.argmax(predict(xb), 1) == tf.argmax(yb, 1), tf.int32))) for xb, yb in val)
    log_b.append((running / seen, hits / len(x_val)))

for e in range(EPOCHS):
    print(f"{e + 1}: A {log_a['loss'][e]:.5f} {log_a['val_accuracy'][e]:.4f}   B {log_b[e][0]:.5f} {log_b[e][1]:.4f}")
print("loss scale at the end:", float(optimizer.dynamic_scale.numpy()))
print("max |A - B|:", max(np.abs(p - q).max() for p, q in zip(net_a.get_weights(), net_b.get_weights())))
