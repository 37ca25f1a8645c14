"""Stage 'evaluation': on what, and how, each side evaluates after an epoch."""

from __future__ import annotations

import keras
import numpy as np

from twintrain.diagnosis.replay.batch_matching import read_stream
from twintrain.diagnosis.stages.findings import FIT, LOOP, Pair, Side, close_to, shown
from twintrain.diagnosis.stages.forward import LOOSE, call_model, weights_of
from twintrain.diagnosis.watch.trace import Evaluation

STAGE = "evaluation"


def blocks_of(side: Side) -> list[list[Evaluation]]:
    """The evaluations right after the first and after the second epoch."""
    ends = (side.first_epoch, len(side.steps))
    return [[e for e in side.trace.evaluations if e.position == end] for end in ends]


def check_evaluations(pair: Pair) -> None:
    """Compare rows, content and training flag of the evaluations, where both sides evaluate."""
    blocks = {side.name: [e for block in blocks_of(side) for e in block] for side in pair.sides}
    if not all(side.trace.complete for side in pair.sides) or not all(blocks.values()):
        return
    pair.ruled_out |= {"evaluation_set_differs", "evaluation_training_mode"}
    _check_rows(pair, blocks)
    for side in pair.sides:
        found = _training_mode(blocks[side.name])
        if found is not None:
            pair.name_cause(
                "evaluation_training_mode",
                side.name,
                STAGE,
                _end(side),
                shown("training flag in evaluation", True, True, False),
                shown("largest output", *found),
            )


def _end(side: Side) -> int:
    return side.first_epoch - 1


def _check_rows(pair: Pair, blocks: dict[str, list[Evaluation]]) -> None:
    changes = {}
    for side in pair.sides:
        evaluations = held_out(pair, blocks[side.name])
        data, _ = pair.evaluated(evaluations)
        first = sum(e.position == side.first_epoch for e in evaluations)
        changes[side.name] = read_stream(evaluations, data, first or len(evaluations)).change
    if changes[FIT] != changes[LOOP]:
        at_fault = FIT if changes[LOOP] == "none" else LOOP
        id_ = "augmentation_one_sided" if changes[at_fault] == "random" else "preprocessing_differs"
        other = LOOP if at_fault == FIT else FIT
        if "rounded" not in changes.values():
            pair.name_cause(
                id_,
                at_fault,
                STAGE,
                None,
                shown("inputs in evaluation", changes[at_fault], changes[at_fault], changes[other]),
            )
    sets = {side.name: _sets(pair, blocks[side.name]) for side in pair.sides}
    which = "test" if any(found["test"] for found in sets.values()) else "train"
    fit, loop = sets[FIT][which], sets[LOOP][which]
    if fit == loop:
        return
    rows = (
        len(pair.subject.test) if which == "test" and pair.subject.test else len(pair.subject.train)
    )
    at_fault = FIT if len(loop) == rows else LOOP
    correct = loop if at_fault == FIT else fit
    rows_of = "test rows" if which == "test" else "training rows"
    pair.name_cause(
        "evaluation_set_differs",
        at_fault,
        STAGE,
        None,
        shown(
            "evaluated on",
            _said(sets[at_fault]),
            _said(sets[at_fault]),
            f"{len(correct)} {rows_of}",
        ),
    )


def held_out(pair: Pair, evaluations: list[Evaluation]) -> list[Evaluation]:
    """Without those on training rows, where there are others: some loops evaluate both."""
    train = pair.subject.train
    others = [e for e in evaluations if pair.evaluated([e])[0] is not train]
    return others or evaluations


def _said(sets: dict[str, set[int]]) -> str:
    parts = [
        f"{len(rows)} {'training' if name == 'train' else name} rows"
        for name, rows in sets.items()
        if rows
    ]
    return " and ".join(parts) or "rows that are not in the data"


def _sets(pair: Pair, evaluations: list[Evaluation]) -> dict[str, set[int]]:
    """Which rows of each split are evaluated."""
    found: dict[str, set[int]] = {"test": set(), "train": set()}
    for evaluation in evaluations:
        data, rows = pair.evaluated([evaluation])
        name = "test" if data is pair.subject.test else "train"
        found[name] |= {int(row) for batch in rows for row in batch if row >= 0}
    return found


def _training_mode(evaluations: list[Evaluation]) -> tuple[float, float, float] | None:
    """Largest output observed, replayed with the flag and without, where only the flag reproduces
    the outputs.
    """
    for evaluation in evaluations:
        if evaluation.weights is None or not evaluation.training:
            continue
        flat = [
            np.asarray(keras.ops.cast(t, "float32")) for t in keras.tree.flatten(evaluation.outputs)
        ]
        rel = LOOSE.get(str(evaluation.model.dtype_policy.compute_dtype), 2e-5)
        replayed = []
        for flag in (True, False):
            with weights_of(evaluation.model, evaluation.weights):
                again = call_model(evaluation.model, evaluation.inputs, flag)
            replayed.append(
                [np.asarray(keras.ops.cast(t, "float32")) for t in keras.tree.flatten(again)]
            )
        same = [
            all(close_to(a, b, rel) for a, b in zip(flat, found, strict=True)) for found in replayed
        ]
        if same == [True, False]:
            return tuple(max(float(np.abs(a).max()) for a in found) for found in (flat, *replayed))  # type: ignore[return-value]
    return None
