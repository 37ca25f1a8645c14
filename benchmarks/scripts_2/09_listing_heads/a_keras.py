import keras

from listings import LOSS_WEIGHTS, LOSSES, build, load

x, y = load()
cut = lambda d, s: {k: v[s] for k, v in d.items()}
train, test = slice(0, 1040), slice(1040, None)

model = build()
model.compile(keras.optimizers.Adam(3e-3), loss=LOSSES, loss_weights=LOSS_WEIGHTS)
history = model.fit(cut(x, train), cut(y, train), batch_size=40, epochs=10,
                    validation_data=(cut(x, test), cut(y, test)), verbose=0).history
for k, v in history.items():
    print(f"{k:>16}", " ".join(f"{q:.3f}" for q in v[-3:]))
model.save_weights("a.weights.h5")
