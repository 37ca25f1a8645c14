"""Routing of support tickets, Keras version."""
import tempfile

import keras

from common import BATCH, EPOCHS, LR, data, network, report


def main():
    (x, y), (xv, yv), _ = data()
    model = network()
    model.compile(
        optimizer=keras.optimizers.Adam(LR),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    with tempfile.TemporaryDirectory() as tmp:
        path = f"{tmp}/best.weights.h5"
        keep = keras.callbacks.ModelCheckpoint(
            path, monitor="val_loss", save_best_only=True, save_weights_only=True)
        model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, validation_data=(xv, yv),
                  callbacks=[keep], verbose=2)
        model.load_weights(path)
    report("fit", model)
    return model


if __name__ == "__main__":
    main()
