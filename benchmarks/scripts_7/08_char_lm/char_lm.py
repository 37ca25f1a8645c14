# tiny character level language model. GRU + layer norm, next char prediction.
# part A: keras fit,  part B: the loop from the tf text generation tutorial, adapted
import math
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
import keras
from keras import layers

TEXT = """
the miller had three sons and a mill and a donkey and a cat. the sons had to grind, the donkey had to
carry the grain and the cat had to catch the mice. when the miller died the three sons shared what was
left. the eldest got the mill, the second got the donkey and the third got the cat, there was nothing
else for him. then he was sad and said to himself, i have got the worst of it after all. my eldest
brother can mill, my second brother can ride upon the donkey, but what can i do with a cat. if i have a
pair of gloves made out of its fur then it is all over. listen, said the cat, who had understood all he
had said, you need not kill me to get a pair of poor gloves out of my fur. just let me have a pair of
boots made, so that i can go out and be seen among the people, then you shall soon be helped.
the miller's son was surprised that the cat spoke like that, but as the shoemaker was just walking by he
called him in and let him measure the cat for a pair of boots. when they were ready the cat put them on,
took a sack, filled the bottom of it with corn, and put a string on the top so that it could be pulled
shut. then he threw it over his back and walked out at the door on two legs, like a man.
""".strip().replace("\n", " ")

SEQ = 32
BATCH = 24
EPOCHS = 6
VAL_PART = 0.15

chars = sorted(set(TEXT))
c2i = {c: i for i, c in enumerate(chars)}
ids = np.array([c2i[c] for c in TEXT], "int32")
print(len(ids), "characters,", len(chars), "different")

# overlapping windows, stride 3. validation = the end of the text
cut = int(len(ids) * (1 - VAL_PART))


def windows(a, stride):
    starts = range(0, len(a) - SEQ, stride)
    x = np.stack([a[s:s + SEQ] for s in starts])
    t = np.stack([a[s + 1:s + SEQ + 1] for s in starts])
    return x, t


x_train, t_train = windows(ids[:cut], 3)
x_val, t_val = windows(ids[cut:], SEQ // 2)
print("windows", x_train.shape, x_val.shape)

train_ds = tf.data.Dataset.from_tensor_slices((x_train, t_train)).shuffle(len(x_train), seed=1).batch(BATCH)
val_ds = tf.data.Dataset.from_tensor_slices((x_val, t_val)).batch(BATCH)


def build_lm():
    keras.utils.set_random_seed(0)
    inp = keras.Input((SEQ,), dtype="int32")
    h = layers.Embedding(len(chars), 32)(inp)
    h = layers.GRU(64, return_sequences=True)(h)
    h = layers.LayerNormalization()(h)
    h = layers.Dense(64, activation="relu")(h)
    return keras.Model(inp, layers.Dense(len(chars))(h))


def make_optimizer():
    o = keras.optimizers.AdamW(learning_rate=4e-3, weight_decay=0.1, beta_2=0.98, global_clipnorm=1.0)
    # no decay on biases and on the layer norm
    o.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return o


optimizer = make_optimizer()
xent = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

# ---------- A: fit ----------
lm = build_lm()
lm.compile(optimizer=optimizer, loss=xent, metrics=["accuracy"])
hist = lm.fit(train_ds, validation_data=val_ds, epochs=EPOCHS, verbose=0).history
for e in range(EPOCHS):
    print("A epoch %d  loss %.4f  acc %.4f  val_loss %.4f  val_acc %.4f  val ppl %.2f" % (
        e + 1, hist["loss"][e], hist["accuracy"][e], hist["val_loss"][e], hist["val_accuracy"][e],
        math.exp(hist["val_loss"][e])))

# ---------- B: loop ----------
lm2 = build_lm()
# an optimizer belongs to one model, so take a fresh one with the same settings
optimizer2 = keras.optimizers.AdamW.from_config(optimizer.get_config())


@tf.function
def train_step(x, t):
    with tf.GradientTape() as tape:
        logits = lm2(x, training=True)
        loss = xent(t, logits)
    grads = tape.gradient(loss, lm2.trainable_variables)
    optimizer2.apply_gradients(zip(grads, lm2.trainable_variables))
    return loss, logits


@tf.function
def eval_step(x, t):
    logits = lm2(x, training=False)
    return xent(t, logits), logits


def one_pass(ds, fn):
    loss = keras.metrics.Mean()
    acc = keras.metrics.SparseCategoricalAccuracy()
    for x, t in ds:
        l, logits = fn(x, t)
        loss.update_state(l, sample_weight=x.shape[0])
        acc.update_state(t, logits)
    return float(loss.result()), float(acc.result())


for e in range(EPOCHS):
    loss, acc = one_pass(train_ds, train_step)
    val_loss, val_acc = one_pass(val_ds, eval_step)
    print("B epoch %d  loss %.4f  acc %.4f  val_loss %.4f  val_acc %.4f  val ppl %.2f" % (
        e + 1, loss, acc, val_loss, val_acc, math.exp(val_loss)))


# ---------- sample a bit ----------
def babble(net, start="the miller ", n=40):
    out = start
    for _ in range(n):
        ctx = out[-SEQ:].rjust(SEQ)
        logits = net(np.array([[c2i[c] for c in ctx]], "int32"), training=False)[0, -1]
        out += chars[int(tf.argmax(logits))]
    return out


print("A:", babble(lm))
print("B:", babble(lm2))
for name in ("gamma", "beta"):
    a, b = ([w for w in m.weights if w.path.endswith(name)][0].numpy() for m in (lm, lm2))
    print(name, "of the layer norm, mean abs", np.abs(a).mean().round(4), np.abs(b).mean().round(4))
