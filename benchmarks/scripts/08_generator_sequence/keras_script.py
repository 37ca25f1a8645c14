import os
import json
import numpy as np

import tensorflow as tf
from keras.models import Sequential
from keras.layers import Input, Conv2D, MaxPooling2D, Flatten, Dense, Activation
from keras.regularizers import l2
from keras.optimizers import SGD
from keras.metrics import CategoricalAccuracy, Mean
from keras.losses import CategoricalCrossentropy

from my_classes import DataGenerator

# Parameters
params = {'dim': (32, 16),
          'batch_size': 32,
          'n_classes': 4,
          'n_channels': 1,
          'shuffle': True}
EPOCHS = 4
WD = 1e-2


def make_data():
    """fake mel spectrograms of four bird species, one .npy per recording"""
    rng = np.random.RandomState(0)
    os.makedirs('data', exist_ok=True)
    labels = {}
    t, f = np.meshgrid(np.linspace(0, 1, 32), np.linspace(0, 1, 16), indexing='ij')
    for i in range(800):
        cls = rng.randint(4)
        off = rng.uniform(-.15, .15)
        ridge = [0.3 + 0 * t, 0.2 + 0.6 * t, 0.8 - 0.6 * t, 0.5 + 0.3 * np.sin(6.3 * t)][cls] + off
        spec = np.exp(-((f - ridge) / 0.08) ** 2) * rng.uniform(.4, 1.2) + rng.rand(32, 16) * 0.8
        ID = 'id-%d' % (i + 1)
        np.save('data/' + ID + '.npy', spec.astype('float32'))
        labels[ID] = int(cls)
    with open('data/labels.json', 'w') as fh:
        json.dump(labels, fh)


if not os.path.exists('data/labels.json'):
    make_data()

# Datasets
labels = json.load(open('data/labels.json'))
ids = list(labels)
partition = {'train': ids[:640], 'validation': ids[640:]}

# Generators
training_generator = DataGenerator(partition['train'], labels, **params)
validation_generator = DataGenerator(partition['validation'], labels, **{**params, 'shuffle': False})


# Design model
def get_model():
    model = Sequential()
    model.add(Input((*params['dim'], params['n_channels'])))
    model.add(Conv2D(16, (3, 3), padding='same', kernel_regularizer=l2(WD)))
    model.add(Activation('relu'))
    model.add(MaxPooling2D((2, 2)))
    model.add(Conv2D(32, (3, 3), padding='same', kernel_regularizer=l2(WD)))
    model.add(Activation('relu'))
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(64, activation='relu', kernel_regularizer=l2(WD)))
    model.add(Dense(params['n_classes'], activation='softmax'))
    return model


model = get_model()
init = model.get_weights()
model.compile(loss='categorical_crossentropy',
              optimizer=SGD(learning_rate=0.01, momentum=0.9),
              metrics=['accuracy'])
model.summary()

# Train model on dataset
model.fit(training_generator,
          validation_data=validation_generator,
          epochs=EPOCHS)

# Train it on my own, the generator can be used like a list
model2 = get_model()
model2.set_weights(init)
opt = SGD(learning_rate=0.01, momentum=0.9)
cce = CategoricalCrossentropy()
loss_m, acc_m = Mean(), CategoricalAccuracy()


@tf.function
def step(X, y):
    with tf.GradientTape() as tape:
        p = model2(X, training=True)
        loss = cce(y, p)
    opt.apply_gradients(zip(tape.gradient(loss, model2.trainable_variables),
                            model2.trainable_variables))
    loss_m(loss)
    acc_m(y, p)


for e in range(EPOCHS):
    loss_m.reset_state(); acc_m.reset_state()
    for i in range(len(training_generator)):
        X, y = training_generator[i]
        step(X, y)
        print('\r%d/%d  loss: %.4f - acc: %.4f' % (
            i + 1, len(training_generator), loss_m.result(), acc_m.result()), end='')
    training_generator.on_epoch_end()

    vacc = CategoricalAccuracy()
    for i in range(len(validation_generator)):
        X, y = validation_generator[i]
        vacc(y, model2(X, training=False))
    print('  epoch %d  val_acc: %.4f' % (e + 1, vacc.result()))

print('weight norms  fit : ', ['%.2f' % np.linalg.norm(w) for w in model.get_weights() if w.ndim > 1])
print('weight norms  loop: ', ['%.2f' % np.linalg.norm(w) for w in model2.get_weights() if w.ndim > 1])
