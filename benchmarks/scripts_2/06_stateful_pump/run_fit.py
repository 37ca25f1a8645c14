import keras

from pump_data import N_PUMPS, split
from pump_model import FreshMemory, build

(x, y), (xv, yv) = split()
model = build()
model.compile(keras.optimizers.Adam(5e-3), "mse")
history = model.fit(x, y, batch_size=N_PUMPS, epochs=8, shuffle=False, validation_data=(xv, yv),
                    callbacks=[FreshMemory()], verbose=2)
