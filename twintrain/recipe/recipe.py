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
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from twintrain.errors import did_you_mean, shortened
from twintrain.recipe.sections import (
    Augmentation,
    Data,
    EarlyStoppingRules,
    Execution,
    FineTuning,
    LearningRateSchedule,
    Model,
    OptimizerSettings,
    ProblemChoice,
    Regularization,
    Section,
    TrainingRules,
    Tuning,
    Twins,
)
from twintrain.recipe.verdict_sections import AttributionRules, ComparisonRules

TwinName = Literal["fit", "loop"]
TWINS: tuple[TwinName, TwinName] = ("fit", "loop")
# What a tuner searches.
SEARCHED = ("optimizer.learning_rate", "training.batch_size")
# What the loop cannot deviate in.
SHARED = frozenset(
    {"name", "seeds", "loop", "comparison", "attribution", "data", "tuning", "twins", "problem"}
)
_DEEPEST = 8  # parts that a dotted key may have before its last
# Added after recipes were hashed and their results kept: sections, and fields of other sections.
_LATER = ("twins", "problem", "fine_tuning")
_LATER_FIELDS = {
    "data": ("unreadable_rows",),
    "training": ("class_weight",),
    "comparison": ("overlap_limit",),
}


class Recipe(Section):
    """Every decision of one comparison. Load it with `load_recipe`."""

    name: str = Field("standard", min_length=1, max_length=80)
    data: Data = Data()
    problem: ProblemChoice = ProblemChoice()
    model: Model = Model()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: LearningRateSchedule = LearningRateSchedule()
    training: TrainingRules = TrainingRules()
    augmentation: Augmentation = Augmentation()
    regularization: Regularization = Regularization()
    fine_tuning: FineTuning = FineTuning()
    early_stopping: EarlyStoppingRules = EarlyStoppingRules()
    execution: Execution = Execution()
    tuning: Tuning = Tuning()
    comparison: ComparisonRules = ComparisonRules()
    attribution: AttributionRules = AttributionRules()
    twins: Twins = Twins()
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
    def _test_split_chooses_no_epoch(self) -> Recipe:
        stopping = self.early_stopping
        validates = stopping.enabled and stopping.monitor.startswith("val_")
        if validates and not self.data.validation_fraction:
            raise ValueError(
                "early_stopping watches a validation figure, but data.validation_fraction is 0, so "
                "it would choose by the test split; set data.validation_fraction (0.1, say)"
            )
        return self

    @model_validator(mode="after")
    def _machines_share_a_batch_evenly(self) -> Recipe:
        machines, size = self.execution.machines, self.training.batch_size
        if self.execution.strategy == "multi_worker" and size % machines:
            raise ValueError(
                f"training.batch_size {size} cannot be shared out evenly over {machines} machines; "
                "use a multiple"
            )
        return self

    @model_validator(mode="after")
    def _a_problem_has_its_own_model(self) -> Recipe:
        if self.problem.module is not None and self.model != Model():
            raise ValueError(
                f"model.name chooses a model for images; that of {self.problem.module} is its "
                "build_model; leave model.name out"
            )
        return self

    @model_validator(mode="after")
    def _two_phases_have_epochs(self) -> Recipe:
        frozen, epochs = self.fine_tuning.frozen_epochs, self.training.epochs
        if frozen and frozen >= epochs:
            raise ValueError(
                f"fine_tuning.frozen_epochs {frozen} of training.epochs {epochs} leaves no epoch "
                "in which the whole model trains; lower the one or raise the other"
            )
        return self

    @model_validator(mode="after")
    def _xla_weighs_nothing(self) -> Recipe:
        weighs = {self.training.class_weight, self.loop.get("training.class_weight", "none")}
        if self.execution.xla and weighs != {"none"}:
            # Seen: the gradients of the two then differ by 3e-5 of their size under float16, more
            # than lockstep takes for rounding, and it would name a difference that there is not.
            raise ValueError(
                "execution.xla and training.class_weight exclude each other: XLA rounds a weighted "
                "loss otherwise in the two twins; set one of them back"
            )
        return self

    @model_validator(mode="after")
    def _loop_deviates_where_it_may(self) -> Recipe:
        known = self.fields()
        for key in self.loop:
            if key not in known:
                raise ValueError(f"loop.{key}: no such key. {did_you_mean(key, known)}")
            if key.split(".")[0] in SHARED:
                raise ValueError(f"loop.{key}: the twins share this; the loop cannot deviate in it")
            if self.tuning.apply and key in SEARCHED:
                raise ValueError(
                    f"loop.{key}: with tuning.apply each twin trains with the best value found for "
                    "it"
                )
        return self

    @model_validator(mode="after")
    def _own_loop_is_left_alone(self) -> Recipe:
        if not self.twins.own:
            return self
        if self.loop:
            raise ValueError(
                f"twins.loop is your own ({self.twins.loop}): what it does is written in it, and "
                "`loop` cannot tell it to deviate; leave one of the two out"
            )
        if self.fine_tuning.frozen_epochs:
            raise ValueError(
                "fine_tuning and twins.loop exclude each other: a loop of your own has its phases "
                "in itself; `twintrain diagnose` compares such trainings"
            )
        if self.execution.strategy != "none":
            raise ValueError(
                "twins.loop is your own, which trains on one device; set execution.strategy=none"
            )
        if self.attribution.enabled:
            raise ValueError(
                "attribution varies fields of the recipe, and a loop of your own (twins.loop) has "
                "none; the diagnosis names what it does otherwise"
            )
        return self

    @model_validator(mode="after")
    def _loop_is_a_recipe_itself(self) -> Recipe:
        if not self.loop:
            return self
        try:
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
        idle = {"name": "-", "comparison": ComparisonRules(), "attribution": AttributionRules()}
        return self.model_copy(update=idle if self.tuning.apply else idle | {"tuning": Tuning()})

    def for_data(self) -> Recipe:
        """Only what decides what examples are and what is right about them, the rest put back to
        its default.
        """
        return Recipe(name="-", problem=self.problem)

    def for_overlap(self) -> Recipe:
        """Only what decides what is trained on, what the splits have in common and whether that is
        too much, the rest put back to its default.
        """
        rules = ComparisonRules(overlap_limit=self.comparison.overlap_limit)
        return Recipe(name="-", problem=self.problem, data=self.data, comparison=rules)

    def on_one_device(self) -> Recipe:
        """The same without a strategy: the batches, and the arithmetic but for the order of sums,
        are the same.
        """
        execution = self.execution.model_copy(update={"strategy": "none"})
        loop = {key: value for key, value in self.loop.items() if key != "execution.strategy"}
        return self.model_copy(update={"execution": execution, "loop": loop})

    @property
    def twins_agree(self) -> bool:
        """Whether both twins are asked to do the same thing, and can be held to it."""
        return not self.twins.own and self.for_twin("fit") == self.for_twin("loop")

    def fields(self) -> dict[str, Any]:
        """Every decision by its dotted name, the loop's deviations left out."""
        return dict(_flatten(self.model_dump(exclude={"loop"})))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON form, 64 hexadecimal digits; the name does not count, nor
        do sections and fields that came later where they are at their default: what was trained
        before them stays what it was.
        """
        tree = self.model_dump(mode="json", exclude={"name"})
        for name in _later(self, _LATER):
            del tree[name]
        for section, fields in _LATER_FIELDS.items():
            for name in _later(getattr(self, section), fields):
                del tree[section][name]
        return hashlib.sha256(
            json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()
        ).hexdigest()


def _later(section: Section, names: Iterable[str]) -> list[str]:
    """Which of some fields are at their default."""
    known = type(section).model_fields
    return [name for name in names if getattr(section, name) == known[name].default]


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
    if len(path) > _DEEPEST:
        raise ValueError(f"{shortened(dotted, 80)}: no key has so many parts")
    for part in path:
        child = tree.setdefault(part, {})
        if not isinstance(child, dict):
            raise ValueError(f"{dotted}: {part!r} is a value, not a section")
        tree = child
    tree[last] = value
