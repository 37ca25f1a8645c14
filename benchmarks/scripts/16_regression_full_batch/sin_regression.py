import numpy as np
import tensorflow as tf
import matplotlib.pyplot as plt

np.random.seed(1)
tf.random.set_seed(1)

# noisy sine
X = np.random.uniform(-3, 3, (256, 1)).astype(np.float32)
Y = (np.sin(2 * X) + 0.3 * X + np.random.normal(0, 0.15, X.shape)).astype(np.float32)
X_val = np.random.uniform(-3, 3, (64, 1)).astype(np.float32)
Y_val = (np.sin(2 * X_val) + 0.3 * X_val + np.random.normal(0, 0.15, X_val.shape)).astype(np.float32)


def get_model():
    model = tf.keras.models.Sequential()
    model.add(tf.keras.layers.Dense(32, activation='tanh', input_dim=1))
    model.add(tf.keras.layers.Dense(32, activation='tanh'))
    model.add(tf.keras.layers.Dense(1))
    return model


lr = 0.01

# ---- gradient tape ----
model1 = get_model()
opt = tf.keras.optimizers.Adam(learning_rate=lr)
mse = tf.keras.losses.MeanSquaredError()
losses, val_losses = [], []

for epoch in range(200):
    with tf.GradientTape() as tape:
        Y_pred = model1(X, training=True)
        loss = mse(Y, Y_pred)
    grads = tape.gradient(loss, model1.trainable_variables)
    opt.apply_gradients(zip(grads, model1.trainable_variables))
    losses.append(loss.numpy())
    val_losses.append(mse(Y_val, model1(X_val)).numpy())
    if epoch % 20 == 0:
        print('Epoch', epoch, 'loss', losses[-1], 'val_loss', val_losses[-1])

# ---- keras ----
model2 = get_model()
model2.compile(optimizer=tf.keras.optimizers.Adam(learning_rate=lr), loss='mse')
es = tf.keras.callbacks.EarlyStopping(monitor='val_loss', patience=5, restore_best_weights=True)
hist = model2.fit(X, Y, batch_size=32, epochs=200, validation_data=(X_val, Y_val),
                  callbacks=[es], verbose=0)
print('keras stopped after', len(hist.history['loss']), 'epochs')

print('val mse tape :', mse(Y_val, model1(X_val)).numpy())
print('val mse keras:', mse(Y_val, model2(X_val)).numpy())

fig, (ax1, ax2) = plt.subplots(1, 2, figsize=(12, 4))
ax1.semilogy(losses, label='tape')
ax1.semilogy(hist.history['loss'], label='keras')
ax1.set_xlabel('epoch')
ax1.legend()
grid = np.linspace(-3, 3, 200).reshape(-1, 1).astype(np.float32)
ax2.scatter(X, Y, s=4, c='grey')
ax2.plot(grid, model1(grid), label='tape')
ax2.plot(grid, model2(grid), label='keras')
ax2.legend()
plt.show()
