"""Tiny callbacks for our own trainer. Same names as in Keras where possible."""
import logging

log = logging.getLogger("turbine")


class TrainerCallback:
    def set_trainer(self, trainer):
        self.trainer = trainer

    def on_epoch_end(self, epoch, logs):
        pass


class History(TrainerCallback):
    def __init__(self):
        self.history = {}

    def on_epoch_end(self, epoch, logs):
        for k, v in logs.items():
            self.history.setdefault(k, []).append(float(v))


class PlateauLR(TrainerCallback):
    """Divide the learning rate when val_loss did not get better for `patience` epochs."""

    def __init__(self, factor=0.5, patience=3, min_delta=1e-3, min_lr=1e-5):
        self.factor, self.patience = factor, patience
        self.min_delta, self.min_lr = min_delta, min_lr
        self.best = float("inf")
        self.wait = 0

    def on_epoch_end(self, epoch, logs):
        if logs["val_loss"] < self.best - self.min_delta:
            self.best = logs["val_loss"]
            self.wait = 0
            return
        self.wait += 1
        if self.wait >= self.patience:
            opt = self.trainer.optimizer
            new_lr = max(float(opt.learning_rate.numpy()) * self.factor, self.min_lr)
            opt.learning_rate.assign(new_lr)
            log.info("epoch %d: lr -> %.2e", epoch + 1, new_lr)
