"""The files that `twintrain new` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from twintrain.data.table_survey import Survey, SurveyedColumn
from twintrain.errors import TwintrainError
from twintrain.problems.task import TASKS, task_named

_CLASSES = 20  # different whole numbers up to which a label is taken for classes
_CATEGORY = 12  # different whole numbers up to which a column is taken for a category
_SLICES = (2, 12)  # different values of a column that is worth slicing by
# Of figures that have no unit: one hundredth of what is usual between useless and perfect, or of
# the deviance that counts have from their true means.
_MARGINS = {
    "label_accuracy": 0.1,
    "auc": 0.005,
    "f1": 0.01,
    "log_loss": 0.005,
    "brier": 0.005,
    "ece": 0.005,
    "r2": 0.01,
    "deviance": 0.01,
}
_WHY = {
    "identifier": "another in every row",
    "date": "a date: nothing is learned from it as it stands",
    "constant": "the same in every row",
    "empty": "empty",
}


@dataclass(frozen=True)
class Draft:
    """What a look at a table suggests.

    Attributes:
        task: name of the task.
        metric: what twins are compared by.
        labels: to be predicted: one, or several labels.
        unit: of a number.
        rows: of the table.
        categories, text: columns, with a remark each.
        ignore: columns, with the reason.
        slices: columns.
        margin: in the metric's unit; None where the usual one will do.
        warnings: for the person who asked.
    """

    task: str
    metric: str
    labels: tuple[str, ...]
    unit: str
    rows: int
    categories: dict[str, str]
    text: dict[str, str]
    ignore: dict[str, str]
    slices: tuple[str, ...]
    margin: float | None
    warnings: tuple[str, ...]


def draft(
    survey: Survey, labels: Sequence[str], task: str | None, metric: str | None, unit: str
) -> Draft:
    """What a look at a table suggests for a label, or for several that a row has or has not.

    Raises:
        TwintrainError: there is no such task, it has no such metric, or another number of labels.
    """
    if task is not None and task not in TASKS:
        raise TwintrainError(f"--task: no task is called {task!r}.", f"Use {', '.join(TASKS)}.")
    chosen = task or _task_of([survey.columns[label] for label in labels])
    several = len(labels) > 1
    if several != TASKS[chosen].SEVERAL:
        raise TwintrainError(
            f"--label names {len(labels)} column{'s' * several}, and the task is {chosen}.",
            "Several labels, each a column of 0 and 1, are the task multilabel; others have one.",
        )
    judged = task_named(chosen, unit, metric or "").measure.NAME
    others = {name: column for name, column in survey.columns.items() if name not in labels}
    ignore = {name: _WHY[column.seems] for name, column in others.items() if column.seems}
    same = {
        name: label for label in labels for name in survey.twins_of(label) if name not in labels
    }
    ignore |= {name: f"tells {label} itself" for name, label in same.items()}
    many = {
        name: f"{column.distinct:,} different values in {survey.rows:,} rows"
        for name, column in others.items()
        if column.kind == "BYTES" and not column.is_text and column.distinct > survey.rows / 2
    }
    ignore = many | ignore
    left = {name: column for name, column in others.items() if name not in ignore}
    return Draft(
        task=chosen,
        metric=judged,
        labels=tuple(labels),
        unit=unit,
        rows=survey.rows,
        categories={
            name: f"{column.distinct} different numbers"
            for name, column in left.items()
            if column.kind == "INT" and column.distinct <= _CATEGORY
        },
        text={
            name: f"{column.words:.0f} words on average"
            for name, column in left.items()
            if column.is_text
        },
        ignore=ignore,
        slices=_slices(left),
        margin=_margin(judged, survey.columns[labels[0]]),
        warnings=tuple(_warnings(survey, labels, same, left)),
    )


def _task_of(labels: Sequence[SurveyedColumn]) -> str:
    if len(labels) > 1:
        return "multilabel"
    (column,) = labels
    if column.kind == "BYTES" or (column.kind == "INT" and column.distinct <= _CLASSES):
        return "binary" if column.distinct == 2 else "classification"
    return "regression"


def _slices(left: Mapping[str, SurveyedColumn]) -> tuple[str, ...]:
    low, high = _SLICES
    few = [
        name
        for name, column in left.items()
        if low <= column.distinct <= high and column.kind != "FLOAT"
    ]
    texts = [name for name, column in left.items() if column.is_text]
    return tuple([*texts, *sorted(few, key=lambda name: left[name].kind != "BYTES")][:2])


def _margin(metric: str, column: SurveyedColumn) -> float | None:
    """Of errors of numbers, one hundredth of what the values differ from their middle, to one
    digit. None where the usual margin will do, or nothing can be suggested.
    """
    if metric not in ("mae", "rmse"):
        return _MARGINS.get(metric)
    if not column.values or column.kind == "BYTES":
        return None
    middle = column.values[len(column.values) // 2]
    apart = sum(abs(float(value) - float(middle)) for value in column.values) / len(column.values)
    return float(f"{apart / 100:.0e}") or None


def _warnings(
    survey: Survey,
    labels: Sequence[str],
    same: Mapping[str, str],
    left: Mapping[str, SurveyedColumn],
) -> list[str]:
    found = [
        f"{name} tells the same as {label} in every row: it is left out (IGNORE)."
        for name, label in same.items()
    ]
    if not left:
        found.append("no column is left to learn from; look at IGNORE.")
    for label in labels:
        if survey.columns[label].missing:
            found.append(f"{survey.columns[label].missing:.1%} of the rows have no {label}.")
    return found


def problem_text(name: str, data: Path, drafted: Draft) -> str:
    """The Python file."""
    lines = [
        f'"""{name}: predicts {", ".join(drafted.labels)}.',
        "",
        f"    twintrain run --problem {name}.py --data {data}",
        "",
        f"Written after a look at {drafted.rows:,} rows. Everything here may be changed.",
        '"""',
        "",
        "# classification (one of several classes), binary (one of two), multilabel (any of",
        "# several labels), regression (a number), counts (0, 1, 2 ...).",
        f'TASK = "{drafted.task}"',
        *_label(drafted.labels),
    ]
    if drafted.unit:
        lines.append(f"UNIT = {_quoted(drafted.unit)}  # of the label")
    others = ", ".join(name for name in TASKS[drafted.task].MEASURES if name != drafted.metric)
    lines += ["", f"# What the twins are compared by; {others} would do too."]
    lines.append(f"METRIC = {_quoted(drafted.metric)}")
    lines += ["", "# Whole numbers that only name something. Texts are categories anyway."]
    lines += _named("CATEGORIES", drafted.categories)
    lines += ["", "# Texts that are read word by word."]
    lines += _named("TEXT", drafted.text)
    lines += ["", "# Columns that the model is not given."]
    lines += _named("IGNORE", drafted.ignore)
    lines += ["", "# What test examples are sliced by; two names in one entry are crossed."]
    slices = " ".join(f"({_quoted(key)},)," for key in drafted.slices)
    lines += [f"SLICES = ({slices})" if slices else "SLICES = ()", *_MODEL]
    return "\n".join(lines) + "\n"


