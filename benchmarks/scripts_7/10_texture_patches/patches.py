"""
Which photo is this patch from? china.jpg (temple) or flower.jpg, the two sample
images of scikit-learn. Cut to 16x16 patches, small convnet.

I wanted to see if my training loop is really doing the same as model.fit().
"""
import os
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import numpy as np
import tensorflow as tf
import keras
from keras import layers
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.metrics import confusion_matrix

keras.utils.set_random_seed(4)

PATCH = 16
PER_IMAGE = 500
BATCH_SIZE = 32
EPOCHS = 6


def gray(img):
    return img.astype('float32') @ np.array([0.299, 0.587, 0.114], 'float32') / 255.0


def get_patches():
    '''patches of both pictures; every 5th one is kept for validation'''
    xs, ys = [], []
    for label, img in enumerate(load_sample_images().images):
        p = extract_patches_2d(gray(img), (PATCH, PATCH), max_patches=PER_IMAGE, random_state=label)
        p = p - p.mean(axis=(1, 2), keepdims=True)   # remove brightness, would be too easy
        xs.append(p[..., None])
        ys.append(np.full(len(p), label, 'float32'))
    xs, ys = np.concatenate(xs), np.concatenate(ys)[:, None]
    val = np.arange(len(xs)) % 5 == 0
    return (xs[~val], ys[~val]), (xs[val], ys[val])


(x_train, y_train), (x_val, y_val) = get_patches()
print('train', x_train.shape, 'val', x_val.shape)


def create_model():
    return keras.Sequential([
        keras.Input((PATCH, PATCH, 1)),
        layers.Conv2D(8, 3, activation='relu'),
        layers.MaxPooling2D(),
        layers.Conv2D(16, 3, activation='relu'),
        layers.GlobalAveragePooling2D(),
        layers.Dense(16, activation='relu'),
        layers.Dense(1, activation='sigmoid'),
    ])


# --------------------------- keras ---------------------------
keras_model = create_model()
start_weights = keras_model.get_weights()   # so that both start at the same point

keras_model.compile(keras.optimizers.Adam(2e-3),
                    loss=keras.losses.BinaryCrossentropy(),
                    metrics=[keras.metrics.BinaryAccuracy(name='acc')])
keras_history = keras_model.fit(x_train, y_train,
                                validation_data=(x_val, y_val),
                                batch_size=BATCH_SIZE,
                                epochs=EPOCHS,
                                verbose=2)

# --------------------------- my loop ---------------------------
my_model = create_model()
my_model.set_weights(start_weights)

AUTOTUNE = tf.data.AUTOTUNE
train_ds = tf.data.Dataset.from_tensor_slices((x_train, y_train)).cache()
train_ds = train_ds.batch(BATCH_SIZE).shuffle(1000).prefetch(AUTOTUNE)
val_ds = tf.data.Dataset.from_tensor_slices((x_val, y_val)).cache().batch(BATCH_SIZE).prefetch(AUTOTUNE)

optimizer = keras.optimizers.Adam(2e-3)
loss_fn = keras.losses.BinaryCrossentropy()
train_acc_metric = keras.metrics.BinaryAccuracy()
val_acc_metric = keras.metrics.BinaryAccuracy()
train_loss_metric = keras.metrics.Mean()
val_loss_metric = keras.metrics.Mean()


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        probs = my_model(x, training=True)
        loss_value = loss_fn(y, probs)
    grads = tape.gradient(loss_value, my_model.trainable_weights)
    optimizer.apply_gradients(zip(grads, my_model.trainable_weights))
    train_acc_metric.update_state(y, probs)
    train_loss_metric.update_state(loss_value, sample_weight=tf.shape(y)[0])


@tf.function
def test_step(x, y):
    val_probs = my_model(x, training=False)
    val_acc_metric.update_state(y, val_probs)
    val_loss_metric.update_state(loss_fn(y, val_probs), sample_weight=tf.shape(y)[0])


for epoch in range(EPOCHS):
    for x_batch, y_batch in train_ds:
        train_step(x_batch, y_batch)
    for x_batch, y_batch in val_ds:
        test_step(x_batch, y_batch)

    print('Epoch %d/%d - acc: %.4f - loss: %.4f - val_acc: %.4f - val_loss: %.4f' % (
        epoch + 1, EPOCHS, train_acc_metric.result(), train_loss_metric.result(),
        val_acc_metric.result(), val_loss_metric.result()))
    # Reset metrics at the end of each epoch
    for m in (train_acc_metric, train_loss_metric, val_acc_metric, val_loss_metric):
        m.reset_state()

# --------------------------- compare ---------------------------
for name, m in (('keras', keras_model), ('mine', my_model)):
    pred = m.predict(x_val, verbose=0) > 0.5
    print(name)
    print(confusion_matrix(y_val, pred))
