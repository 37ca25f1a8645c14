import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf

from model import WarmupSchedule, build_seq2seq
from vocab import PAD, corpus

BATCH_SIZE = 64
EPOCHS = 5


def masked_loss(label, pred):
    mask = label != PAD
    loss_object = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    loss = loss_object(label, pred)
    mask = tf.cast(mask, dtype=loss.dtype)
    loss *= mask
    return tf.reduce_sum(loss) / tf.reduce_sum(mask)


def masked_accuracy(label, pred):
    pred = tf.argmax(pred, axis=2)
    label = tf.cast(label, pred.dtype)
    match = label == pred
    mask = label != PAD
    match = match & mask
    match = tf.cast(match, dtype=tf.float32)
    mask = tf.cast(mask, dtype=tf.float32)
    return tf.reduce_sum(match) / tf.reduce_sum(mask)


def main():
    (src, dec_in, dec_out), (v_src, v_in, v_out) = corpus()
    model = build_seq2seq()
    model.compile(
        loss=masked_loss,
        optimizer=keras.optimizers.Adam(WarmupSchedule(), beta_1=0.9, beta_2=0.98, epsilon=1e-9),
        metrics=[masked_accuracy],
    )
    model.fit(
        [src, dec_in], dec_out,
        validation_data=([v_src, v_in], v_out),
        batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=2,
    )


if __name__ == "__main__":
    main()
