"""Common settings of the predictive maintenance model."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    window: int = 16
    sensors: int = 4
    n_machines: int = 5
    n_faults: int = 3
    n_train: int = 1024
    n_valid: int = 256
    global_batch: int = 64
    epochs: int = 4
    lr: float = 0.004
    decay_steps: int = 64
    max_grad_norm: float = 1.0
    w_rul: float = 0.5
    w_fault: float = 2.0


S = Settings()
FAULTS = ("ok", "bearing", "leak")
