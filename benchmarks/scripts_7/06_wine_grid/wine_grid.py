"""Recherche sur grille (learning rate x largeur) sur les vins de scikit-learn.

Chaque point de la grille est entraîné deux fois, avec fit() et avec une boucle
écrite à la main ; à la fin un tableau avec les deux colonnes côte à côte.
Pas besoin de KerasTuner pour si peu.
"""
import itertools
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import pandas as pd
import tensorflow as tf
import keras
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

GRILLE = {"lr": [3e-3, 1e-2], "largeur": [12, 24]}
EPOQUES = 10
LOT = 16
LISSAGE = 0.1      # label smoothing
PENALITE = 5e-3    # L2 sur les noyaux, pas sur les biais
GRAINE = 17

# ---------------------------------------------------------------- données
vins = load_wine(as_frame=True)
x_app, x_val, y_app, y_val = train_test_split(
    vins.data, vins.target, test_size=0.3, random_state=GRAINE, stratify=vins.target)
mise_a_echelle = StandardScaler().fit(x_app)
x_app = mise_a_echelle.transform(x_app).astype("float32")
x_val = mise_a_echelle.transform(x_val).astype("float32")
y_app, y_val = y_app.to_numpy(), y_val.to_numpy()
N_CLASSES = 3


def modele(largeur):
    keras.utils.set_random_seed(GRAINE)
    l2 = keras.regularizers.L2(PENALITE)
    return keras.Sequential([
        keras.Input((x_app.shape[1],)),
        keras.layers.Dense(largeur, activation="tanh", kernel_regularizer=l2),
        keras.layers.Dense(largeur, activation="tanh", kernel_regularizer=l2),
        keras.layers.Dense(N_CLASSES, kernel_regularizer=l2),
    ], name=f"vins_{largeur}")


# ---------------------------------------------------------------- version fit
def avec_fit(lr, largeur):
    m = modele(largeur)
    m.compile(
        optimizer=keras.optimizers.Adam(lr, epsilon=1e-6),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=LISSAGE),
        metrics=["accuracy"],
    )
    h = m.fit(x_app, keras.utils.to_categorical(y_app, N_CLASSES),
              validation_data=(x_val, keras.utils.to_categorical(y_val, N_CLASSES)),
              batch_size=LOT, epochs=EPOQUES, verbose=0).history
    return {k: h[k][-1] for k in ("loss", "accuracy", "val_loss", "val_accuracy")}


# ---------------------------------------------------------------- version boucle
def penalite(m):
    return PENALITE * tf.add_n([tf.reduce_sum(v ** 2) for v in m.trainable_variables if v.ndim == 2])


def entropie(y, logits):
    # la classe juste reçoit 1 - LISSAGE + LISSAGE / 3, les autres LISSAGE / 3
    p = tf.one_hot(y, N_CLASSES, on_value=1 - LISSAGE * (N_CLASSES - 1) / N_CLASSES, off_value=LISSAGE / N_CLASSES)
    return tf.nn.softmax_cross_entropy_with_logits(p, logits)


def avec_boucle(lr, largeur):
    m = modele(largeur)
    opt = keras.optimizers.Adam(lr, epsilon=1e-6)
    hasard = np.random.default_rng(GRAINE)

    @tf.function(reduce_retracing=True)
    def pas(x, y):
        with tf.GradientTape() as ruban:
            logits = m(x, training=True)
            ce = entropie(y, logits)
            perte = tf.reduce_mean(ce) + penalite(m)
        grads = ruban.gradient(perte, m.trainable_variables)
        opt.apply_gradients(zip(grads, m.trainable_variables))
        bons = tf.reduce_sum(tf.cast(tf.argmax(logits, -1) == y, tf.float32))
        return perte, bons

    for _ in range(EPOQUES):
        ordre = hasard.permutation(len(x_app))
        somme, bons = 0.0, 0.0
        for debut in range(0, len(ordre), LOT):
            i = ordre[debut:debut + LOT]
            perte, b = pas(tf.constant(x_app[i]), tf.constant(y_app[i]))
            somme += float(perte) * len(i)
            bons += float(b)

    # la validation ne sert qu'à la fin, d'un seul coup
    logits = m(x_val, training=False)
    return {
        "loss": somme / len(x_app),
        "accuracy": bons / len(x_app),
        "val_loss": float(tf.reduce_mean(entropie(y_val, logits)) + penalite(m)),
        "val_accuracy": float(np.mean(np.argmax(logits, -1) == y_val)),
    }


# ---------------------------------------------------------------- la grille
lignes = []
for lr, largeur in itertools.product(*GRILLE.values()):
    for nom, f in (("fit", avec_fit), ("boucle", avec_boucle)):
        lignes.append({"lr": lr, "largeur": largeur, "version": nom, **f(lr, largeur)})
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in lignes[-1].items()})

tableau = pd.DataFrame(lignes).pivot(index=["lr", "largeur"], columns="version")
print(tableau.round(3).to_string())
for nom in ("fit", "boucle"):
    print("meilleur point,", nom, ":", tableau["val_loss"][nom].idxmin())
