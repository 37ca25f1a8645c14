import os
import pathlib

import matplotlib.pyplot as plt
import tensorflow as tf

from make_images import make_images

data_dir = pathlib.Path("shapes")
if not data_dir.exists():
    make_images(str(data_dir))

image_count = len(list(data_dir.glob("*/*.png")))
print(image_count, "images")

batch_size = 32
img_height = 48
img_width = 48
epochs = 5

train_ds = tf.keras.utils.image_dataset_from_directory(
    data_dir,
    validation_split=0.2,
    subset="training",
    seed=123,
    image_size=(img_height, img_width),
    batch_size=batch_size)

val_ds = tf.keras.utils.image_dataset_from_directory(
    data_dir,
    validation_split=0.2,
    subset="validation",
    seed=123,
    image_size=(img_height, img_width),
    batch_size=batch_size)

class_names = train_ds.class_names
num_classes = len(class_names)
print(class_names)

plt.figure(figsize=(6, 6))
for images, labels in train_ds.take(1):
    for i in range(9):
        ax = plt.subplot(3, 3, i + 1)
        plt.imshow(images[i].numpy().astype("uint8"))
        plt.title(class_names[labels[i]])
        plt.axis("off")
plt.close()


def get_model():
    return tf.keras.Sequential([
        tf.keras.layers.Input((img_height, img_width, 3)),
        tf.keras.layers.Rescaling(1. / 255),
        tf.keras.layers.RandomFlip("horizontal"),
        tf.keras.layers.Conv2D(16, 3, activation='relu'),
        tf.keras.layers.MaxPooling2D(),
        tf.keras.layers.Conv2D(32, 3, activation='relu'),
        tf.keras.layers.MaxPooling2D(),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dropout(0.2),
        tf.keras.layers.Dense(64, activation='relu'),
        tf.keras.layers.Dense(num_classes)
    ])


# ---------------------------------------------------------------- fit
model = get_model()
model.compile(
    optimizer='adam',
    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=['accuracy'])
model.summary()

history = model.fit(
    train_ds.prefetch(tf.data.AUTOTUNE),
    validation_data=val_ds.prefetch(tf.data.AUTOTUNE),
    epochs=epochs
)

# ---------------------------------------------------------------- custom loop
# (I will need this later for a second loss term. For now it should only give the same
# numbers as fit. But val_loss and val_accuracy don't fit together with the ones above?!)


def load(subset, seed):
    return tf.keras.utils.image_dataset_from_directory(
        data_dir, validation_split=0.2, subset=subset, seed=seed,
        image_size=(img_height, img_width), batch_size=batch_size).prefetch(tf.data.AUTOTUNE)


loop_train = load("training", seed=123)
loop_val = load("validation", seed=42)

net = get_model()
loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = tf.keras.optimizers.Adam()

train_loss, train_acc = tf.keras.metrics.Mean(), tf.keras.metrics.SparseCategoricalAccuracy()
val_loss, val_acc = tf.keras.metrics.Mean(), tf.keras.metrics.SparseCategoricalAccuracy()


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        logits = net(x, training=True)
        loss = loss_fn(y, logits)
    grads = tape.gradient(loss, net.trainable_weights)
    optimizer.apply_gradients(zip(grads, net.trainable_weights))
    train_loss.update_state(loss, sample_weight=tf.shape(y)[0])
    train_acc.update_state(y, logits)


@tf.function
def test_step(x, y):
    logits = net(x, training=False)
    val_loss.update_state(loss_fn(y, logits), sample_weight=tf.shape(y)[0])
    val_acc.update_state(y, logits)


loop_hist = {'loss': [], 'accuracy': [], 'val_loss': [], 'val_accuracy': []}
for epoch in range(epochs):
    for m in [train_loss, train_acc, val_loss, val_acc]:
        m.reset_state()
    for step, (x, y) in enumerate(loop_train):
        train_step(x, y)
        if step % 5 == 0:
            print("  step %d: loss %.4f" % (step, float(train_loss.result())))
    for x, y in loop_val:
        test_step(x, y)
    for k, m in zip(loop_hist, [train_loss, train_acc, val_loss, val_acc]):
        loop_hist[k].append(float(m.result()))
    print("Epoch %d/%d - " % (epoch + 1, epochs) +
          " - ".join("%s: %.4f" % (k, v[-1]) for k, v in loop_hist.items()))

plt.figure(figsize=(8, 4))
plt.plot(history.history['val_accuracy'], label='fit')
plt.plot(loop_hist['val_accuracy'], label='custom loop')
plt.legend(loc='lower right')
plt.title('Validation Accuracy')
plt.show()
