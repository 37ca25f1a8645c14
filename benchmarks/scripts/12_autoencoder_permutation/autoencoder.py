import numpy as np
import matplotlib.pyplot as plt
import tensorflow as tf
from sklearn.datasets import load_digits
from tensorflow.keras.layers import Input, Dense
from tensorflow.keras.models import Model

# ## data
data = load_digits().data.astype(np.float32) / 16.0
np.random.shuffle(data)
x_train, x_test = data[:1500], data[1500:]
print(x_train.shape, x_test.shape)

encoding_dim = 12
n_epochs = 5
batch_size = 64
learning_rate = 0.003


def make_autoencoder():
    input_img = Input(shape=(64,))
    encoded = Dense(32, activation='relu')(input_img)
    encoded = Dense(encoding_dim, activation='relu')(encoded)
    decoded = Dense(32, activation='relu')(encoded)
    decoded = Dense(64, activation='sigmoid')(decoded)
    return Model(input_img, decoded)


# ## 1. by hand
ae = make_autoencoder()
start_weights = ae.get_weights()
opt = tf.keras.optimizers.Adam(learning_rate=learning_rate)

hand = []
n = x_train.shape[0]
for epoch in range(n_epochs):
    perm = np.random.permutation(n)
    epoch_loss = 0.
    for i in range(0, n, batch_size):
        batch = x_train[perm[i:i + batch_size]]
        with tf.GradientTape() as t:
            rec = ae(batch, training=True)
            loss = tf.reduce_mean(tf.reduce_mean((batch - rec) ** 2, axis=-1))
        g = t.gradient(loss, ae.trainable_weights)
        opt.apply_gradients(zip(g, ae.trainable_weights))
        epoch_loss += loss.numpy() * len(batch)
    epoch_loss /= n
    rec_test = ae(x_test, training=False).numpy()
    test_loss = np.mean((x_test - rec_test) ** 2)
    hand.append((epoch_loss, test_loss))
    print(f'epoch {epoch + 1:2d}   loss {epoch_loss:.5f}   test {test_loss:.5f}')

# ## 2. keras
ae2 = make_autoencoder()
ae2.set_weights(start_weights)
ae2.compile(optimizer=tf.keras.optimizers.Adam(learning_rate=learning_rate), loss='mse')
hist = ae2.fit(x_train, x_train, epochs=n_epochs, batch_size=batch_size,
               validation_data=(x_test, x_test), verbose=2)

# ## compare
hand = np.array(hand)
plt.plot(hand[:, 0], 'C0', label='by hand')
plt.plot(hand[:, 1], 'C0--', label='by hand (test)')
plt.plot(hist.history['loss'], 'C1', label='keras')
plt.plot(hist.history['val_loss'], 'C1--', label='keras (test)')
plt.yscale('log')
plt.legend()

k = 8
fig, axes = plt.subplots(3, k, figsize=(k, 3))
for row, imgs in enumerate([x_test, ae.predict(x_test[:k]), ae2.predict(x_test[:k])]):
    for col in range(k):
        axes[row, col].imshow(imgs[col].reshape(8, 8), cmap='gray')
        axes[row, col].axis('off')
plt.show()
