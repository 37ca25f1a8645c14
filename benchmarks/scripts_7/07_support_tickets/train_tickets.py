"""Support ticket triage (billing / bug / how-to / cancel), very uneven classes.

We log the gradient norm, that's why the Keras side has its own train_step. The second
half is the plain TF loop that the platform team wants to have for the port.
"""
import logging
import os
import random
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.utils.class_weight import compute_class_weight

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname).1s %(name)s: %(message)s")
logger = logging.getLogger("tickets")

LABELS = ["billing", "bug", "howto", "cancel"]
SHARE = [0.55, 0.28, 0.12, 0.05]
BATCH, EPOCHS, LR = 32, 6, 2e-3
VOCAB, MAXLEN = 200, 14

# ---- texts ------------------------------------------------------------------
PARTS = {
    "billing": ["invoice is wrong", "charged twice", "my card was declined", "need a receipt", "refund please"],
    "bug": ["app crashes on start", "error 500 again", "page stays blank", "the export is broken", "login fails"],
    "howto": ["how do i add a user", "where is the export", "can i change the invoice address", "how to reset login"],
    "cancel": ["please close my account", "stop the subscription", "we want to leave", "cancel and refund please"],
}
NOISE = ["hi team", "hello", "since yesterday", "thanks", "urgent", "again", "regards", "on my phone", "as said before"]


def make_tickets(n, seed):
    rnd = random.Random(seed)
    texts, labels = [], []
    for _ in range(n):
        k = rnd.choices(range(4), SHARE)[0]
        words = [rnd.choice(NOISE), rnd.choice(PARTS[LABELS[k]]), rnd.choice(NOISE)]
        if rnd.random() < 0.25:  # some tickets mix two things
            words.append(rnd.choice(PARTS[rnd.choice(LABELS)]))
        rnd.shuffle(words)
        texts.append(" ".join(words))
        labels.append(k)
    return np.array(texts), np.array(labels)


train_text, train_y = make_tickets(900, seed=1)
val_text, val_y = make_tickets(250, seed=2)

vectorize = layers.TextVectorization(max_tokens=VOCAB, output_sequence_length=MAXLEN)
vectorize.adapt(train_text)
train_x = vectorize(train_text).numpy()
val_x = vectorize(val_text).numpy()

weights = compute_class_weight("balanced", classes=np.arange(4), y=train_y)
class_weight = dict(enumerate(weights))
logger.info("class weights %s", {LABELS[k]: round(float(w), 2) for k, w in class_weight.items()})


def build():
    keras.utils.set_random_seed(5)
    inp = keras.Input((MAXLEN,), dtype="int64")
    x = layers.Embedding(VOCAB, 24)(inp)
    x = layers.Conv1D(32, 3, activation="relu", padding="same")(x)
    x = layers.GlobalMaxPooling1D()(x)
    return inp, layers.Dense(len(LABELS), activation="softmax")(x)


# ---- keras ------------------------------------------------------------------
class TicketModel(keras.Model):
    """reports the gradient norm besides of the usual things"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_avg = keras.metrics.Mean(name="loss")
        self.acc = keras.metrics.SparseCategoricalAccuracy(name="acc")
        self.grad_norm = keras.metrics.Mean(name="grad_norm")

    @property
    def metrics(self):
        return [self.loss_avg, self.acc, self.grad_norm]

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        self.loss_avg.update_state(loss, sample_weight=tf.shape(y)[0])
        self.acc.update_state(y, y_pred)
        self.grad_norm.update_state(tf.linalg.global_norm(gradients))
        return {m.name: m.result() for m in self.metrics}

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
        self.loss_avg.update_state(loss, sample_weight=tf.shape(y)[0])
        self.acc.update_state(y, y_pred)
        return {"loss": self.loss_avg.result(), "acc": self.acc.result()}


def recall_per_class(net):
    hit = np.argmax(net.predict(val_x, verbose=0), axis=1) == val_y
    return {name: round(float(hit[val_y == k].mean()), 2) for k, name in enumerate(LABELS)}


model = TicketModel(*build())
model.compile(optimizer=keras.optimizers.Adam(LR), loss="sparse_categorical_crossentropy")
history = model.fit(train_x, train_y, validation_data=(val_x, val_y), batch_size=BATCH, epochs=EPOCHS,
                    class_weight=class_weight, verbose=0)
for e in range(EPOCHS):
    logger.info("fit  %d %s", e + 1, {k: round(float(v[e]), 4) for k, v in history.history.items()})
logger.info("recall %s", recall_per_class(model))

# ---- plain tf ---------------------------------------------------------------
net = keras.Model(*build())
adam = keras.optimizers.Adam(LR)
cce = keras.losses.SparseCategoricalCrossentropy()
w_table = tf.constant([class_weight[k] for k in range(4)], tf.float32)
tracker = {k: keras.metrics.Mean() for k in ("loss", "grad_norm", "val_loss")}
accs = {"acc": keras.metrics.SparseCategoricalAccuracy(), "val_acc": keras.metrics.SparseCategoricalAccuracy()}


@tf.function
def train_batch(x, y):
    with tf.GradientTape() as tape:
        p = net(x, training=True)
        loss = cce(y, p, sample_weight=tf.gather(w_table, y))
    grads = tape.gradient(loss, net.trainable_variables)
    adam.apply_gradients(zip(grads, net.trainable_variables))
    tracker["loss"].update_state(loss, sample_weight=tf.shape(y)[0])
    tracker["grad_norm"].update_state(tf.linalg.global_norm(grads))
    accs["acc"].update_state(y, p)


@tf.function
def val_batch(x, y):
    p = net(x, training=False)
    tracker["val_loss"].update_state(cce(y, p), sample_weight=tf.shape(y)[0])
    accs["val_acc"].update_state(y, p)


train_ds = tf.data.Dataset.from_tensor_slices((train_x, train_y)).shuffle(1000).batch(BATCH)
val_ds = tf.data.Dataset.from_tensor_slices((val_x, val_y)).batch(BATCH)
for epoch in range(EPOCHS):
    for m in [*tracker.values(), *accs.values()]:
        m.reset_state()
    for x, y in train_ds:
        train_batch(x, y)
    for x, y in val_ds:
        val_batch(x, y)
    logger.info("loop %d %s", epoch + 1, {k: round(float(m.result()), 4) for k, m in {**tracker, **accs}.items()})
logger.info("recall %s", recall_per_class(net))
