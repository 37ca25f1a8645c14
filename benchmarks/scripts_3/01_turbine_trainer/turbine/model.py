import keras


def build(width, seed):
    init = lambda k: keras.initializers.GlorotUniform(seed=seed + k)
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(width, activation="swish", kernel_initializer=init(0)),
            keras.layers.Dense(width, activation="swish", kernel_initializer=init(1)),
            keras.layers.Dense(1, kernel_initializer=init(2)),
        ]
    )
