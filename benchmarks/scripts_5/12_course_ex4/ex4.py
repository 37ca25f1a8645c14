"""
Deep Learning course, exercise 4: "Write your own training loop"
----------------------------------------------------------------
Part (a) trains SmallNet with compile/fit, part (b) with a GradientTape.
Hand in the two learning curves (train loss, validation loss, validation accuracy).
"""
import numpy as np
import tensorflow as tf
import keras


# ----------------------------------------------------------------------------- data
def spirals(n_per_class, seed):
    rs = np.random.RandomState(seed)
    xs, ys = [], []
    for c in range(3):
        r = np.linspace(0.1, 1.0, n_per_class)
        a = np.linspace(4 * c, 4 * c + 4, n_per_class) + rs.randn(n_per_class) * 0.25
        xs.append(np.c_[r * np.sin(a), r * np.cos(a)])
        ys.append(np.full(n_per_class, c))
    return np.concatenate(xs).astype("float32"), np.concatenate(ys).astype("int64")


x_train, y_train = spirals(300, 0)
x_val, y_val = spirals(80, 1)      # sorted by class, that is fine for validation


# ----------------------------------------------------------------------------- model
class SmallNet(keras.Model):
    def __init__(self, hidden=48):
        super().__init__()
        self.d1 = keras.layers.Dense(hidden, use_bias=False)
        self.bn = keras.layers.BatchNormalization(momentum=0.9)
        self.d2 = keras.layers.Dense(hidden, activation="relu")
        self.head = keras.layers.Dense(3)

    def call(self, x, training=True):
        h = self.d1(x)
        h = self.bn(h, training=training)
        h = tf.nn.relu(h)
        h = self.d2(h)
        return self.head(h)


def new_net():
    keras.utils.set_random_seed(4)
    net = SmallNet()
    net.build((None, 2))
    return net


EPOCHS, BATCH, LR = 12, 45, 5e-3
train_ds = tf.data.Dataset.from_tensor_slices((x_train, y_train)).shuffle(900).batch(BATCH)
val_ds = tf.data.Dataset.from_tensor_slices((x_val, y_val)).batch(BATCH)

# ----------------------------------------------------------------------------- (a)
net_a = new_net()
net_a.compile(optimizer=keras.optimizers.Adam(LR),
              loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
hist_a = net_a.fit(train_ds, validation_data=val_ds, epochs=EPOCHS, verbose=2).history

# ----------------------------------------------------------------------------- (b)
net_b = new_net()
optimizer = keras.optimizers.Adam(LR)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
train_loss = keras.metrics.Mean()
val_loss = keras.metrics.Mean()
val_acc = keras.metrics.SparseCategoricalAccuracy()


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, net_b(x, training=True))
    grads = tape.gradient(loss, net_b.trainable_variables)
    optimizer.apply_gradients(zip(grads, net_b.trainable_variables))
    train_loss.update_state(loss, sample_weight=tf.shape(x)[0])


@tf.function
def test_step(x, y):
    logits = net_b(x)
    val_loss.update_state(criterion(y, logits), sample_weight=tf.shape(x)[0])
    val_acc.update_state(y, logits)


hist_b = {"loss": [], "val_loss": [], "val_accuracy": []}
for epoch in range(EPOCHS):
    for m in (train_loss, val_loss, val_acc):
        m.reset_state()
    for x, y in train_ds:
        train_step(x, y)
    for x, y in val_ds:
        test_step(x, y)
    hist_b["loss"].append(float(train_loss.result()))
    hist_b["val_loss"].append(float(val_loss.result()))
    hist_b["val_accuracy"].append(float(val_acc.result()))
    print(f"{epoch + 1:2d} loss {hist_b['loss'][-1]:.4f} val_loss {hist_b['val_loss'][-1]:.4f} "
          f"val_accuracy {hist_b['val_accuracy'][-1]:.4f}")

print("\n          (a)      (b)")
for key in hist_b:
    print(f"{key:13s} {hist_a[key][-1]:.4f}   {hist_b[key][-1]:.4f}")
