#%% imports
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_wine
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder
from tensorflow.keras import Sequential
from tensorflow.keras.layers import Dense, InputLayer
from tensorflow.keras.losses import CategoricalCrossentropy
from tensorflow.keras.metrics import CategoricalAccuracy, Mean
from tensorflow.keras.optimizers import SGD

#%% data
wine = load_wine()
X = MinMaxScaler().fit_transform(wine.data).astype(np.float32)
Y = OneHotEncoder(sparse_output=False).fit_transform(wine.target.reshape(-1, 1)).astype(np.float32)
perm = np.random.permutation(len(X))
X, Y = X[perm], Y[perm]
X_train, Y_train, X_test, Y_test = X[:144], Y[:144], X[144:], Y[144:]

EPOCHS = 5
BATCH = 8

#%% two models with the same weights
def build():
    m = Sequential()
    m.add(InputLayer(shape=(13,)))
    m.add(Dense(24, activation='tanh', kernel_initializer='he_normal'))
    m.add(Dense(3, activation='softmax'))
    return m

model_a = build()
model_b = build()
model_b.set_weights(model_a.get_weights())

#%% A: fit
model_a.compile(optimizer=SGD(0.05, momentum=0.9, nesterov=True),
                loss=CategoricalCrossentropy(), metrics=[CategoricalAccuracy()])
hist = model_a.fit(X_train, Y_train, batch_size=BATCH, epochs=EPOCHS, verbose=0)
for i in range(EPOCHS):
    print('A epoch', i + 1, 'loss %.4f acc %.4f' % (
        hist.history['loss'][i], hist.history['categorical_accuracy'][i]))

#%% B: loop
optimizer = SGD(0.05, momentum=0.9, nesterov=True)
cce = CategoricalCrossentropy()
mean_loss = Mean()
accuracy = CategoricalAccuracy()

dataset = tf.data.Dataset.from_tensor_slices((X_train, Y_train)).shuffle(1024).batch(BATCH)

for epoch in range(1, EPOCHS):
    mean_loss.reset_state()
    accuracy.reset_state()
    for xb, yb in dataset:
        with tf.GradientTape() as tape:
            out = model_b(xb, training=True)
            loss = cce(yb, out)
        grads = tape.gradient(loss, model_b.trainable_variables)
        optimizer.apply_gradients(zip(grads, model_b.trainable_variables))
        mean_loss.update_state(loss)
        accuracy.update_state(yb, out)
    print('B epoch', epoch, 'loss %.4f acc %.4f' % (
        mean_loss.result().numpy(), accuracy.result().numpy()))

#%% test
def test_scores(m):
    p = m.predict(X_test, verbose=0)
    return cce(Y_test, p).numpy(), np.mean(p.argmax(1) == Y_test.argmax(1))

print('A test loss %.4f acc %.3f' % test_scores(model_a))
print('B test loss %.4f acc %.3f' % test_scores(model_b))
