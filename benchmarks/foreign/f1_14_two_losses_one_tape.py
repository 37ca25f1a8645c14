"""Forum question: tape.gradient([reg_loss, cat_loss], variables) - are the gradients of two
losses averaged or summed? They are summed, which is just what compile with two losses
does. So this loop, odd as it looks, is right and trains like fit.
"""
import keras
import numpy as np
import tensorflow as tf
from keras.layers import Dense

CAUSE = "none"
SOURCE = "https://discuss.tensorflow.org/t/passing-in-multiple-losses-in-tape-gradient/13935"
MISTAKE_IN = None
FIRST_VISIBLE = "nowhere"


class MyModel(keras.Model):
    def __init__(self):
        super().__init__()
        self.d0 = Dense(16, activation='relu')
        self.d1 = Dense(32, activation='relu')
        self.d2 = Dense(1)
        self.d3 = Dense(3, activation='softmax')

    def call(self, x, training=None):
        x = self.d0(x)
        x = self.d1(x)
        a = self.d2(x)
        b = self.d3(x)
        return a, b


def build_model():
    keras.utils.set_random_seed(150)
    model = MyModel()
    model(tf.zeros((1, 3)))
    return model


def make_dataset(split):
    rng = np.random.default_rng(61 if split == 'train' else 62)
    n = 310 if split == 'train' else 60
    z = rng.integers(0, 3, n)
    means = np.array([[5.0, 3.4, 1.5, .25], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])
    iris = (means[z] + 0.3 * rng.normal(size=(n, 4))).astype('float32')
    X, y = iris[:, :3], iris[:, 3:]
    return tf.data.Dataset.from_tensor_slices((X, (y, z))).batch(10)


def keras_fit(model, ds, epochs):
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        loss=[keras.losses.MeanAbsoluteError(), keras.losses.SparseCategoricalCrossentropy()],
    )
    hist = model.fit(ds, epochs=epochs, verbose=0)
    return model, {'loss': hist.history['loss']}


def custom_loop(model, ds, epochs):
    loss_obj_reg = keras.losses.MeanAbsoluteError()
    loss_obj_cat = keras.losses.SparseCategoricalCrossentropy()
    optimizer = keras.optimizers.Adam(learning_rate=1e-3)
    loss_reg = keras.metrics.Mean(name='regression_loss')
    loss_cat = keras.metrics.Mean(name='categorical_loss')

    @tf.function
    def train_step(inputs, y_reg, y_cat):
        with tf.GradientTape() as tape:
            pred_reg, pred_cat = model(inputs, training=True)
            reg_loss = loss_obj_reg(y_reg, pred_reg)
            cat_loss = loss_obj_cat(y_cat, pred_cat)
        gradients = tape.gradient([reg_loss, cat_loss], model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        n = tf.shape(inputs)[0]
        loss_reg.update_state(reg_loss, sample_weight=n)
        loss_cat.update_state(cat_loss, sample_weight=n)

    log = {'loss': []}
    template = 'Epoch {:>2}, regression {:.4f}, category {:.4f}'
    for epoch in range(epochs):
        loss_reg.reset_state()
        loss_cat.reset_state()
        for inputs, (y_reg, y_cat) in ds:
            train_step(inputs, y_reg, y_cat)
        print(template.format(epoch + 1, float(loss_reg.result()), float(loss_cat.result())))
        log['loss'].append(float(loss_reg.result()) + float(loss_cat.result()))
    return model, log
