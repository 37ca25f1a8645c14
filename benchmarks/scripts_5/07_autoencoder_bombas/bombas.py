"""Detección de anomalías en bombas con un autoencoder (trabajo de fin de grado).

Se entrena dos veces: con fit() y con un bucle propio, para comparar los errores de reconstrucción.
La tasa de aprendizaje baja cada época: tasa = TASA * 0.9 ** época
"""
import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

TASA, CAIDA, EPOCAS, LOTE = 0.08, 0.9, 10, 40


def leer_vibraciones(n, semilla, averia=False):
    rng = np.random.default_rng(semilla)
    frec = rng.uniform(0.8, 1.2, (n, 1))
    t = np.linspace(0, 4 * np.pi, 32)[None]
    s = np.sin(frec * t) + 0.4 * np.sin(3 * frec * t + rng.uniform(0, 1, (n, 1)))
    if averia:
        s += 0.8 * np.sin(7.3 * t)
    return (s + rng.normal(0, 0.1, s.shape)).astype("float32")


def construir():
    codificador = keras.Sequential([
        layers.Input((32,)), layers.Dense(20, activation="elu"), layers.Dense(5)], name="codificador")
    decodificador = keras.Sequential([
        layers.Input((5,)), layers.Dense(20, activation="elu"), layers.Dense(32)], name="decodificador")
    entrada = keras.Input((32,))
    return keras.Model(entrada, decodificador(codificador(entrada)))


x = leer_vibraciones(1400, 1)
sanas, averiadas = leer_vibraciones(200, 2), leer_vibraciones(200, 3, averia=True)

modelo = construir()
gemelo = keras.models.clone_model(modelo)
gemelo.set_weights(modelo.get_weights())

# --- 1) con fit ---------------------------------------------------------------------------
def bajar_tasa(epoca, tasa):
    return float(tasa * CAIDA ** epoca)


modelo.compile(optimizer=keras.optimizers.SGD(TASA, momentum=0.9), loss="mse")
modelo.fit(x, x, batch_size=LOTE, epochs=EPOCAS, shuffle=True, verbose=2,
           callbacks=[keras.callbacks.LearningRateScheduler(bajar_tasa)])

# --- 2) con bucle propio ------------------------------------------------------------------
sgd = keras.optimizers.SGD(TASA, momentum=0.9)


@tf.function
def paso(lote):
    with tf.GradientTape() as cinta:
        perdida = tf.reduce_mean(tf.math.squared_difference(gemelo(lote, training=True), lote))
    grad = cinta.gradient(perdida, gemelo.trainable_variables)
    sgd.apply_gradients(zip(grad, gemelo.trainable_variables))
    return perdida


lotes = tf.data.Dataset.from_tensor_slices(x).shuffle(len(x)).batch(LOTE)
for epoca in range(EPOCAS):
    sgd.learning_rate.assign(TASA * CAIDA ** epoca)
    perdidas = [float(paso(lote)) for lote in lotes]
    print(f"época {epoca + 1}: pérdida {np.mean(perdidas):.5f}")

# --- umbral -------------------------------------------------------------------------------
for nombre, m in (("fit", modelo), ("bucle", gemelo)):
    err = lambda d: np.mean((m.predict(d, verbose=0) - d) ** 2, axis=1)
    umbral = np.quantile(err(x), 0.99)
    print(nombre, "umbral %.4f" % umbral, "falsas alarmas", (err(sanas) > umbral).mean(),
          "detectadas", (err(averiadas) > umbral).mean())
