"""Training with fit()."""
import keras

from .net import sales_net


def run_keras(s, train, val):
    model = sales_net(s)
    model.compile(optimizer=keras.optimizers.Adam(s.learning_rate), loss="mae")
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=s.patience, min_delta=s.min_delta)
    h = model.fit(train, validation_data=val, epochs=s.max_epochs, callbacks=[stop], verbose=0)
    return model, [{"loss": a, "val_loss": b} for a, b in zip(h.history["loss"], h.history["val_loss"])]
