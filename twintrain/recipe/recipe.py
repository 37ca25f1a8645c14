"""The recipe: every training decision, once, in one validated object that both twins obey.

    recipe = load_recipe("standard", overrides=["training.epochs=10"])
    recipe.for_twin("loop").training.shuffle     # what the loop twin does
    recipe.hash                                  # goes into the lineage

A field that is `None` means "whatever Keras does": Keras's own defaults are not repeated here. A
recipe may let the loop twin deviate on purpose (`loop: {training.shuffle: false}`): that is how the
textbook's bare loop, and every experiment on single practices, is written down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from twintrain.errors import did_you_mean

TWINS = ("fit", "loop")
TwinName = Literal["fit", "loop"]
SliceKey = Literal["label", "ink"]
# What a tuner searches.
SEARCHED = ("optimizer.learning_rate", "training.batch_size")

# Which of the fields of `Optimizer` each Keras optimizer takes, beside those that all of them take.
OPTIMIZER_FIELDS: dict[str, frozenset[str]] = {
    "adam": frozenset({"beta_1", "beta_2", "epsilon", "amsgrad"}),
    "adamw": frozenset({"beta_1", "beta_2", "epsilon", "amsgrad"}),
    "nadam": frozenset({"beta_1", "beta_2", "epsilon"}),
    "adamax": frozenset({"beta_1", "beta_2", "epsilon"}),
    "adagrad": frozenset({"epsilon"}),
    "rmsprop": frozenset({"rho", "momentum", "epsilon"}),
    "sgd": frozenset({"momentum", "nesterov"}),
}


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )


class Data(_Section):
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
    memory_limit_mb: int = Field(
        2048, ge=1, description="Larger data sets are streamed from disk, in the same order."
    )


class Model(_Section):
    """Which model both twins train."""

    name: str = Field(
        "textbook_cnn",
        pattern=r"^(\w+|\w+(\.\w+)*:\w+)$",
        description="A built-in name, or 'package.module:function' of your own.",
    )


class Optimizer(_Section):
    """The optimizer; `None` keeps Keras's default."""

    name: Literal["adam", "adamw", "nadam", "adamax", "adagrad", "rmsprop", "sgd"] = "adam"
    learning_rate: float = Field(0.001, gt=0, le=100)
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
    def _only_what_this_optimizer_takes(self) -> Optimizer:
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


class Schedule(_Section):
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
    def _piecewise_is_complete(self) -> Schedule:
        if self.kind == "piecewise":
            if not self.boundaries or len(self.boundaries) != len(self.factors):
                raise ValueError("piecewise needs as many factors as boundaries, and at least one")
            if list(self.boundaries) != sorted(set(self.boundaries)) or self.boundaries[0] <= 0:
                raise ValueError("piecewise boundaries must be positive and increasing")
        return self


class Training(_Section):
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
    evaluation_batch_size: int = Field(500, ge=1, le=65536)


class Augmentation(_Section):
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


class Regularization(_Section):
    """What the reference models add against over-fitting."""

    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of units dropped before the last layer."
    )
    l1: float = Field(0.0, ge=0)
    l2: float = Field(0.0, ge=0)
    batch_normalization: bool = False


class EarlyStopping(_Section):
    """When to stop, with Keras's own rules."""

    enabled: bool = False
    monitor: Literal["val_loss", "val_accuracy", "loss", "accuracy"] = "val_loss"
    patience: int = Field(3, ge=0)
    min_delta: float = Field(0.0, ge=0)
    restore_best: bool = True


class Execution(_Section):
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
                "off in fit, and XLA "
                "has no deterministic max-pooling gradient; set execution.deterministic=false to "
                "measure with XLA"
            )
        return self


class Tuning(_Section):
    """The search both tuners make, under equal budgets."""

    trials: int = Field(3, ge=1, le=10000)
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
        if not 0 < low <= high:
            raise ValueError("learning_rate needs a range [low, high] with 0 < low <= high")
        if not self.batch_size or min(self.batch_size) < 1:
            raise ValueError("batch_size needs at least one positive value")
        return self


class Comparison(_Section):
    """What the verdict asks for."""

    margin_points: float = Field(
        0.1, gt=0, description="Gaps inside this margin count as equivalent."
    )
    accuracy_floor: float = Field(
        0.9, ge=0, le=1, description="A twin below this is never blessed."
    )
    slices: tuple[tuple[SliceKey, ...], ...] = Field(
        (("label",), ("ink",)),
        description="What to look at apart; two keys in one entry are crossed.",
    )
    label_names: tuple[str, ...] = Field(
        (), description="What the report calls labels 0, 1, 2 …; none: the numbers."
    )

    @field_validator("label_names")
    @classmethod
    def _label_names_are_distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError("two labels have the same name; their slices could not be told apart")
        return names

    @field_validator("slices")
    @classmethod
    def _slices_are_distinct(
        cls, slices: tuple[tuple[SliceKey, ...], ...]
    ) -> tuple[tuple[SliceKey, ...], ...]:
        if any(not keys or len(set(keys)) != len(keys) for keys in slices):
            raise ValueError("a slice names one key, or different keys to be crossed")
        if len({frozenset(keys) for keys in slices}) != len(slices):
            raise ValueError("a slice is named twice")
        return slices


