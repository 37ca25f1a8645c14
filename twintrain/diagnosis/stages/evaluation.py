"""Stage 'evaluation': on what, and how, each side evaluates after an epoch."""

from __future__ import annotations

import keras
import numpy as np

from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.replay.batch_matching import read_stream
from twintrain.diagnosis.replay.compare import all_close_to, peak
from twintrain.diagnosis.replay.model_calls import (
    call_model,
    compute_dtype,
    outputs_of,
    weights_of,
)
from twintrain.diagnosis.replay.row_sets import RowCounter
from twintrain.diagnosis.replay.tolerances import forward_tolerance
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.stages.validation_split import hold_the_same_back
from twintrain.diagnosis.watch.frozen_rows import as_rows, keys_of
from twintrain.diagnosis.watch.trace import FIT, LOOP, Evaluation
from twintrain.diagnosis.watch.trained_model import shares_variables

# Share of rows that stand in the data just so, from which on nothing was made of them before they
# were evaluated.
AS_THEY_ARE = 0.5
# What tells that rows were scaled by themselves, how near, and of how many rows at least.
ITSELF, SCALED, _FEWEST_ROWS = "each with mean 0 and variance 1", 1e-3, 8
# Per split, how often each row occurs.
Counts = dict[str, np.ndarray]


def blocks_of(side: Side) -> list[list[Evaluation]]:
    """The evaluations right after the first and after the second epoch, of the model that is
    trained, a part or a copy of it.
    """
    trained = [e for e in side.trace.evaluations if _is_of_trained(e.model, side)]
    return [[e for e in trained if e.position == end] for end in side.ends]


def _is_of_trained(model: keras.Model, side: Side) -> bool:
    """Whether a model can hold what was trained: it shares weights with the one trained, or has as
    many of the same shapes and may be a copy. Others in the same script are called there as well.
    """
    trained = side.trace.steps[-1].model
    return shares_variables(model, trained) or _shapes(model) == _shapes(trained)


def _shapes(model: keras.Model) -> list[tuple[int, ...]]:
    return sorted(tuple(variable.shape) for variable in model.variables)


def held_out(pair: Pair, evaluations: list[Evaluation]) -> list[Evaluation]:
    """Without those on training rows, where there are others: some loops evaluate both."""
    train = pair.subject.train
    others = [e for e in evaluations if pair.evaluated([e])[0] is not train]
    return others or evaluations


@looks_for("evaluation_set_differs", "evaluation_training_mode")
def check_evaluations(pair: Pair) -> bool:
    """Compare rows, content and training flag of the evaluations, where both sides evaluate."""
    blocks = {side.name: [e for block in blocks_of(side) for e in block] for side in pair.sides}
    if not pair.complete or not all(blocks.values()):
        return False
    strange = [name for name, found in blocks.items() if not _on_known_rows(pair, found)]
    if pair.subject.test is None and strange:
        why = f"{' and '.join(strange)} evaluates on rows of which nothing is known"
        pair.findings.not_compared("evaluation", why, open_=True)
        return False
    changed = _check_content(pair, blocks)
    _check_rows(pair, blocks, changed)
    for side in pair.sides:
        _check_flag(pair, side, blocks[side.name])
    return True


def _check_content(pair: Pair, blocks: dict[str, list[Evaluation]]) -> bool:
    """Compare what was made of the rows before they were evaluated; whether it is not the same."""
    changes = {side.name: _change(pair, side, blocks[side.name]) for side in pair.sides}
    if changes[FIT] == changes[LOOP] or "rounded" in changes.values():
        return False
    at_fault = FIT if changes[LOOP] == "none" else LOOP
    random = changes[at_fault] == "random"
    correct = changes[pair.other(at_fault).name]
    evidence, fix = by_reading("inputs in evaluation", changes[at_fault], correct), None
    fitted = [name for name, found in blocks.items() if is_scaled_by_itself(held_out(pair, found))]
    if len(fitted) == 1 and not random:
        (at_fault,) = fitted
        evidence = by_reading("columns of the rows evaluated", ITSELF, "with others")
        fix = "Fit what scales them to the training rows alone, and transform the others with it."
    pair.findings.name_cause(
        "augmentation_one_sided" if random else "preprocessing_differs",
        at_fault,
        None,
        evidence,
        fix=fix,
        stage=Stage.EVALUATION,
    )
    return True


def is_scaled_by_itself(evaluations: list[Evaluation]) -> bool:
    """Whether what standardizes the rows evaluated was fitted to them: then each of their columns
    has mean 0 and variance 1. Columns of two values are not asked.
    """
    first = min((e.position for e in evaluations), default=0)
    parts = [as_rows(e.inputs) for e in evaluations if e.position == first]
    if not parts or len({part.shape[1] for part in parts}) > 1:
        return False
    rows = np.concatenate(parts).astype(np.float64)
    asked = rows[:, [len(np.unique(column)) > 2 for column in rows.T]]
    if len(rows) < _FEWEST_ROWS or asked.shape[1] < 2:
        return False
    standard = np.abs(asked.mean(0)) + np.abs(asked.std(0) - 1)
    return bool((standard < SCALED).all())


