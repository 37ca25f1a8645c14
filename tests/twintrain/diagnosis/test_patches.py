"""A fix as a difference, only where it is certain."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from tests.twintrain.diagnosis.diagnoses import cause
from tests.twintrain.diagnosis.traces import ROWS, Practice, pair_of
from twintrain.diagnosis.patches import patch_of
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.watch.places import Source, Spot, Station

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="columns are not told")


class Noting:
    """Whatever is called, notes where from."""

    def __init__(self) -> None:
        self.noted: list[Spot] = []

    def __getattr__(self, name: str) -> Noting:
        return self

    def __call__(self, *_: Any, **__: Any) -> Noting:
        frame = sys._getframe(1)
        self.noted.append(Spot(frame.f_code, frame.f_lasti, True))
        return self


At = Callable[[str], Spot]


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> At:
    """The last call in a line of a file."""
    monkeypatch.chdir(tmp_path)

    def spot_in(line: str) -> Spot:
        path = tmp_path / f"mine{len(list(tmp_path.iterdir()))}.py"
        path.write_text(f"import this\n{line}\n", encoding="utf-8")
        noting = Noting()
        exec(compile(f"\n{line}", str(path), "exec"), {"f": noting, "x": 1})
        return noting.noted[-1]

    return spot_in


def lines(patch: str) -> list[str]:
    """What is taken away and added."""
    return [line for line in patch.splitlines()[2:] if line[0] in "+-"]


def flagless(spot: Spot) -> Pair:
    pair = pair_of(loop=Practice(training=None))
    for step in pair.loop.steps:
        step.places["call"] = spot
    return pair


def test_a_training_flag_is_given(at: At) -> None:
    pair = flagless(at("y = f(x)"))
    patch = patch_of(pair, cause())
    assert patch.startswith("--- a/mine0.py\n+++ b/mine0.py\n@@ -1,2 +1,2 @@\n import this\n")
    assert lines(patch) == ["-y = f(x)", "+y = f(x, training=True)"]


def shared_with_evaluation(pair: Pair, spot: Spot) -> None:
    pair.loop.trace.evaluations[0].at = spot


def shared_with_fit(pair: Pair, spot: Spot) -> None:
    pair.fit.steps[0].places["call"] = spot


def another_place(pair: Pair, spot: Spot) -> None:
    pair.loop.steps[1].places["call"] = spot._replace(instruction=0)


def indirect(pair: Pair, spot: Spot) -> None:
    for step in pair.loop.steps:
        step.places["call"] = spot._replace(direct=False)


def gone(pair: Pair, spot: Spot) -> None:
    Path(spot.file).unlink()


@pytest.mark.parametrize(
    "plant", [shared_with_evaluation, shared_with_fit, another_place, indirect, gone]
)
def test_what_is_not_certain_is_not_changed(plant: Any, at: At) -> None:
    spot = at("y = f(x)")
    pair = flagless(spot)
    plant(pair, spot)
    assert patch_of(pair, cause()) == ""


def test_an_evaluation_is_told_that_it_is_none_of_training(at: At) -> None:
    pair = pair_of(loop=Practice(evaluation=True))
    spot = at("f(x, training=True)")
    for evaluation in pair.loop.trace.evaluations:
        evaluation.at = spot
    found = lines(patch_of(pair, cause("evaluation_training_mode")))
    assert found == ["-f(x, training=True)", "+f(x, training=False)"]


BATCHED = ("_PrefetchDataset", "_ParallelBatchDataset", "_UnbatchDataset")


def fed(side: Side, source: Source) -> None:
    for step in side.steps:
        step.source = source


def test_rows_are_shuffled_before_they_are_batched(at: At) -> None:
    pair, spot = pair_of(), at("d = f.unbatch().batch(8)")
    fed(pair.loop, Source(None, (Station("batch", spot),), BATCHED))
    found = lines(patch_of(pair, cause("shuffle_missing")))
    assert found[1] == f"+d = f.unbatch().shuffle({ROWS}).batch(8)"
    fed(pair.fit, Source(None, (Station("batch", spot),), BATCHED))
    assert patch_of(pair, cause("shuffle_missing")) == ""  # both sides' data comes from there


@pytest.mark.parametrize("kind", ["_RepeatDataset", "CacheDatasetV2"])
def test_data_that_is_kept_or_repeated_is_left_alone(kind: str, at: At) -> None:
    pair = pair_of()
    fed(pair.loop, Source(None, (Station("batch", at("f.batch(8)")),), (*BATCHED, kind)))
    assert patch_of(pair, cause("shuffle_missing")) == ""


def test_a_buffer_is_as_large_as_the_data(at: At) -> None:
    pair = pair_of()
    stations = (Station("batch", at("f.batch(8)")), Station("shuffle", at("f.shuffle(8, 3)")))
    fed(pair.loop, Source(None, stations, BATCHED))
    found = lines(patch_of(pair, cause("shuffle_buffer_too_small")))
    assert found == ["-f.shuffle(8, 3)", f"+f.shuffle({ROWS}, 3)"]
    fed(pair.loop, Source(None, stations[::-1], BATCHED))
    assert patch_of(pair, cause("shuffle_buffer_too_small")) == ""  # shuffles whole batches


def test_a_last_batch_is_kept_unless_batches_are_counted(at: At) -> None:
    pair, spot = pair_of(), at("f.batch(8, drop_remainder=True)")
    fed(pair.loop, Source(None, (Station("batch", spot),), BATCHED))
    assert lines(patch_of(pair, cause("last_batch_dropped")))[1] == "+f.batch(8)"
    counted = ("_AssertCardinalityDataset", *BATCHED)
    fed(pair.loop, Source(None, (Station("batch", spot),), counted))
    assert patch_of(pair, cause("last_batch_dropped")) == ""


@pytest.mark.parametrize(
    ("line", "mended"),
    [
        ("f.SparseCategoricalCrossentropy(from_logits=True)", "from_logits=False"),
        ("f.SparseCategoricalCrossentropy(True)", ""),
        ("f.made_elsewhere(from_logits=True)", ""),
    ],
)
def test_a_loss_is_told_what_the_outputs_are(line: str, mended: str, at: At) -> None:
    pair = pair_of()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for step in pair.loop.steps:
        step.losses[0].loss = loss
    pair.loop.trace.made[id(loss)] = (loss, at(line))
    found = lines(patch_of(pair, cause("probabilities_as_logits")))
    assert (mended in found[1]) if mended else not found


def test_other_causes_have_none() -> None:
    assert patch_of(pair_of(), cause("loss_reduction")) == ""
