import keras


def build(s):
    l2 = keras.regularizers.L2(s.weight_decay)
    return keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(24, activation="tanh", kernel_regularizer=l2),
        keras.layers.Dense(12, activation="tanh", kernel_regularizer=l2),
        keras.layers.Dense(1),
    ])


def optimizer(s):
    return keras.optimizers.SGD(s.optim.learning_rate, momentum=s.optim.momentum, nesterov=s.optim.nesterov)
