import keras
from keras import layers

from settings import S


def _trunk():
    signals = keras.Input((S.window, S.sensors), name="signals")
    machine = keras.Input((1,), dtype="int32", name="machine")
    x = layers.Conv1D(12, 5, strides=2, activation="relu", name="conv_a")(signals)
    x = layers.Conv1D(12, 3, activation="relu", name="conv_b")(x)
    x = layers.GlobalMaxPooling1D()(x)
    e = layers.CategoryEncoding(S.n_machines, output_mode="one_hot")(machine)
    e = layers.Dense(3, use_bias=False, name="machine_vec")(e)
    x = layers.Concatenate()([x, e])
    x = layers.Dense(24, activation="relu", name="shared")(x)
    return signals, machine, x


def maintenance_model():
    """Two named outputs: rul (regression) and fault (class probabilities)."""
    signals, machine, x = _trunk()
    rul = layers.Dense(1, name="rul")(x)
    fault = layers.Dense(S.n_faults, activation="softmax", name="fault")(x)
    return keras.Model({"signals": signals, "machine": machine}, {"rul": rul, "fault": fault})


def maintenance_model_raw():
    """Same network for the distributed loop: tuple output (logits, rul)."""
    signals, machine, x = _trunk()
    return keras.Model(
        [signals, machine],
        (layers.Dense(S.n_faults, name="fault_logits")(x), layers.Dense(1, name="rul")(x)),
    )


def lr_schedule():
    return keras.optimizers.schedules.CosineDecay(S.lr, decay_steps=S.decay_steps, alpha=0.1)