def _as_they_are(pair: Pair, evaluations: list[Evaluation]) -> float:
    """Share of the rows evaluated that stand in the data just so, of whichever split."""
    known = {key for rows in (pair.subject.train, pair.subject.test) if rows for key in rows.keys}
    fed = [key for evaluation in evaluations for key in keys_of(evaluation.inputs)]
    return sum(key in known for key in fed) / max(1, len(fed))


def _on_known_rows(pair: Pair, evaluations: list[Evaluation]) -> bool:
    """Whether most rows evaluated are rows of the data, as they are or changed."""
    if _as_they_are(pair, evaluations) > AS_THEY_ARE:
        return True
    _, rows = pair.evaluated(evaluations)
    return float((np.concatenate(rows) >= 0).mean()) > AS_THEY_ARE


def _change(pair: Pair, side: Side, evaluations: list[Evaluation]) -> str:
    chosen = held_out(pair, evaluations)
    data, _ = pair.evaluated(chosen)
    first = sum(e.position == side.first_epoch for e in chosen)
    if _as_they_are(pair, chosen) > AS_THEY_ARE:
        return "none"
    return read_stream(chosen, data, first or len(chosen)).change


def _check_rows(pair: Pair, blocks: dict[str, list[Evaluation]], changed: bool) -> None:
    """Compare which rows are evaluated; where the sides hold other rows back, that is why. Of rows
    that one side has `changed`, which are hard to know again, only that there are as many.
    """
    if pair.findings.has("validation_split_differs"):
        return
    counters = _counters(pair)
    counts = {name: _counts(pair, found, counters) for name, found in blocks.items()}
    which = "test" if any(found["test"].any() for found in counts.values()) else "train"
    fit, loop = counts[FIT][which], counts[LOOP][which]
    as_many = len({sum(one.size for one in found) for found in blocks.values()}) == 1
    if changed and (as_many or not (fit.any() and loop.any())):
        return
    if np.array_equal(fit, loop) or (which == "train" and hold_the_same_back(pair)):
        return
    counter = counters[which]
    at_fault = FIT if np.array_equal(loop, counter.capacity) else LOOP
    pair.findings.name_cause(
        "evaluation_set_differs",
        at_fault,
        None,
        by_reading(
            "evaluated on",
            _say(counts[at_fault], counters),
            _say(counts[pair.other(at_fault).name], counters),
        ),
    )


def _counters(pair: Pair) -> dict[str, RowCounter]:
    splits = {"test": pair.subject.test, "train": pair.subject.train}
    return {name: RowCounter(data) for name, data in splits.items() if data is not None}


def _counts(pair: Pair, evaluations: list[Evaluation], counters: dict[str, RowCounter]) -> Counts:
    """Which rows of each split are evaluated, each once."""
    batches: dict[str, list[np.ndarray]] = {"test": [], "train": []}
    for evaluation in evaluations:
        data, rows = pair.evaluated([evaluation])
        batches["test" if data is pair.subject.test else "train"] += rows
    return {
        name: np.minimum(counters[name].count(found), counters[name].capacity)
        if name in counters
        else np.zeros(0, int)
        for name, found in batches.items()
    }


def _say(counts: Counts, counters: dict[str, RowCounter]) -> str:
    kinds = {"test": "test rows", "train": "training rows"}
    parts = [
        counters[name].say(found, kinds[name]) for name, found in counts.items() if found.any()
    ]
    return " and ".join(parts) or "rows that are not in the data"


def _check_flag(pair: Pair, side: Side, evaluations: list[Evaluation]) -> None:
    """Name the training flag in an evaluation whose outputs only the flag gives."""
    for evaluation in evaluations:
        found = _peaks_in_training(evaluation)
        if found is not None:
            pair.findings.name_cause(
                "evaluation_training_mode",
                side.name,
                side.first_epoch - 1,
                by_reading("training flag in evaluation", True, False),
                by_replay("largest output", *found),
            )
            return


def _peaks_in_training(evaluation: Evaluation) -> tuple[float, float, float] | None:
    """Largest output observed, replayed with the flag and without; None where the outputs are not
    those of a call with the flag alone.
    """
    if evaluation.weights is None or not evaluation.training:
        return None
    tolerance = forward_tolerance(compute_dtype(evaluation.model))
    with weights_of(evaluation.model, evaluation.weights, evaluation.states):
        with_flag = outputs_of(call_model(evaluation.model, evaluation.inputs, True))
    with weights_of(evaluation.model, evaluation.weights, evaluation.states):
        without = outputs_of(call_model(evaluation.model, evaluation.inputs, False))
    outputs = outputs_of(evaluation.outputs)
    if not all_close_to(outputs, with_flag, tolerance):
        return None
    if all_close_to(outputs, without, tolerance):
        return None
    return peak(outputs), peak(with_flag), peak(without)


CHECKS = (check_evaluations,)
