from solar import data, model
from solar.settings import Settings
from solar.trainer import DistributedTrainer


def main():
    s = Settings()
    train, val = data.datasets(s)

    ref = model.build(s)
    ref.compile(model.optimizer(s), "mse", metrics=["mse"])
    h = ref.fit(train, validation_data=val, epochs=s.epochs, verbose=0).history

    t = DistributedTrainer(s, model.build, model.optimizer)
    mine = t.train(train, val)
    for e in range(s.epochs):
        print(f"{e + 1:3d} loss {h['loss'][e]:.4f} | {mine['loss'][e]:.4f}    val_mse {h['val_mse'][e]:.4f} | {mine['val_mse'][e]:.4f}")
    return ref, t, h, mine


if __name__ == "__main__":
    ref, t, h, mine = main()