class Attribution(_Section):
    """Which practice is worth how many points: an experiment of many trainings, made only when
    asked for.
    """

    enabled: bool = False
    budget_minutes: float | None = Field(
        None, gt=0, description="Take the best design that fits; null takes the full."
    )


class Recipe(_Section):
    """Every decision of one comparison. Load it with `load_recipe`."""

    name: str = Field("standard", min_length=1, max_length=80)
    data: Data = Data()
    model: Model = Model()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    training: Training = Training()
    augmentation: Augmentation = Augmentation()
    regularization: Regularization = Regularization()
    early_stopping: EarlyStopping = EarlyStopping()
    execution: Execution = Execution()
    tuning: Tuning = Tuning()
    comparison: Comparison = Comparison()
    attribution: Attribution = Attribution()
    seeds: tuple[int, ...] = Field(
        (0, 1, 2), min_length=1, description="One training of each twin per seed."
    )
    loop: dict[str, Any] = Field(
        {}, description="Dotted fields in which the loop twin deviates on purpose."
    )

    @field_validator("loop", mode="before")
    @classmethod
    def _loop_is_dotted(cls, loop: Any) -> Any:
        return dict(_flatten(loop)) if isinstance(loop, dict) else loop

    @field_validator("seeds")
    @classmethod
    def _seeds_are_distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds) or any(not 0 <= seed < 2**31 for seed in seeds):
            raise ValueError("seeds must be distinct whole numbers from 0 to 2**31 - 1")
        return seeds

    @model_validator(mode="after")
    def _is_consistent(self) -> Recipe:
        stopping = self.early_stopping
        if (
            stopping.enabled
            and stopping.monitor.startswith("val_")
            and not self.data.validation_fraction
        ):
            raise ValueError(
                "early_stopping watches a validation figure, but data.validation_fraction is 0, so "
                "it would choose "
                "by the test split; set data.validation_fraction (0.1, say)"
            )
        machines, size = self.execution.machines, self.training.batch_size
        if self.execution.strategy == "multi_worker" and size % machines:
            raise ValueError(
                f"training.batch_size {size} cannot be shared out evenly over {machines} machines; "
                "use a multiple"
            )
        known = self.fields()
        for key in self.loop:
            if key not in known:
                raise ValueError(f"loop.{key}: no such key. {did_you_mean(key, known)}")
            if key.split(".")[0] in (
                "name",
                "seeds",
                "loop",
                "comparison",
                "attribution",
                "data",
                "tuning",
            ):
                raise ValueError(f"loop.{key}: the twins share this; the loop cannot deviate in it")
            if self.tuning.apply and key in SEARCHED:
                raise ValueError(
                    f"loop.{key}: with tuning.apply each twin trains with the best value found for "
                    "it"
                )
        try:
            if self.loop:
                self.for_twin("loop")
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"loop.{where}: {first['msg']}") from None
        return self

    def for_twin(self, twin: str) -> Recipe:
        """The recipe as one twin obeys it: for the loop, with its deviations applied.

        Raises:
            ValueError: `twin` is neither 'fit' nor 'loop', or a deviation is not a valid value.
        """
        if twin not in TWINS:
            raise ValueError(f"twin must be one of {TWINS}, not {twin!r}")
        tree = self.model_dump(mode="json")
        deviations = tree.pop("loop")
        if twin == "loop":
            for key, value in deviations.items():
                put(tree, key, value)
        return Recipe.model_validate(tree)

    def for_training(self) -> Recipe:
        """Only what decides the result of a training: the rest is put back to its default."""
        idle = {"name": "-", "comparison": Comparison(), "attribution": Attribution()}
        return self.model_copy(update=idle if self.tuning.apply else idle | {"tuning": Tuning()})

    def on_one_device(self) -> Recipe:
        """The same without a strategy: the batches, and the arithmetic but for the order of sums,
        are the same.
        """
        execution = self.execution.model_copy(update={"strategy": "none"})
        loop = {key: value for key, value in self.loop.items() if key != "execution.strategy"}
        return self.model_copy(update={"execution": execution, "loop": loop})

    @property
    def twins_agree(self) -> bool:
        """Whether both twins are asked to do the same thing."""
        return self.for_twin("fit") == self.for_twin("loop")

    def fields(self) -> dict[str, Any]:
        """Every decision by its dotted name, the loop's deviations left out."""
        return dict(_flatten(self.model_dump(exclude={"loop"})))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON form, 64 hexadecimal digits; the name does not count."""
        tree = self.model_dump(mode="json", exclude={"name"})
        return hashlib.sha256(
            json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()
        ).hexdigest()


def _flatten(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def put(tree: dict[str, Any], dotted: str, value: Any) -> None:
    """Set `tree['a']['b'] = value` for the key 'a.b'; an unknown key is left for validation to
    name.
    """
    *path, last = dotted.split(".")
    for part in path:
        child = tree.setdefault(part, {})
        if not isinstance(child, dict):
            raise ValueError(f"{dotted}: {part!r} is a value, not a section")
        tree = child
    tree[last] = value
