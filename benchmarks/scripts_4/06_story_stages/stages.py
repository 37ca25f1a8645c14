# Masterarbeit, Kapitel 3: erst kurze Sätze lernen, dann alle.
# Variante "keras": zweimal fit.  Variante "hand": zweimal Schleife.
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import random
import numpy as np
import keras
import tensorflow as tf

BS = 32
KURZ = 7
LANG = 18
LR1, LR2 = 4e-3, 1e-3
E1, E2 = 3, 3

GUT = "bright kind gentle happy warm lovely".split()
SCHLECHT = "cold bitter cruel gloomy harsh grey".split()
FUELL = "the a fox river night old child went saw home and then again forest under moon".split()


def saetze(n, seed):
    r = random.Random(seed)
    texte, ziel = [], []
    for _ in range(n):
        lab = r.randint(0, 1)
        laenge = r.randint(4, LANG)
        worte = [r.choice(FUELL) for _ in range(laenge)]
        for _ in range(max(1, laenge // 5)):
            quelle = (GUT if lab else SCHLECHT) if r.random() < 0.9 else (SCHLECHT if lab else GUT)
            worte[r.randrange(laenge)] = r.choice(quelle)
        texte.append(" ".join(worte))
        ziel.append(lab)
    return texte, np.array(ziel)


texte, ziel = saetze(480, 1)
texte_v, ziel_v = saetze(160, 2)

vokab = {w: i + 1 for i, w in enumerate(sorted({w for t in texte for w in t.split()}))}


def kodiere(texte, laenge):
    m = np.zeros((len(texte), laenge), dtype="int32")
    for z, t in enumerate(texte):
        ids = [vokab.get(w, 0) for w in t.split()]
        m[z, :len(ids)] = ids
    return m


kurz = np.array([len(t.split()) <= KURZ for t in texte])
X_kurz = kodiere([t for t, k in zip(texte, kurz) if k], KURZ)
y_kurz = ziel[kurz]
X_alle = kodiere(texte, LANG)
X_v = kodiere(texte_v, LANG)


def baue():
    keras.utils.set_random_seed(99)
    return keras.Sequential([
        keras.Input((None,), dtype="int32"),
        keras.layers.Embedding(len(vokab) + 1, 12, mask_zero=True),
        keras.layers.GRU(10),
        keras.layers.Dense(1, activation="sigmoid"),
    ])


# --- Variante keras -------------------------------------------------------
netz = baue()
adam = keras.optimizers.Adam(LR1)
netz.compile(optimizer=adam, loss="binary_crossentropy", metrics=["accuracy"])
netz.fit(X_kurz, y_kurz, batch_size=BS, epochs=E1, verbose=0)
adam.learning_rate = LR2
netz.compile(optimizer=adam, loss="binary_crossentropy", metrics=["accuracy"])
netz.fit(X_alle, ziel, batch_size=BS, epochs=E2, verbose=0)

# --- Variante hand --------------------------------------------------------
hand = baue()
opt = keras.optimizers.Adam(LR1)
zufall = np.random.default_rng(8)


@tf.function(reduce_retracing=True)
def schritt(xb, yb):
    with tf.GradientTape() as band:
        p = hand(xb, training=True)[:, 0]
        p = tf.clip_by_value(p, 1e-7, 1.0 - 1e-7)
        verlust = -tf.reduce_mean(tf.where(yb > 0.5, tf.math.log(p), tf.math.log(1.0 - p)))
    opt.apply_gradients(zip(band.gradient(verlust, hand.trainable_variables),
                            hand.trainable_variables))
    return verlust


def runde(zeilen, epochen):
    for e in range(epochen):
        reihenfolge = zufall.permutation(zeilen)
        v = []
        for a in range(0, len(reihenfolge), BS):
            i = reihenfolge[a:a + BS]
            v.append(float(schritt(X_alle[i], ziel[i].astype("float32"))))
        print(f"  epoche {e}: {np.mean(v):.4f}  (lr {float(opt.learning_rate):.0e})")


print("kurze Sätze:", int(kurz.sum()))
runde(np.flatnonzero(kurz), E1)
opt.learning_rate.assign(LR2)
print("alle Sätze:", len(ziel))
runde(np.arange(len(ziel)), E2)

for name, m in (("keras", netz), ("hand", hand)):
    acc = ((m.predict(X_v, verbose=0)[:, 0] > 0.5) == ziel_v).mean()
    print(name, "Genauigkeit", round(float(acc), 3))
