from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    n_stores: int = 20
    n_weeks: int = 30
    batch_size: int = 40
    max_epochs: int = 60
    learning_rate: float = 1e-2
    patience: int = 4
    min_delta: float = 1e-3
    seed: int = 77
