# %% [markdown]
# House prices - simple Keras baseline (log target, own layer / loss / metric)

# %%
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pandas as pd
from keras import layers, ops
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(2024)

# %%
train = pd.read_csv(os.path.join(os.path.dirname(os.path.abspath(__file__)), "train.csv"))
train["Age"] = train["YrSold"] - train["YearBuilt"]
train["LogArea"] = np.log1p(train["GrLivArea"])
y = np.log1p(train["SalePrice"]).to_numpy().astype("float32").reshape(-1, 1)

features = ["OverallQual", "GrLivArea", "LogArea", "LotArea", "Age", "BedroomAbvGr", "GarageCars"]
X = pd.concat([train[features], pd.get_dummies(train["Neighborhood"], dtype=float)], axis=1)

# newer sales count more
w = np.where(train["YrSold"] >= 2008, 1.5, 0.75).astype("float32")

X_tr, X_va, y_tr, y_va, w_tr, _ = train_test_split(X, y, w, test_size=0.2, random_state=0)

prep = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
X_tr = prep.fit_transform(X_tr).astype("float32")
X_va = prep.transform(X_va).astype("float32")
y_mean = float(y_tr.mean())


# %%
@keras.saving.register_keras_serializable("house")
class FeatureGate(layers.Layer):
    """Learns one weight in (0, 1) per input column."""

    def build(self, input_shape):
        self.gate = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="gate")

    def call(self, x):
        return x * 2.0 * ops.sigmoid(self.gate)


@keras.saving.register_keras_serializable("house")
class LogCoshPlus(keras.losses.Loss):
    """log(cosh) of the error, a bit of squared error on top."""

    def __init__(self, mix=0.1, name="log_cosh_plus", **kwargs):
        super().__init__(name=name, **kwargs)
        self.mix = mix

    def call(self, y_true, y_pred):
        err = y_pred - y_true
        lc = err + ops.softplus(-2.0 * err) - np.log(2.0).astype("float32")
        return ops.mean(lc + self.mix * ops.square(err), axis=-1)

    def get_config(self):
        return {**super().get_config(), "mix": self.mix}


@keras.saving.register_keras_serializable("house")
class RMSLE(keras.metrics.Metric):
    def __init__(self, name="rmsle", **kwargs):
        super().__init__(name=name, **kwargs)
        self.sse = self.add_weight(name="sse", initializer="zeros")
        self.n = self.add_weight(name="n", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = ops.cast(y_true, y_pred.dtype)
        self.sse.assign_add(ops.sum(ops.square(y_true - y_pred)))
        self.n.assign_add(ops.cast(ops.size(y_pred), self.dtype))

    def result(self):
        return ops.sqrt(self.sse / self.n)


# %%
def baseline(n):
    inp = keras.Input((n,))
    x = FeatureGate()(inp)
    x = layers.Dense(48, activation="elu", kernel_constraint=keras.constraints.MaxNorm(2.0))(x)
    x = layers.Dropout(0.1)(x)
    x = layers.Dense(24, activation="elu")(x)
    out = layers.Dense(1, bias_initializer=keras.initializers.Constant(y_mean))(x)
    return keras.Model(inp, out)


model = baseline(X_tr.shape[1])
model.compile(optimizer=keras.optimizers.AdamW(4e-3, weight_decay=1e-3), loss=LogCoshPlus(), metrics=[RMSLE()])

# %%
best_file = os.path.join(tempfile.mkdtemp(), "best.keras")
callbacks = [
    keras.callbacks.EarlyStopping(monitor="val_rmsle", mode="min", patience=4, restore_best_weights=True),
    keras.callbacks.ReduceLROnPlateau(monitor="val_rmsle", mode="min", factor=0.5, patience=1, verbose=1),
    keras.callbacks.ModelCheckpoint(best_file, monitor="val_rmsle", mode="min", save_best_only=True),
]
history = model.fit(
    X_tr, y_tr,
    sample_weight=w_tr,
    validation_data=(X_va, y_va),
    batch_size=32,
    epochs=10,
    callbacks=callbacks,
    verbose=2,
)

# %%
best = keras.models.load_model(best_file)
pred = best.predict(X_va, verbose=0)
print("RMSLE on the hold-out:", float(np.sqrt(np.mean((pred - y_va) ** 2))))
print(pd.DataFrame({"price": np.expm1(y_va[:5, 0]).round(), "predicted": np.expm1(pred[:5, 0]).round()}))
