import keras
from keras import layers


def classifier(n_features, n_classes, width=96, depth=1):
    inputs = keras.Input((n_features,))
    x = inputs
    for _ in range(depth):
        x = layers.Dense(width)(x)
        x = layers.LayerNormalization()(x)
        x = layers.Activation("gelu")(x)
    x = layers.Dense(n_classes)(x)
    outputs = layers.Activation("linear", dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs)
