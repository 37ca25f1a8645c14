"""
Knowledge distillation on digits: a wide teacher, a tiny student.

a) Distiller(keras.Model) with overridden compute_loss, trained with fit
b) the same thing written as a loop
"""
import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

ALPHA = 0.1
TEMPERATURE = 4.0
EPOCHS = 5
BATCH_SIZE = 32

digits = load_digits()
x_train, x_test, y_train, y_test = train_test_split(
    (digits.data / 16.0).astype("float32"), digits.target, test_size=0.2, random_state=0
)


def mlp(widths, name):
    m = keras.Sequential([keras.Input((64,))], name=name)
    for w in widths:
        m.add(layers.Dense(w))
        m.add(layers.LeakyReLU(negative_slope=0.2))
    m.add(layers.Dense(10))
    return m


class Distiller(keras.Model):
    def __init__(self, student, teacher):
        super().__init__()
        self.teacher = teacher
        self.student = student

    def compile(self, optimizer, metrics, student_loss_fn, distillation_loss_fn, alpha, temperature):
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss_fn = student_loss_fn
        self.distillation_loss_fn = distillation_loss_fn
        self.alpha = alpha
        self.temperature = temperature

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        teacher_pred = self.teacher(x, training=False)
        student_loss = self.student_loss_fn(y, y_pred)
        distillation_loss = self.distillation_loss_fn(
            ops.softmax(teacher_pred / self.temperature, axis=1),
            ops.softmax(y_pred / self.temperature, axis=1),
        ) * (self.temperature**2)
        return self.alpha * student_loss + (1 - self.alpha) * distillation_loss

    def call(self, x, training=None):
        return self.student(x, training=training)


# ---- teacher
teacher = mlp([128, 64], "teacher")
teacher.compile(
    optimizer="adam",
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
teacher.fit(x_train, y_train, epochs=4, batch_size=BATCH_SIZE, verbose=0)
print("teacher accuracy:", teacher.evaluate(x_test, y_test, verbose=0)[1])
teacher.trainable = False

student = mlp([12], "student")
student_loop = keras.models.clone_model(student)
student_loop.set_weights(student.get_weights())

# ---- a) fit
distiller = Distiller(student=student, teacher=teacher)
distiller.compile(
    optimizer=keras.optimizers.Adam(2e-3),
    metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    student_loss_fn=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    distillation_loss_fn=keras.losses.KLDivergence(),
    alpha=ALPHA,
    temperature=TEMPERATURE,
)
distiller.fit(x_train, y_train, epochs=EPOCHS, batch_size=BATCH_SIZE, verbose=2)
fit_acc = np.mean(student.predict(x_test, verbose=0).argmax(-1) == y_test)

# ---- b) loop
opt = keras.optimizers.Adam(2e-3)


@tf.function
def distill_step(x, y):
    t_logits = teacher(x, training=False) / TEMPERATURE
    with tf.GradientTape() as tape:
        s_logits = student_loop(x, training=True)
        hard = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=s_logits)
        )
        log_p = tf.nn.log_softmax(t_logits)
        log_q = tf.nn.log_softmax(s_logits / TEMPERATURE)
        soft = tf.reduce_mean(tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1))
        loss = ALPHA * hard + (1.0 - ALPHA) * TEMPERATURE**2 * soft
    grads = tape.gradient(loss, student_loop.trainable_variables)
    opt.apply_gradients(zip(grads, student_loop.trainable_variables))
    return loss, tf.math.count_nonzero(tf.argmax(s_logits, -1) == y)


train = tf.data.Dataset.from_tensor_slices((x_train, y_train)).shuffle(len(x_train)).batch(BATCH_SIZE)
for epoch in range(EPOCHS):
    loss_sum = hits = 0
    for x, y in train:
        loss, correct = distill_step(x, y)
        loss_sum += loss.numpy() * len(x)
        hits += correct.numpy()
    print(f"Epoch {epoch + 1}/{EPOCHS} - accuracy: {hits / len(x_train):.4f} - loss: {loss_sum / len(x_train):.4f}")

loop_acc = np.mean(student_loop.predict(x_test, verbose=0).argmax(-1) == y_test)
print(f"student test accuracy  fit {fit_acc:.4f}  loop {loop_acc:.4f}")
