"""Reference training with model.fit."""
import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from networks import lr_schedule, maintenance_model
from pipeline import dataset
from settings import S


def main():
    model = maintenance_model()
    model.compile(
        optimizer=keras.optimizers.Adam(lr_schedule(), global_clipnorm=S.max_grad_norm),
        loss={"rul": keras.losses.Huber(delta=0.5), "fault": "sparse_categorical_crossentropy"},
        loss_weights={"rul": S.w_rul, "fault": S.w_fault},
        metrics={"rul": ["mae"], "fault": ["accuracy"]},
    )
    model.fit(dataset("train"), validation_data=dataset("valid"), epochs=S.epochs, verbose=2)
    return model


if __name__ == "__main__":
    main()
