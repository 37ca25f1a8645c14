import keras
from keras import layers


def build_backbone():
    inputs = keras.Input((8, 8, 1))
    x = layers.Rescaling(1 / 8.0, offset=-1.0)(inputs)
    for i, filters in enumerate((8, 16)):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{i}")(x)
        x = layers.BatchNormalization(name=f"bn{i}")(x)
        x = layers.ReLU(name=f"relu{i}")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    return keras.Model(inputs, x, name="backbone")
