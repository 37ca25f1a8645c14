# Routing of support tickets. The generator is from our old TF1 code and must stay
# (the real one reads from the database); it never ends, as fit_generator wanted it.
import keras
import numpy as np
import tensorflow as tf

rng = np.random.default_rng(77)
TOPICS = {
    "billing": "invoice charged twice refund card payment vat receipt amount month".split(),
    "login": "password reset locked code phone two factor account email sign".split(),
    "crash": "freeze crash screen update version android error restart bug log".split(),
    "other": "thanks question partner press job language feature wish hello team".split(),
}
FILLER = "hi please the my since yesterday i cannot again still help with is not and why".split()


def ticket(words):
    n = rng.integers(6, 16)
    return " ".join(rng.choice(words if rng.random() < .28 else FILLER) for _ in range(n))


names = list(TOPICS)
y = rng.choice(4, size=850, p=[.4, .3, .2, .1])
texts = np.array([ticket(TOPICS[names[c]]) for c in y])

vectorize = keras.layers.TextVectorization(max_tokens=80, output_mode="tf_idf")
vectorize.adapt(texts[:700])
bags = np.asarray(vectorize(texts), "float32")
onehot = keras.utils.to_categorical(y, 4)
# a fifth of the training labels went wrong; keep those at the end of the table, trust them less
trust = np.where(np.arange(700) >= 560, 0.3, 1.0).astype("float32")
onehot[560:700] = onehot[560:700][rng.permutation(140)]

BATCH = 64
EPOCHS = 15
train_x, train_y, valid = bags[:700], onehot[:700], (bags[700:], onehot[700:])


def tickets_forever(shuffle=True):
    while True:
        order = np.random.permutation(len(train_x)) if shuffle else np.arange(len(train_x))
        for i in range(0, len(order), BATCH):
            j = order[i:i + BATCH]
            yield train_x[j], train_y[j], trust[j]


def router():
    return keras.Sequential([
        keras.Input((train_x.shape[1],)),
        keras.layers.Dense(20, activation="elu", kernel_constraint=keras.constraints.MaxNorm(1.5)),
        keras.layers.Dense(4, activation="softmax"),
    ])


def make_optimizer():
    return keras.optimizers.Adamax(0.01, clipvalue=0.5)


# ---- fit
m1 = router()
m1.compile(make_optimizer(), keras.losses.CategoricalCrossentropy(label_smoothing=0.05))
h = m1.fit(tickets_forever(), steps_per_epoch=len(train_x) // BATCH, epochs=EPOCHS,
           validation_data=valid, validation_batch_size=150, verbose=0).history

# ---- loop
m2 = router()
optimizer = make_optimizer()
cce = keras.losses.CategoricalCrossentropy(label_smoothing=0.05)


@tf.function(reduce_retracing=True)
def go(xb, yb, wb):
    with tf.GradientTape() as tape:
        loss = cce(yb, m2(xb, training=True), sample_weight=wb)
    optimizer.apply(tape.gradient(loss, m2.trainable_variables), m2.trainable_variables)
    return loss


mean = keras.metrics.Mean()
log = {"loss": [], "val_loss": []}
source = tickets_forever()
for epoch in range(EPOCHS):
    mean.reset_state()
    seen = 0
    while seen < len(train_x):
        xb, yb, wb = next(source)
        mean.update_state(go(tf.constant(xb), tf.constant(yb), tf.constant(wb)), sample_weight=len(xb))
        seen += len(xb)
    log["loss"].append(float(mean.result()))
    log["val_loss"].append(float(cce(valid[1], m2(valid[0], training=False))))

for e in range(EPOCHS):
    print(f"{e + 1:2d}   fit {h['loss'][e]:.4f} {h['val_loss'][e]:.4f}    loop {log['loss'][e]:.4f} {log['val_loss'][e]:.4f}")
