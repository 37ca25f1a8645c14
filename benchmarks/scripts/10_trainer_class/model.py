import tensorflow as tf

from data import NUM_ITEMS, NUM_USERS


def build_model(dim=16):
    user = tf.keras.Input((), dtype="int32", name="user")
    item = tf.keras.Input((), dtype="int32", name="item")
    u = tf.keras.layers.Embedding(NUM_USERS, dim, name="user_emb")(user)
    i = tf.keras.layers.Embedding(NUM_ITEMS, dim, name="item_emb")(item)
    x = tf.keras.layers.Concatenate()([u, i, tf.keras.layers.Multiply()([u, i])])
    x = tf.keras.layers.Dense(64, activation="relu")(x)
    x = tf.keras.layers.Dropout(0.1)(x)
    x = tf.keras.layers.Dense(32, activation="relu")(x)
    out = tf.keras.layers.Dense(1, name="rating")(x)
    return tf.keras.Model([user, item], out, name="recommender")
