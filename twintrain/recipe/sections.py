"""The sections of a recipe: what each decides, within which bounds, and its default.

A field that is `None` means "whatever Keras does": Keras's own defaults are not repeated here.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Which fields of `OptimizerSettings` a Keras optimizer takes, beside those that all of them take.
OPTIMIZER_FIELDS: dict[str, frozenset[str]] = {
    "adam": frozenset({"beta_1", "beta_2", "epsilon", "amsgrad"}),
    "adamw": frozenset({"beta_1", "beta_2", "epsilon", "amsgrad"}),
    "nadam": frozenset({"beta_1", "beta_2", "epsilon"}),
    "adamax": frozenset({"beta_1", "beta_2", "epsilon"}),
    "adagrad": frozenset({"epsilon"}),
    "rmsprop": frozenset({"rho", "momentum", "epsilon"}),
    "sgd": frozenset({"momentum", "nesterov"}),
}

_LARGEST_LEARNING_RATE = 100.0


class Section(BaseModel):
    """A part of a recipe: immutable; unknown keys and figures that are not finite are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )


class Data(Section):
    """Which examples are used."""

    image_shape: tuple[int, int, int] = Field(
        (28, 28, 1), description="Height, width and channels of an image."
    )
    limit: int | None = Field(
        None, ge=20, description="Use a stratified sample of this many examples over all splits."
    )
    validation_fraction: float = Field(
        0.0,
        ge=0.0,
        le=0.5,
        description="Share of the training split held out for validation; 0 validates on 'test'.",
    )
    validation_seed: int = Field(
        0, ge=0, lt=2**31, description="Decides which examples are held out."
    )
    unreadable_rows: float = Field(
        0.0,
        ge=0.0,
        le=0.5,
        description="Share of a CSV file's lines that may be left out, and are listed, because "
        "they cannot be read; 0 stops the run at the first.",
    )
    memory_limit_mb: int = Field(
        2048, ge=1, description="Larger data sets are streamed from disk, in the same order."
    )


class Model(Section):
    """Which model both twins train."""

    name: str = Field(
        "textbook_cnn",
        pattern=r"^(\w+|\w+(\.\w+)*:\w+)$",
        description="A built-in name, or 'package.module:function' of your own.",
    )


class ProblemChoice(Section):
    """What the twins are to learn."""

    module: str | None = Field(
        None,
        pattern=r"^\w+(\.\w+)*$",
        description="An importable module of your own that states it (`twintrain new` writes one); "
        "null: images with one class each.",
    )


class OptimizerSettings(Section):
    """The optimizer; `None` keeps Keras's default."""

    name: Literal["adam", "adamw", "nadam", "adamax", "adagrad", "rmsprop", "sgd"] = "adam"
    learning_rate: float = Field(0.001, gt=0, le=_LARGEST_LEARNING_RATE)
    beta_1: float | None = Field(None, ge=0, lt=1)
    beta_2: float | None = Field(None, ge=0, lt=1)
    rho: float | None = Field(None, ge=0, lt=1)
    momentum: float | None = Field(None, ge=0, lt=1)
    nesterov: bool | None = None
    epsilon: float | None = Field(None, gt=0)
    amsgrad: bool | None = None
    weight_decay: float | None = Field(None, ge=0)
    clipnorm: float | None = Field(None, gt=0)
    global_clipnorm: float | None = Field(None, gt=0)
    clipvalue: float | None = Field(None, gt=0)
    use_ema: bool | None = None
    ema_momentum: float | None = Field(None, ge=0, le=1)

    @model_validator(mode="after")
    def _only_what_this_optimizer_takes(self) -> OptimizerSettings:
        special = frozenset().union(*OPTIMIZER_FIELDS.values())
        for field in sorted(special - OPTIMIZER_FIELDS[self.name]):
            if getattr(self, field) is not None:
                raise ValueError(
                    f"{self.name} takes no {field!r}; set it to null or choose another optimizer"
                )
        clips = [
            name
            for name in ("clipnorm", "global_clipnorm", "clipvalue")
            if getattr(self, name) is not None
        ]
        if len(clips) > 1:
            raise ValueError(f"choose one way to clip gradients, not {' and '.join(clips)}")
        return self


