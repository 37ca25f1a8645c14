"""A problem of the user's own: one Python module that states it.

    TASK = "binary"                    # classification, binary, multilabel, regression or counts
    LABEL = "late"                     # the column to predict; of several labels, their columns
    CATEGORIES = ("month",)            # whole numbers that only name something; texts do anyway
    SLICES = (("carrier",), ("distance",))

    def build_model(recipe, spec): ...

Everything but `TASK` and `LABEL` may be left out; docs/problems.md tells what each is for, and
`twintrain new` writes such a file after a look at the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from twintrain.data.example_spec import EXAMPLE_ID, TARGET, ExampleSpec
from twintrain.errors import TwintrainError, did_you_mean
from twintrain.problems.problem import Problem
from twintrain.problems.statement import Slices, Statement
from twintrain.problems.task import Task, task_named
from twintrain.problems.user_function import import_module
from twintrain.recipe.recipe import Recipe

if TYPE_CHECKING:
    import keras
    import keras_tuner

    from twintrain.data.batches import Preparation
    from twintrain.data.example_store import ExampleStore

# What a module may say, and what it may do.
CONSTANTS = (
    "TASK", "LABEL", "UNIT", "METRIC", "KEY", "CATEGORIES", "TEXT", "IGNORE", "SLICES", "WORDS",
    "LENGTH", "WEIGHT",
)  # fmt: skip
FUNCTIONS = ("build_model", "preprocessing_fn", "loss", "hyperparameters")
SLICE = "slice_of_"  # begins the names of transformed columns that test examples are sliced by
_WORDS, _LENGTH = 5000, 40
_LISTS = (list, tuple)


@dataclass(frozen=True)
class Columns:
    """What a problem's module says of the columns of its data.

    Attributes:
        labels: to be predicted: one, or the columns of several labels.
        key: names each row; None where rows are told apart by what they hold.
        categories: whole numbers that only name something.
        text: texts that are taken word by word.
        ignore: what the model is not given; such a column may still be sliced by.
        slices: by which test examples are sliced.
        words: how many words of texts are known, the most frequent ones.
        length: words of a text that count.
        weight: says how much each row counts in training; None where all count alike.
    """

    labels: tuple[str, ...]
    key: str | None
    categories: tuple[str, ...]
    text: tuple[str, ...]
    ignore: tuple[str, ...]
    slices: Slices
    words: int
    length: int
    weight: str | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """Every column that is named, each once."""
        single = [name for name in (self.key, self.weight) if name is not None]
        names = (*self.labels, *single, *self.categories, *self.text, *self.sliced)
        return tuple(dict.fromkeys(names))

    @property
    def sliced(self) -> tuple[str, ...]:
        """Every column that test examples are sliced by, each once."""
        return tuple(dict.fromkeys(name for keys in self.slices for name in keys))

    @property
    def unread(self) -> tuple[str, ...]:
        """The columns that nothing is done with."""
        return tuple(name for name in self.ignore if name not in self.sliced)


@dataclass(frozen=True)
class ProblemModule:
    """A module that states a problem, read and checked.

    Attributes:
        name: of the module.
        statement: what it says before any data is seen.
        columns: what it says of columns.
        functions: what it defines of `FUNCTIONS`.
    """

    name: str
    statement: Statement
    columns: Columns
    functions: dict[str, Callable[..., Any]]


def read_module(name: str) -> ProblemModule:
    """Import a module that states a problem.

    Raises:
        TwintrainError: there is no such module, it raises, or what it says cannot be.
    """
    return problem_in(import_module("problem.module", name))


def problem_in(module: ModuleType) -> ProblemModule:
    """What a module states.

    Raises:
        TwintrainError: `TASK` or `LABEL` is missing, or something is of the wrong kind.
    """
    said = {name: getattr(module, name) for name in CONSTANTS if hasattr(module, name)}
    shouted = {name for name in vars(module) if name.isupper() and not name.startswith("_")}
    for name in sorted(shouted - set(CONSTANTS)):
        near = did_you_mean(name, CONSTANTS)
        if near.startswith("Did you mean"):
            raise _wrong(module, f"says {name}, which is not known", near)
    for name in ("TASK", "LABEL"):
        if name not in said:
            raise _wrong(module, f"does not say {name}", f"Add {name} = ...; see docs/problems.md.")
    for name in ("TASK", "UNIT", "METRIC", "KEY", "WEIGHT"):
        if said.get(name) is not None and not isinstance(said[name], str):
            raise _wrong(module, f"says {name} = {said[name]!r}", "Write a text.")
    task = task_named(said["TASK"], said.get("UNIT") or "", said.get("METRIC") or "")
    columns = Columns(
        labels=_labels(module, said["LABEL"], task),
        key=said.get("KEY"),
        categories=_names(module, said, "CATEGORIES"),
        text=_names(module, said, "TEXT"),
        ignore=_names(module, said, "IGNORE"),
        slices=_slices(module, said),
        words=_count(module, said, "WORDS", _WORDS),
        length=_count(module, said, "LENGTH", _LENGTH),
        weight=said.get("WEIGHT"),
    )
    beside = (*columns.labels, columns.key, *columns.categories, *columns.text)
    if columns.weight is not None and columns.weight in beside:
        raise _wrong(
            module,
            f"weighs rows by {columns.weight!r}, which it also takes for something else",
            "WEIGHT names a column of numbers that is nothing else.",
        )
    functions = {name: getattr(module, name) for name in FUNCTIONS if hasattr(module, name)}
    for name, function in functions.items():
        if not callable(function):
            raise _wrong(module, f"has a {name} that is no function", "Write `def`.")
    needed = (*columns.labels, columns.key, columns.weight)
    unused = [name for name in columns.unread if name in columns.named]
    unused += [name for name in columns.ignore if name in needed]
    if unused:
        raise _wrong(module, f"ignores {unused[0]!r}, which it also uses", "Do one of the two.")
    raw = (*columns.named, EXAMPLE_ID)
    statement = Statement(task, columns.labels, TARGET, raw, columns.sliced, columns.slices, SLICE)
    return ProblemModule(module.__name__, statement, columns, functions)


def _labels(module: ModuleType, said: Any, task: Task) -> tuple[str, ...]:
    """The columns to predict, as many as the task has."""
    if task.SEVERAL:
        if _are_names(said) and len(said) > 1 and len(set(said)) == len(said):
            return tuple(said)
        raise _wrong(
            module,
            f"says LABEL = {said!r}, and the task {task.NAME} has several labels",
            'Write LABEL = ("one", "other"), a column of 0 and 1 for each.',
        )
    if isinstance(said, str):
        return (said,)
    remedy = "Write a text."
    if _are_names(said):
        remedy = "TASK = 'multilabel' predicts several labels; otherwise write a text."
    raise _wrong(module, f"says LABEL = {said!r}, and the task is {task.NAME}", remedy)


def _wrong(module: ModuleType, what: str, remedy: str) -> TwintrainError:
    where = getattr(module, "__file__", None) or module.__name__
    return TwintrainError(f"The problem in {where} {what}.", remedy)


def _names(module: ModuleType, said: dict[str, Any], name: str) -> tuple[str, ...]:
    found = said.get(name, ())
    if not _are_names(found):
        raise _wrong(module, f"says {name} = {found!r}", f'Write {name} = ("one", "other").')
    return tuple(found)


def _are_names(found: Any) -> bool:
    """Whether these are texts in an order; a set has none that is the same in the next process."""
    return isinstance(found, _LISTS) and all(isinstance(one, str) for one in found)


def _slices(module: ModuleType, said: dict[str, Any]) -> Slices:
    found = said.get("SLICES", ())
    if not isinstance(found, _LISTS) or not all(keys and _are_names(keys) for keys in found):
        raise _wrong(
            module, f"says SLICES = {found!r}", 'Write SLICES = (("one",), ("one", "other")).'
        )
    return tuple(tuple(keys) for keys in found)


def _count(module: ModuleType, said: dict[str, Any], name: str, usual: int) -> int:
    found = said.get(name, usual)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise _wrong(module, f"says {name} = {found!r}", "Write a whole number above 0.")
    return found


class UserProblem(Problem):
    """A problem that a module states, on examples with these columns."""

    def __init__(self, stated: ProblemModule, spec: ExampleSpec) -> None:
        super().__init__(stated.statement, spec)
        self.stated = stated

    def build_model(self, recipe: Recipe) -> keras.Model:
        """See `Problem.build_model`; without a function of the module's, a usual model."""
        from twintrain.problems.usual_model import usual_model

        build = self.stated.functions.get("build_model")
        if build is None:
            return usual_model(recipe, self.spec, self.output_shape, self.task)
        return build(recipe, self.spec)

    def loss(self) -> keras.Loss:
        """The module's, or the one usual for the task."""
        own = self.stated.functions.get("loss")
        return self.task.loss() if own is None else own()

    def preparation(self, recipe: Recipe) -> Preparation:
        """Transform has done everything.

        Raises:
            TwintrainError: the recipe asks for what only images can be given.
        """
        from twintrain.data.batches import Preparation

        if recipe.augmentation.active or recipe.training.input_scale != "unit":
            raise TwintrainError(
                "augmentation and training.input_scale change images, and the problem "
                f"{self.stated.name} has columns.",
                "Leave them at their defaults.",
            )
        return Preparation()

    def slice_values(
        self, train: ExampleStore, test: ExampleStore
    ) -> dict[str, npt.NDArray[np.str_]]:
        """None: columns that are sliced by are Transform's to make.

        Raises:
            TwintrainError: the problem names slices.
        """
        if not self.statement.slice_keys:
            return {}
        raise TwintrainError(
            f"The slices of the problem {self.stated.name} are made by the pipeline.",
            "Give compare() slice_values, or run `twintrain compare --problem`, which makes them.",
        )

    def slice_value_name(self, recipe: Recipe, key: str, value: int) -> str:
        """A class's name."""
        names = self.spec.class_names
        return (
            names[value] if (key,) == self.statement.targets and value < len(names) else str(value)
        )

    def suggest(self, hp: keras_tuner.HyperParameters, recipe: Recipe) -> dict[str, Any]:
        """The module's search space, or the usual one."""
        own = self.stated.functions.get("hyperparameters")
        return super().suggest(hp, recipe) if own is None else own(hp)
