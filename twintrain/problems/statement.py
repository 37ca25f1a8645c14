"""What a problem says before any data is seen."""

from __future__ import annotations

from dataclasses import dataclass

from twintrain.data.example_spec import EXAMPLE_ID, IMAGE, LABEL
from twintrain.errors import TwintrainError, did_you_mean
from twintrain.problems.task import Classification, Task
from twintrain.recipe.recipe import Recipe

Slices = tuple[tuple[str, ...], ...]
USUAL_MARGIN = 0.1  # percentage points of accuracy


@dataclass(frozen=True)
class Statement:
    """The task of a problem, and the columns it speaks of.

    Attributes:
        task: what is predicted, and how it is judged.
        targets: the column of raw examples that holds it; one for each of several labels.
        learned: the column that preprocessing makes of it.
        raw_columns: those that raw examples must have, targets and the id among them.
        slice_keys: what test examples can be sliced by, in the order of a slice's name.
        slices: which of them, and which crosses, are looked at where the recipe names none.
        sliced: begins the name of the column that preprocessing makes for a slice key.
    """

    task: Task
    targets: tuple[str, ...]
    learned: str
    raw_columns: tuple[str, ...]
    slice_keys: tuple[str, ...] = ()
    slices: Slices = ()
    sliced: str = ""

    @property
    def target(self) -> str:
        """The column that holds what is predicted, where it is one."""
        (only,) = self.targets
        return only

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns of several labels; empty where one thing is predicted."""
        return self.targets if self.task.SEVERAL else ()

    def slices_of(self, recipe: Recipe) -> Slices:
        """The slices to look at.

        Raises:
            TwintrainError: the recipe names one that there is not.
        """
        asked = recipe.comparison.slices
        if asked is None:
            return self.slices
        for key in (key for keys in asked for key in keys):
            if key not in self.slice_keys:
                raise TwintrainError(
                    f"comparison.slices: examples cannot be sliced by {key!r}.",
                    did_you_mean(key, self.slice_keys) if self.slice_keys else "Use [].",
                )
        return asked

    def margin_of(self, recipe: Recipe) -> float:
        """The margin inside of which twins are equivalent, in the unit of the task's metric.

        Raises:
            TwintrainError: the recipe names none, and the metric has none of its own.
        """
        margin, metric = recipe.comparison.margin, self.task.metric
        if margin is not None:
            return margin
        if metric.counts:
            return USUAL_MARGIN
        raise TwintrainError(
            f"comparison.margin is not set: how large a difference in {metric.title} does not "
            "matter cannot be guessed.",
            "Add --set comparison.margin=NUMBER, or write it into the recipe.",
        )

    @property
    def slice_columns(self) -> dict[str, str]:
        """By slice key, the column that preprocessing makes for it."""
        return {key: self.column_of(key) for key in self.slice_keys}

    def column_of(self, key: str) -> str:
        """The column that preprocessing makes for a slice key."""
        return f"{self.sliced}{key}"


IMAGES = Statement(
    task=Classification(),
    targets=(LABEL,),
    learned=LABEL,
    raw_columns=(IMAGE, LABEL, EXAMPLE_ID),
    slice_keys=(LABEL, "ink"),
    slices=((LABEL,), ("ink",)),
)
