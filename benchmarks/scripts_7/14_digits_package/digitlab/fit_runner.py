import keras

from .nets import OneCycle, convnet


def run(cfg, digits, csv_path):
    model = convnet(cfg)
    lr = OneCycle(cfg.peak_lr, cfg.warmup_epochs * digits.steps, cfg.epochs * digits.steps)
    model.compile(
        optimizer=keras.optimizers.SGD(
            lr, momentum=cfg.momentum, nesterov=True, weight_decay=cfg.weight_decay, global_clipnorm=cfg.clip),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=3, name="top3")],
    )
    model.fit(
        digits.stream(),
        steps_per_epoch=digits.steps,
        epochs=cfg.epochs,
        validation_data=digits.validation(),
        callbacks=[keras.callbacks.CSVLogger(csv_path)],
        verbose=0,
    )
    return model
