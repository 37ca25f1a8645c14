import keras
from keras import layers, regularizers

N_USERS, N_MOVIES, N_GENRES = 120, 80, 6


def _embedding(x, size, dim, l2, name):
    e = layers.Embedding(size, dim, embeddings_regularizer=regularizers.L2(l2), name=name)(x)
    return layers.Flatten()(e)


def rating_model(dim=8, l2=1e-4):
    user = keras.Input((1,), dtype="int64", name="user_id")
    movie = keras.Input((1,), dtype="int64", name="movie_id")
    genre = keras.Input((1,), dtype="int64", name="genre")

    u = _embedding(user, N_USERS, dim, l2, "user_vec")
    m = _embedding(movie, N_MOVIES, dim, l2, "movie_vec")
    g = _embedding(genre, N_GENRES, 2, l2, "genre_vec")

    dot = layers.Dot(axes=1)([u, m])
    h = layers.Concatenate()([u, m, g, dot])
    h = layers.Dense(16, activation="relu", kernel_regularizer=regularizers.L2(l2))(h)
    out = layers.Dense(1, bias_initializer=keras.initializers.Constant(3.4))(h)
    return keras.Model({"user_id": user, "movie_id": movie, "genre": genre}, out)
