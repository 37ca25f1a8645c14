# Telco churn, Keras version
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import keras
import numpy as np
import pandas as pd
from keras import layers, regularizers
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

here = os.path.dirname(os.path.abspath(__file__))
df = pd.read_csv(os.path.join(here, "churn.csv"))

df = df.drop(columns="customerID")
y = (df.pop("Churn") == "Yes").astype(int).values
num_cols = ["SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges", "SupportCalls"]
cat_cols = ["Contract", "InternetService", "PaymentMethod"]
X = pd.get_dummies(df[num_cols + cat_cols], columns=cat_cols, dtype=float)

X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.2, random_state=42, stratify=y
)
sc = StandardScaler()
X_train, X_test = X_train.copy(), X_test.copy()
X_train[num_cols] = X_train[num_cols].astype(float)
X_test[num_cols] = X_test[num_cols].astype(float)
X_train[num_cols] = sc.fit_transform(X_train[num_cols])
X_test[num_cols] = sc.transform(X_test[num_cols])
X_train = X_train.values.astype("float32")
X_test = X_test.values.astype("float32")

weights = compute_class_weight("balanced", classes=np.array([0, 1]), y=y_train)
class_weight = {0: weights[0], 1: weights[1]}
print("class weights:", class_weight)

model = keras.Sequential([
    layers.Input(shape=(X_train.shape[1],)),
    layers.Dense(32, activation="relu", kernel_regularizer=regularizers.l2(1e-3)),
    layers.Dense(16, activation="relu", kernel_regularizer=regularizers.l2(1e-3)),
    layers.Dense(1, activation="sigmoid"),
])
model.compile(
    loss="binary_crossentropy",
    optimizer=keras.optimizers.Adam(learning_rate=0.003),
    metrics=[keras.metrics.AUC(name="auc")],
)

es = keras.callbacks.EarlyStopping(
    monitor="val_loss", patience=3, restore_best_weights=True, verbose=1
)
model.fit(
    X_train, y_train,
    validation_data=(X_test, y_test),
    batch_size=32,
    epochs=10,
    class_weight=class_weight,
    callbacks=[es],
    verbose=2,
)

pred = (model.predict(X_test, verbose=0).ravel() > 0.5).astype(int)
print(classification_report(y_test, pred, digits=3))
