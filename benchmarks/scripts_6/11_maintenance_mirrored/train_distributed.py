"""Same training with tf.distribute and a custom step (one device here, more on the cluster)."""
import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import logging
import tempfile

import keras
import tensorflow as tf

from networks import lr_schedule, maintenance_model_raw
from pipeline import dataset
from settings import S

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
log = logging.getLogger("maintenance")

gpus = tf.config.list_logical_devices("GPU")
strategy = tf.distribute.MirroredStrategy([d.name for d in gpus] or ["/cpu:0"])
writer = tf.summary.create_file_writer(tempfile.mkdtemp(prefix="maintenance_"))

with strategy.scope():
    model = maintenance_model_raw()
    optimizer = keras.optimizers.Adam(learning_rate=lr_schedule())
    optimizer.build(model.trainable_variables)
    mae = keras.metrics.MeanAbsoluteError()
    acc = keras.metrics.SparseCategoricalAccuracy()


def huber(y, y_hat, delta=0.5):
    err = tf.abs(y - y_hat)
    per_row = tf.where(err <= delta, 0.5 * err**2, delta * err - 0.5 * delta**2)
    return tf.squeeze(per_row, axis=-1)


def replica_loss(targets, rul, logits):
    labels = tf.squeeze(targets["fault"], axis=-1)
    per_example = S.w_rul * huber(targets["rul"], rul)
    per_example += S.w_fault * tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tf.nn.compute_average_loss(per_example, global_batch_size=S.global_batch)


def train_replica(features, targets):
    with tf.GradientTape() as tape:
        logits, rul = model([features["signals"], features["machine"]], training=True)
        loss = replica_loss(targets, rul, logits)
    grads = tape.gradient(loss, model.trainable_variables)
    grads, _ = tf.clip_by_global_norm(grads, S.max_grad_norm)
    optimizer.apply_gradients(zip(grads, model.trainable_variables))
    mae.update_state(targets["rul"], rul)
    acc.update_state(targets["fault"], logits)
    return loss


def valid_replica(features, targets):
    logits, rul = model([features["signals"], features["machine"]], training=False)
    mae.update_state(targets["rul"], rul)
    acc.update_state(targets["fault"], logits)
    return replica_loss(targets, rul, logits)


@tf.function
def distributed(features, targets, training):
    fn = train_replica if training else valid_replica
    per_replica = strategy.run(fn, args=(features, targets))
    return strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)


def epoch(ds, training):
    mae.reset_state()
    acc.reset_state()
    losses = [float(distributed(f, t, training)) for f, t in ds]
    return {"loss": sum(losses) / len(losses), "rul_mae": float(mae.result()),
            "fault_accuracy": float(acc.result())}


train = strategy.experimental_distribute_dataset(dataset("train"))
valid = strategy.experimental_distribute_dataset(dataset("valid"))

for e in range(S.epochs):
    for tag, ds in (("train", train), ("valid", valid)):
        row = epoch(ds, tag == "train")
        with writer.as_default(step=e):
            for k, v in row.items():
                tf.summary.scalar(f"{tag}/{k}", v)
        log.info("epoch %d %s %s", e + 1, tag, {k: round(v, 4) for k, v in row.items()})
writer.close()
