import keras
from keras import layers


def sales_net(s):
    keras.utils.set_random_seed(s.seed)
    store = keras.Input((), dtype="int32", name="store")
    numbers = keras.Input((3,), name="numbers")
    e = layers.Embedding(s.n_stores, 6, name="store_embedding")(store)
    h = layers.Concatenate()([e, numbers])
    h = layers.Dense(48, activation="relu")(h)
    h = layers.Dense(24, activation="relu")(h)
    return keras.Model({"store": store, "numbers": numbers}, layers.Dense(1)(h), name="sales_net")
