import keras
import numpy as np
from sklearn.metrics import average_precision_score

from fraud_common import CLASS_WEIGHT, EPOCHS, network, table

x, y, xv, yv = table()
model = network()
model.compile(
    optimizer=keras.optimizers.Lion(2e-3, use_ema=True, ema_momentum=0.97),
    loss="binary_crossentropy",
)
hist = model.fit(x, y, epochs=EPOCHS, class_weight=CLASS_WEIGHT, verbose=0)
ap = average_precision_score(yv, model.predict(xv, verbose=0)[:, 0])
print("loss", np.round(hist.history["loss"], 4), "average precision %.4f" % ap)