def _label(labels: Sequence[str]) -> list[str]:
    if len(labels) == 1:
        return [f"LABEL = {_quoted(labels[0])}"]
    return ["LABEL = (", *(f"    {_quoted(one)}," for one in labels), ")"]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _named(name: str, columns: Mapping[str, str]) -> list[str]:
    if not columns:
        return [f"{name} = ()"]
    return [f"{name} = (", *(f"    {_quoted(one)},  # {why}" for one, why in columns.items()), ")"]


_MODEL = [
    "",
    "",
    "# Without a model of your own, numbers, embedded categories and words go through two dense",
    "# layers of 64 units. spec.inputs has name, shape, dtype and, of codes, size of each column.",
    "#",
    "# def build_model(recipe, spec):",
    "#     import keras",
    "#     inputs = {c.name: keras.Input(c.shape, dtype=c.dtype) for c in spec.inputs}",
    "#     ...",
    "#     return keras.Model(inputs, outputs)  # not compiled",
]


def recipe_text(name: str, drafted: Draft) -> str:
    """The recipe beside the data."""
    sizes = ((10_000, 32), (100_000, 128))
    batch = next((size for rows, size in sizes if drafted.rows < rows), 512)
    comparison: dict[str, Any] = {"threshold": None}
    if drafted.margin is not None:
        comparison["margin"] = drafted.margin
    tree = {
        "extends": "standard",
        "name": name,
        "data": {"validation_fraction": 0.1},
        "training": {"batch_size": batch, "epochs": 5},
        "tuning": {"trials": 0},
        "comparison": comparison,
    }
    text = yaml.safe_dump(tree, sort_keys=False)
    if drafted.margin is not None:
        text += "# margin: a difference that does not matter to you, in the unit of the metric.\n"
    return text
