from dataclasses import dataclass, field


@dataclass(frozen=True)
class Optim:
    learning_rate: float = 0.05
    momentum: float = 0.8
    nesterov: bool = True


@dataclass(frozen=True)
class Settings:
    rows: int = 1100
    held_back: int = 200
    batch_size: int = 256
    epochs: int = 12
    weight_decay: float = 1e-3
    optim: Optim = field(default_factory=Optim)
