import keras
import tensorflow as tf
from keras import layers

from vocab import SRC_LEN, SRC_VOCAB, TGT_LEN, TGT_VOCAB


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warmup, then inverse square root."""

    def __init__(self, peak=0.01, warmup=20):
        super().__init__()
        self.peak = peak
        self.warmup = warmup

    def __call__(self, step):
        step = tf.cast(step, tf.float32) + 1.0
        return self.peak * tf.minimum(step / self.warmup, tf.math.rsqrt(step / self.warmup))

    def get_config(self):
        return {"peak": self.peak, "warmup": self.warmup}


def build_seq2seq(units=32, emb=12):
    src = keras.Input((SRC_LEN,), dtype="int32", name="src")
    dec = keras.Input((TGT_LEN,), dtype="int32", name="dec_in")

    enc_x = layers.Embedding(SRC_VOCAB, emb, name="src_emb")(src)
    _, state = layers.GRU(units, return_state=True, name="encoder")(enc_x)

    dec_x = layers.Embedding(TGT_VOCAB, emb, name="tgt_emb")(dec)
    dec_h = layers.GRU(units, return_sequences=True, name="decoder")(dec_x, initial_state=state)
    logits = layers.Dense(TGT_VOCAB, name="projection")(dec_h)
    return keras.Model([src, dec], logits, name="seq2seq")