class LearningRateSchedule(Section):
    """How the learning rate moves, per step; lengths are given in epochs."""

    kind: Literal["constant", "cosine", "exponential", "piecewise"] = "constant"
    warmup_epochs: float = Field(0.0, ge=0, description="cosine only: linear rise from 0.")
    final_factor: float = Field(
        0.0, ge=0, le=1, description="cosine only: last rate as a share of the first."
    )
    decay_per_epoch: float = Field(0.9, gt=0, le=1, description="exponential only.")
    boundaries: tuple[float, ...] = Field(
        (), description="piecewise only: epochs at which the rate changes."
    )
    factors: tuple[float, ...] = Field(
        (), description="piecewise only: share of the rate after each boundary."
    )

    @model_validator(mode="after")
    def _piecewise_is_complete(self) -> LearningRateSchedule:
        if self.kind == "piecewise":
            if not self.boundaries or len(self.boundaries) != len(self.factors):
                raise ValueError("piecewise needs as many factors as boundaries, and at least one")
            if list(self.boundaries) != sorted(set(self.boundaries)) or self.boundaries[0] <= 0:
                raise ValueError("piecewise boundaries must be positive and increasing")
        return self


class TrainingRules(Section):
    """The loop itself."""

    batch_size: int = Field(32, ge=1, le=65536)
    epochs: int = Field(3, ge=1, le=10000)
    shuffle: bool = True
    training_flag: bool = Field(
        True, description="Call the model with training=True. Only a loop can get this wrong."
    )
    compiled: bool = Field(
        True, description="Run steps in tf.function graphs; false runs them eagerly."
    )
    input_scale: Literal["unit", "raw", "centred"] = Field(
        "unit", description="Range of the pixels the model sees: 0 to 1, 0 to 255, or -1 to 1."
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none",
        description="How much an example counts in the training loss: 'balanced' lets every class "
        "add up to the same.",
    )
    evaluation_batch_size: int = Field(500, ge=1, le=65536)


class Augmentation(Section):
    """Random affine changes, drawn per (seed, epoch, example); all zero means none."""

    rotation: float = Field(0.0, ge=0, le=180, description="Degrees, either way.")
    shift: float = Field(0.0, ge=0, lt=1, description="Share of width and of height, either way.")
    shear: float = Field(0.0, ge=0, le=1, description="Radians, either way.")
    zoom: float = Field(0.0, ge=0, lt=1, description="Scale from 1-zoom to 1+zoom.")
    flip: bool = Field(False, description="Horizontal flip of every second example on average.")
    fill: Literal["nearest", "constant", "reflect", "wrap"] = "nearest"

    @property
    def active(self) -> bool:
        """Whether any image is changed at all."""
        return self.flip or any((self.rotation, self.shift, self.shear, self.zoom))


class Regularization(Section):
    """What the reference models add against over-fitting."""

    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of units dropped before the last layer."
    )
    l1: float = Field(0.0, ge=0)
    l2: float = Field(0.0, ge=0)
    batch_normalization: bool = False


