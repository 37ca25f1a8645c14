# -*- coding: utf-8 -*-
"""
Essensbedarf der Kantine, monatsweise nachtrainiert.

Die Daten kommen als Monatsdateien; ein Modell geht der Reihe nach ueber die Monate
(2 Durchlaeufe pro Monat, nicht gemischt, weil die Tage in der Reihenfolge bleiben sollen).
Einmal mit fit, einmal zu Fuss -- beide sollen am Ende dasselbe Modell liefern.
"""
import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from tensorflow import keras

LERNRATE = 2e-3
STAPEL = 24
DURCHLAEUFE = 2
N_MONATE = 6


def lies_monat(m):
    """Ersatz fuer pd.read_csv(f'monat_{m:02d}.csv')"""
    rng = np.random.default_rng(100 + m)
    n = int(rng.integers(180, 230))
    wochentag = rng.integers(0, 5, n)
    temperatur = rng.normal(8 + 2.5 * m, 4.0, n)
    angemeldet = rng.poisson(140, n)
    ferien = (rng.random(n) < 0.15).astype("float32")
    x = np.concatenate([
        np.eye(5)[wochentag],
        ((temperatur - 15) / 8)[:, None],
        ((angemeldet - 140) / 12.0)[:, None],
        ferien[:, None],
    ], axis=1).astype("float32")
    y = (1.2 * x[:, 6] - 0.7 * ferien + 0.3 * np.sin(x[:, 5] * 2) - 0.4 * x[:, 4]
         + rng.normal(0, 0.15, n)).astype("float32")
    return x, y[:, None]


def baue_modell():
    keras.utils.set_random_seed(11)
    return keras.Sequential([
        keras.layers.Input((8,)),
        keras.layers.Dense(32, activation="tanh"),
        keras.layers.Dense(16, activation="tanh"),
        keras.layers.Dense(1),
    ])


monate = [lies_monat(m) for m in range(N_MONATE)]
x_test, y_test = lies_monat(N_MONATE)

# ------------------------------------------------------------------ Variante A: fit
modell_a = baue_modell()
for m, (x, y) in enumerate(monate):
    modell_a.compile(optimizer=keras.optimizers.Adam(LERNRATE), loss=keras.losses.Huber(delta=0.5))
    h = modell_a.fit(x, y, batch_size=STAPEL, epochs=DURCHLAEUFE, shuffle=False, verbose=0)
    print(f"[fit]      Monat {m}: Verlust {h.history['loss'][-1]:.4f}")

# ------------------------------------------------------------------ Variante B: von Hand
modell_b = baue_modell()
huber = keras.losses.Huber(delta=0.5)
adam = keras.optimizers.Adam(LERNRATE)


@tf.function(reduce_retracing=True)
def schritt(x, y):
    with tf.GradientTape() as band:
        verlust = huber(y, modell_b(x, training=True))
    g = band.gradient(verlust, modell_b.trainable_variables)
    adam.apply_gradients(zip(g, modell_b.trainable_variables))
    return verlust


for m, (x, y) in enumerate(monate):
    stapel = tf.data.Dataset.from_tensor_slices((x, y)).batch(STAPEL)
    for durchlauf in range(DURCHLAEUFE):
        summe, anzahl = 0.0, 0
        for xb, yb in stapel:
            v = schritt(xb, yb)
            summe += float(v) * len(xb)
            anzahl += len(xb)
    print(f"[von Hand] Monat {m}: Verlust {summe / anzahl:.4f}")

mae_a = np.abs(modell_a.predict(x_test, verbose=0) - y_test).mean()
mae_b = np.abs(modell_b.predict(x_test, verbose=0) - y_test).mean()
print(f"Testmonat, mittlerer Fehler: fit {mae_a:.4f}, von Hand {mae_b:.4f}")
