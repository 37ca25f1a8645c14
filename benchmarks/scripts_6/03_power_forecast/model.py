import keras
from keras import layers


def build_model(cfg, n_features):
    m = cfg["model"]
    rnn = {"lstm": layers.LSTM, "gru": layers.GRU}[m["kind"]]
    return keras.Sequential(
        [
            keras.Input((cfg["data"]["window"], n_features)),
            rnn(m["units"]),
            layers.Dense(m["dense"], activation="relu"),
            layers.Dense(1),
        ],
        name="load_forecaster",
    )