class FineTuning(Section):
    """Training in two phases: what was trained before is frozen at first."""

    frozen_epochs: int = Field(
        0,
        ge=0,
        le=10000,
        description="The first epochs, in which the layers named below do not train; 0: one phase.",
    )
    layers: tuple[str, ...] = Field(
        (), description="Names of layers, or of models within the model, frozen in them."
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=_LARGEST_LEARNING_RATE,
        description="After them, when optimizer and schedule begin anew; null: the optimizer's.",
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> FineTuning:
        if bool(self.frozen_epochs) != bool(self.layers):
            raise ValueError(
                "frozen_epochs and layers go together: which layers are frozen, and for how long; "
                "set both, or none"
            )
        if self.learning_rate is not None and not self.frozen_epochs:
            raise ValueError(
                "learning_rate is that of a second phase, and with frozen_epochs=0 there is none; "
                "set optimizer.learning_rate"
            )
        if len(set(self.layers)) != len(self.layers):
            raise ValueError("a layer is named twice")
        return self


class EarlyStoppingRules(Section):
    """When to stop, with Keras's own rules."""

    enabled: bool = False
    monitor: str = Field(
        "val_loss",
        pattern=r"^(val_)?[a-z][a-z0-9_]*$",
        description="A figure of the training's logs: loss, or one of the task's metrics, with "
        "val_ where it is the validation's.",
    )
    patience: int = Field(3, ge=0)
    min_delta: float = Field(0.0, ge=0)
    restore_best: bool = True

    @property
    def higher_is_better(self) -> bool:
        """Whether the figure that is watched is to rise."""
        return self.monitor.endswith(("accuracy", "auc"))


class Execution(Section):
    """How the machine is used. These fields change speed, and numbers only in the last bits."""

    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    xla: bool = False
    steps_per_execution: int = Field(
        64, ge=1, le=100000, description="fit twin: steps per call from Python."
    )
    deterministic: bool = Field(
        True, description="Op determinism, and no graph rewrites that regroup arithmetic."
    )
    strategy: Literal["none", "mirrored", "multi_worker"] = Field(
        "none",
        description="One device, all of one machine's (mirrored), or all of several machines' "
        "(multi_worker).",
    )
    machines: int = Field(
        2, ge=2, le=64, description="multi_worker only: how many train one model together."
    )
    join_minutes: float = Field(
        30.0, gt=0, description="multi_worker only: how long they wait for each other."
    )

    @model_validator(mode="after")
    def _xla_is_possible(self) -> Execution:
        if self.xla and self.deterministic:
            raise ValueError(
                "xla and deterministic exclude each other: under op determinism Keras switches XLA "
                "off in fit, and XLA has no deterministic max-pooling gradient; set "
                "execution.deterministic=false to measure with XLA"
            )
        return self


class Twins(Section):
    """What trains as which twin: a way of training by its name in `training/registry.py`, or a
    function of one's own (`training/own_loop.py` says which ones can be).
    """

    fit: str = Field("keras_fit", pattern=r"^\w+$", description="The twin that is held against.")
    loop: str = Field(
        "gradient_tape",
        pattern=r"^(\w+|\w+(\.\w+)*:\w+)$",
        description="The twin in question; 'package.module:function' for a loop of your own.",
    )

    @property
    def own(self) -> bool:
        """Whether the loop twin is a function of the user's: it need not obey the recipe."""
        return ":" in self.loop

    @property
    def titles(self) -> tuple[str, str]:
        """What a sentence calls the two."""
        known = {"keras_fit": "Keras fit", "gradient_tape": "the GradientTape loop"}
        module, _, function = self.loop.partition(":")
        loop = f"your loop {function} (in {module})" if self.own else self.loop
        return known.get(self.fit, self.fit), known.get(self.loop, loop)


class Tuning(Section):
    """The search both tuners make, under equal budgets."""

    trials: int = Field(3, ge=0, le=10000, description="Per twin; 0 searches nothing.")
    epochs: int = Field(1, ge=1, le=10000)
    validation_fraction: float = Field(0.1, gt=0, le=0.5)
    examples: int | None = Field(
        12000, ge=20, description="Training examples used per trial; null for all."
    )
    seed: int = Field(0, ge=0, lt=2**31)
    learning_rate: tuple[float, float] = Field(
        (0.0003, 0.003), description="Range searched, logarithmically."
    )
    batch_size: tuple[int, ...] = (32, 64)
    workers: int = Field(
        1, ge=1, le=64, description="Processes that search together, each on a GPU of its own."
    )
    stall_minutes: float = Field(
        30.0, gt=0, description="Several workers: give them up when no trial ends for so long."
    )
    apply: bool = Field(
        False, description="Train with the best values found instead of the recipe's own."
    )

    @model_validator(mode="after")
    def _space_is_not_empty(self) -> Tuning:
        low, high = self.learning_rate
        if not 0 < low <= high <= _LARGEST_LEARNING_RATE:
            raise ValueError(
                "learning_rate needs a range [low, high] with 0 < low <= high <= "
                f"{_LARGEST_LEARNING_RATE}"
            )
        if not self.batch_size or min(self.batch_size) < 1:
            raise ValueError("batch_size needs at least one positive value")
        return self

    @model_validator(mode="after")
    def _there_is_something_to_apply(self) -> Tuning:
        if self.apply and not self.trials:
            raise ValueError(
                "apply trains with the best values found, and 0 trials find none; set trials to at "
                "least 1, or apply=false"
            )
        return self
