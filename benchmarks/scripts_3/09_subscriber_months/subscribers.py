import numpy as np
import pandas as pd
import keras
import tensorflow as tf

"""Which subscribers cancel? Table is sorted by month, the newest months are the last 20 % of the rows."""

MAX_EPOCHS = 60
PATIENCE = 3
VAL = 0.2
BATCH = 32


def table(n=900, seed=10):
    r = np.random.default_rng(seed)
    df = pd.DataFrame({
        "month": np.sort(r.integers(0, 24, n)),
        "age": r.integers(18, 80, n),
        "fee": r.choice([9.9, 14.9, 24.9], n),
        "calls": r.poisson(2, n),
        "tenure": r.exponential(14, n),
        "region": r.choice(list("NESW"), n),
    })
    risk = (-1.2 + 0.45 * df.calls - 0.05 * df.tenure + 0.05 * (df.fee - 14) + 0.4 * (df.region == "W")
            # people got used to the higher fee in the second year
            - 0.05 * (df.month > 17) * (df.fee - 9.9) + 0.3 * np.sin(df.age / 9))
    df["cancelled"] = (r.random(n) < 1 / (1 + np.exp(-risk))).astype(int)
    return df


def features(df):
    num = df[["age", "fee", "calls", "tenure"]]
    num = (num - num.mean()) / num.std()
    cat = pd.get_dummies(df["region"], dtype=float)
    return pd.concat([num, cat], axis=1).to_numpy("float32"), df["cancelled"].to_numpy("float32").reshape(-1, 1)


def make():
    keras.utils.set_random_seed(55)
    return keras.Sequential([
        keras.layers.Input((8,)),
        keras.layers.Dense(40, activation="relu"),
        keras.layers.Dense(40, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ])


def keras_way(X, y):
    model = make()
    model.compile(optimizer=keras.optimizers.Adam(1.5e-3), loss="binary_crossentropy")
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=PATIENCE, restore_best_weights=True)
    hist = model.fit(X, y, batch_size=BATCH, epochs=MAX_EPOCHS, validation_split=VAL,
                     callbacks=[stop], verbose=0)
    return model, hist.history["val_loss"]


def my_way(X, y):
    model = make()
    optimizer = keras.optimizers.Adam(1.5e-3)
    bce = keras.losses.BinaryCrossentropy()
    rng = np.random.default_rng(1)

    # 20 % for validation
    n_val = len(X) - int(len(X) * (1 - VAL))
    idx = rng.permutation(len(X))
    train_idx, val_idx = idx[:-n_val], idx[-n_val:]
    X_val, y_val = X[val_idx], y[val_idx]

    @tf.function(reduce_retracing=True)
    def update(xb, yb):
        with tf.GradientTape() as tape:
            loss = bce(yb, model(xb, training=True))
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables))

    @tf.function
    def validation_loss(xv, yv):
        return bce(yv, model(xv, training=False))

    best, best_weights, wait, curve = np.inf, None, 0, []
    for epoch in range(MAX_EPOCHS):
        order = rng.permutation(train_idx)
        for k in range(0, len(order), BATCH):
            sel = order[k:k + BATCH]
            update(X[sel], y[sel])

        val = float(validation_loss(X_val, y_val))
        curve.append(val)
        if val < best:
            best, best_weights = val, model.get_weights()      # get_weights() gives copies
        else:
            wait += 1
            if wait >= PATIENCE:
                break
    model.set_weights(best_weights)
    return model, curve


def main():
    df = table()
    print(df.groupby(df.month // 6).cancelled.mean())
    X, y = features(df)
    a, ca = keras_way(X, y)
    b, cb = my_way(X, y)
    print(f"keras: {len(ca)} epochs, best val_loss {min(ca):.4f}")
    print(f"mine:  {len(cb)} epochs, best val_loss {min(cb):.4f}")
    new = df.month.to_numpy() >= 20
    for name, m in (("keras", a), ("mine", b)):
        p = m.predict(X[new], verbose=0)
        print(name, "newest months, Brier score:", round(float(np.mean((p - y[new]) ** 2)), 4))


if __name__ == "__main__":
    main()
