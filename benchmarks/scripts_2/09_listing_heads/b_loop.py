import keras
import tensorflow as tf

from listings import LOSS_WEIGHTS, LOSSES, build, load

x, y = load()
ds = tf.data.Dataset.from_tensor_slices((x, y))
train = ds.take(1040).shuffle(1040).batch(40)
test = ds.skip(1040).batch(40)

model = build()
opt = keras.optimizers.Adam(3e-3)
fns = {k: keras.losses.get(v) for k, v in LOSSES.items()}
heads = list(LOSSES)
weights = list(LOSS_WEIGHTS.values())


def objective(targets, outputs):
    # tf.nest so that it also works should the model return a list one day
    t, o = tf.nest.flatten(targets), tf.nest.flatten(outputs)
    per_head = [tf.reduce_mean(fns[k](targets[k], outputs[k])) for k in sorted(outputs)]
    assert len(t) == len(o) == len(weights)
    return tf.tensordot(tf.stack(per_head), tf.constant(weights), 1), dict(zip(sorted(outputs), per_head))


@tf.function
def step(a, b):
    with tf.GradientTape() as tape:
        loss, parts = objective(b, model(a, training=True))
    v = model.trainable_variables
    opt.apply_gradients(zip(tape.gradient(loss, v), v))
    return parts


@tf.function
def look(a, b):
    return objective(b, model(a, training=False))[1]


history = {}
for epoch in range(10):
    meters = {p + k: keras.metrics.Mean() for p in ("", "val_") for k in heads}
    for prefix, data, f in (("", train, step), ("val_", test, look)):
        for a, b in data:
            for k, v in f(a, b).items():
                meters[prefix + k].update_state(v, sample_weight=len(b[k]))
    for k, m in meters.items():
        history.setdefault(k + "_loss", []).append(float(m.result()))
for k in ("", "val_"):                 # the total, from the parts
    history[k + "loss"] = [sum(LOSS_WEIGHTS[h] * history[f"{k}{h}_loss"][e] for h in heads) for e in range(10)]
for k, v in history.items():
    print(f"{k:>16}", " ".join(f"{q:.3f}" for q in v[-3:]))
model.save_weights("b.weights.h5")
