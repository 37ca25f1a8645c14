"""Transfer learning: backbone trained on 0-4, new head for the digits 5-9.

Stage 1: backbone frozen, only the head learns.
Stage 2: everything with a small learning rate.
"""
import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from backbone import build_backbone

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH = 32
HEAD_EPOCHS, FINETUNE_EPOCHS = 3, 3
HEAD_LR, FINETUNE_LR = 5e-3, 5e-4


def get_data():
    x, y = load_digits(return_X_y=True)
    keep = y >= 5
    x = x[keep].reshape(-1, 8, 8, 1).astype("float32")
    return train_test_split(x, y[keep] - 5, test_size=0.2, random_state=3)


def build_model():
    backbone = build_backbone()
    backbone.load_weights(os.path.join(HERE, "backbone.weights.h5"))
    backbone.trainable = False

    inputs = keras.Input((8, 8, 1))
    x = backbone(inputs, training=False)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.2)(x)
    outputs = layers.Dense(5, name="head")(x)
    return keras.Model(inputs, outputs), backbone


x_train, x_test, y_train, y_test = get_data()
n = len(x_train) // BATCH * BATCH
x_train, y_train = x_train[:n], y_train[:n]
print(x_train.shape, x_test.shape)

# --------------------------------------------------------------- keras fit
model, backbone = build_model()
model.compile(
    optimizer=keras.optimizers.Adam(HEAD_LR),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
print("stage 1")
model.fit(x_train, y_train, batch_size=BATCH, epochs=HEAD_EPOCHS,
          validation_data=(x_test, y_test), verbose=2)

print("stage 2")
backbone.trainable = True
model.optimizer.learning_rate = FINETUNE_LR
model.fit(x_train, y_train, batch_size=BATCH, epochs=FINETUNE_EPOCHS,
          validation_data=(x_test, y_test), verbose=2)

# ------------------------------------------------------------- custom loop
net, net_backbone = build_model()
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
train_acc = keras.metrics.SparseCategoricalAccuracy()
val_acc = keras.metrics.SparseCategoricalAccuracy()
mean_loss = keras.metrics.Mean()

train_set = tf.data.Dataset.from_tensor_slices((x_train, y_train)).shuffle(n).batch(BATCH)
val_set = tf.data.Dataset.from_tensor_slices((x_test, y_test)).batch(BATCH)


def run_stage(name, epochs, optimizer):
    variables = net.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            logits = net(x, training=True)
            loss = loss_fn(y, logits)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        mean_loss.update_state(loss)
        train_acc.update_state(y, logits)

    print(name, "-", len(variables), "trainable tensors")
    for epoch in range(epochs):
        for m in (mean_loss, train_acc, val_acc):
            m.reset_state()
        for x, y in train_set:
            step(x, y)
        for x, y in val_set:
            val_acc.update_state(y, net(x, training=False))
        print(f"  epoch {epoch + 1}: loss {mean_loss.result():.4f} acc {train_acc.result():.4f} "
              f"val_acc {val_acc.result():.4f}")


run_stage("stage 1", HEAD_EPOCHS, keras.optimizers.Adam(HEAD_LR))
net_backbone.trainable = True
run_stage("stage 2", FINETUNE_EPOCHS, keras.optimizers.Adam(FINETUNE_LR))
