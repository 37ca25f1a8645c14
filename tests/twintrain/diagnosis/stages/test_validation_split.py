"""Which training rows each side trains on, and which it holds back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.twintrain.diagnosis.traces import BATCH, ROWS, Practice, named, nothing, pair_of
from twintrain.diagnosis.stages.batches import check_count, check_order
from twintrain.diagnosis.stages.evaluation import check_evaluations
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.stages.validation_split import check_split, train_on_other_rows
from twintrain.diagnosis.watch.trace import Evaluation, Trace

HELD = 9
ALL = np.arange(ROWS)
LAST, FIRST = ALL[-HELD:], ALL[:HELD]
DRAWN = np.random.default_rng(4).permutation(ROWS)[:HELD]


def holding(held: np.ndarray, dropped: int = 0, shuffled: bool = True) -> Practice:
    """Trains on the other rows; `evaluating` evaluates these."""

    def order(epoch: int, rows: int) -> np.ndarray:
        kept = np.setdiff1d(np.arange(rows), held)
        if shuffled:
            kept = np.random.default_rng(epoch).permutation(kept)
        return kept[: len(kept) - dropped]

    return Practice(order=order, evaluated=0)


def evaluating(fit: np.ndarray | None, loop: np.ndarray | None) -> Callable[[Trace, Trace], None]:
    """Each side evaluates these training rows after the first epoch; None for the test rows."""

    def plant(*traces: Trace) -> None:
        for trace, held in zip(traces, (fit, loop), strict=True):
            if held is None:
                continue
            steps = trace.steps
            x = np.concatenate([np.asarray(step.element[0]) for step in steps])
            known = {row.tobytes(): row for row in DATA}
            assert all(row.tobytes() in known for row in x)
            end = len(steps) // 2
            inputs = DATA[held]
            trace.evaluations.append(
                Evaluation(end, steps[0].model, inputs, False, None, (inputs,), None)
            )

    return plant


DATA = pair_of().subject.train.part(0)


def pair_holding(
    fit: np.ndarray, loop: np.ndarray, dropped: int = 0, shuffled: bool = True
) -> Pair:
    return pair_of(holding(fit), holding(loop, dropped, shuffled), plant=evaluating(fit, loop))


def test_the_same_rows_held_back_name_nothing() -> None:
    pair = pair_holding(LAST, LAST)
    assert check_split(pair)
    assert check_count(pair)
    assert check_order(pair)
    assert nothing(pair)
    assert "validation_split_differs" in pair.findings.ruled_out


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_the_side_that_takes_a_piece_of_the_data_is_named(side: str) -> None:
    pair = pair_holding(LAST, DRAWN) if side == "keras_fit" else pair_holding(DRAWN, FIRST)
    for check in (check_split, check_count, check_order, check_evaluations):
        check(pair)
    assert named(pair) == [("validation_split_differs", side, 0)]
    cause = pair.findings.causes[0]
    trained, evaluated = cause.evidence
    piece = "0-26" if side == "keras_fit" else "9-35"
    assert trained.observed.startswith(f"27 of 36 rows: {piece} (labels 0: ")
    assert evaluated.observed.startswith("9 of 36 rows: ")
    assert "permutation(36)" in cause.fix


def test_of_two_that_draw_the_loop_is_named() -> None:
    other = np.random.default_rng(5).permutation(ROWS)[:HELD]
    pair = pair_holding(DRAWN, other)
    check_split(pair)
    assert named(pair) == [("validation_split_differs", "custom_loop", 0)]
    assert "draws" in pair.findings.causes[0].fix


@pytest.mark.parametrize("side", ["keras_fit", "custom_loop"])
def test_the_side_that_holds_rows_back_alone_is_named(side: str) -> None:
    if side == "keras_fit":
        pair = pair_of(fit=holding(LAST), plant=evaluating(LAST, None))
    else:
        pair = pair_of(loop=holding(LAST), plant=evaluating(None, LAST))
    check_split(pair)
    check_count(pair)
    assert named(pair) == [("validation_split_differs", side, 0)]
    assert pair.findings.causes[0].evidence[1].expected.startswith("other rows")


def test_the_side_that_trains_on_what_it_evaluates_is_named() -> None:
    everything = Practice(evaluated=0)
    pair = pair_of(fit=holding(LAST), loop=everything, plant=evaluating(LAST, LAST))
    check_split(pair)
    assert named(pair) == [("validation_split_differs", "custom_loop", 0)]
    assert "also on those it evaluates" in pair.findings.causes[0].fix


def test_a_split_that_is_drawn_anew_in_each_pass_is_named() -> None:
    anew = Practice(
        order=lambda epoch, rows: np.random.default_rng(epoch).permutation(rows)[:-HELD],
        evaluated=0,
    )
    pair = pair_of(fit=holding(LAST), loop=anew, plant=evaluating(LAST, FIRST))
    check_split(pair)
    assert named(pair) == [("validation_split_differs", "custom_loop", 0)]
    assert "each pass draws another split" in pair.findings.causes[0].evidence[0].observed


@pytest.mark.parametrize(
    ("dropped", "id_"), [(27 % BATCH, "last_batch_dropped"), (12, "epoch_truncated")]
)
def test_an_epoch_that_lacks_rows_of_the_same_split_is_no_other_split(
    dropped: int, id_: str
) -> None:
    pair = pair_holding(LAST, LAST, dropped)
    check_split(pair)
    check_count(pair)
    assert named(pair) == [(id_, "custom_loop", (27 - dropped) // BATCH)]
    assert pair.findings.causes[0].evidence[0].expected == "(27, 27) of 36 rows"


def test_a_part_in_the_order_of_the_data_is_not_shuffled() -> None:
    pair = pair_holding(DRAWN, DRAWN, shuffled=False)
    check_split(pair)
    check_order(pair)
    assert named(pair) == [("shuffle_missing", "custom_loop", 0)]


def test_an_epoch_cut_short_holds_nothing_back() -> None:
    pair = pair_of(loop=Practice(order=lambda epoch, rows: np.arange(2 * BATCH)))
    assert check_split(pair)
    assert nothing(pair)


def test_the_sides_may_train_on_other_rows_or_on_more_of_them() -> None:
    assert not train_on_other_rows(pair_of())
    assert not train_on_other_rows(pair_holding(LAST, LAST))
    assert train_on_other_rows(pair_holding(LAST, DRAWN))
    assert train_on_other_rows(pair_holding(LAST, LAST, dropped=3))
