"""`tf.function`: does a side train as a graph as it does as plain Python, and do the two sides
train alike as graphs?

The other stages watch plain Python, which mends what is wrong only in a graph: a Python value that
was frozen when the graph was traced. So each side is run as it is, and once more with its
`tf.function` bodies as plain Python; both unshuffled and with equal random draws, so that the
weights can be compared epoch by epoch. Where they part, plain Python is run with the values frozen,
all of them and then each by itself: what gives the graph's weights is the cause.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from twintrain.diagnosis.catalogue import Stage
from twintrain.diagnosis.replay.parting import Parting, parting
from twintrain.diagnosis.result import Evidence
from twintrain.diagnosis.stages.findings import by_reading, by_replay
from twintrain.diagnosis.stages.pair import Pair
from twintrain.diagnosis.stages.registry import looks_for
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.python_values import DRAWS, TRAINABLE, Change, Freezing
from twintrain.diagnosis.watch.trace import SIDES
from twintrain.diagnosis.watch.user_module import Manner, UserCodeError

# Values that are frozen one by one, to see which of them it is.
_MOST_TRIED = 6

# Runs a side in a manner; None where it did not come to its end.
Runner = Callable[[str, Manner], Milestones | None]


@dataclass
class GraphReading:
    """One side as a graph, held against itself as plain Python.

    Attributes:
        graph: the run as it is.
        calls: of `tf.function`s in it.
        eager: the same as plain Python; None where it raised, or no `tf.function` is called.
        error: what plain Python raised.
        apart: where the two part; None where they do not, or cannot be compared.
        frozen: the Python values that, frozen, give the graph's weights; empty where none do.
        replayed: the run with these frozen.
    """

    graph: Milestones
    calls: int
    eager: Milestones | None = None
    error: str = ""
    apart: Parting | None = None
    frozen: list[Change] = field(default_factory=list)
    replayed: Milestones | None = None

    @property
    def explained(self) -> bool:
        """Whether frozen values are why graph and plain Python part."""
        return self.replayed is not None

    @property
    def parts(self) -> bool:
        """Whether graph and plain Python are not the same."""
        return self.apart is not None or bool(self.error)


def read_graph(side: str, graph: Milestones, run: Runner, nudge: float, most: int) -> GraphReading:
    """Hold one side's graphs against the same code as plain Python.

    Args:
        side: 'keras_fit' or 'custom_loop'.
        graph: its run in graphs.
        run: makes more runs, of the same length on the same data.
        nudge: share by which weights are moved to see what rounding grows to.
        most: epochs of plain Python, which takes many times as long; 0 for all.
    """
    plainly = Manner(eager=True, most=most)
    reading = GraphReading(graph, graph.calls)
    if not graph.calls:
        return reading
    try:
        reading.eager = run(side, plainly)
    except UserCodeError as error:
        reading.error = error.text
    if reading.eager is not None:
        nudged = replace(plainly, nudge=nudge)
        noise = lambda: _attempt(run, side, nudged)  # noqa: E731
        reading.apart = parting(graph, reading.eager, noise)
        if reading.apart is not None:
            # Arithmetic that does not repeat itself parts a graph from itself as well.
            again = lambda: _attempt(run, side, Manner(most=most))  # noqa: E731
            if parting(reading.eager, graph, again) is None:
                reading.apart = None
    if reading.parts:
        _explain(side, reading, run, replace(plainly, nudge=nudge))
    return reading


def _attempt(run: Runner, side: str, manner: Manner) -> Milestones | None:
    try:
        return run(side, manner)
    except UserCodeError:
        return None


def _explain(side: str, reading: GraphReading, run: Runner, nudged: Manner) -> None:
    """Find the values that, frozen, make plain Python train as the graph does."""

    def gives(freezing: Freezing) -> Milestones | None:
        """The run with these frozen, where it gives the graph's weights."""
        manner = replace(nudged, nudge=0.0, freezing=freezing)
        found = _attempt(run, side, manner)
        if found is None:
            return None
        # Of plain Python with nothing frozen, lest looking for the noise change what is found.
        apart = parting(reading.graph, found, lambda: _attempt(run, side, nudged))
        return found if apart is None else None

    everything = Freezing()
    reading.replayed = gives(everything)
    if reading.replayed is None:
        return
    reading.frozen = list(everything.changes.values())
    for keys in _groups(everything.changes):
        again = gives(Freezing(frozenset(keys)))
        if again is not None:
            reading.replayed = again
            reading.frozen = [everything.changes[key] for key in keys]
            return


def _groups(changes: dict[str, Change]) -> list[list[str]]:
    """Keys of what to freeze together, the likeliest first: the flags of all layers are one, and
    random draws come last, for their state changes in any case.
    """
    flags = [key for key in changes if key.endswith(f".{TRAINABLE}")]
    others = [[key] for key in changes if key not in flags and key != DRAWS]
    draws = [[DRAWS]] if DRAWS in changes else []
    return [*([flags] if flags else []), *others[:_MOST_TRIED], *draws]


@looks_for("python_value_frozen_in_trace")
def check_graphs(pair: Pair, readings: dict[str, GraphReading], apart: Parting | None) -> bool:
    """Name what is frozen in a graph, where the sides part as graphs.

    Args:
        pair: findings go here.
        readings: per side.
        apart: where the two sides' graphs part; None where they do not.
    """
    for side in SIDES:
        _note_failure(pair, side, readings[side])
    for side, reading in readings.items():
        if reading.explained and apart is None:
            names = ", ".join(change.name for change in reading.frozen[:_MOST_TRIED])
            pair.findings.notes.append(
                f"{side} changes {names} after its tf.function was traced, which goes on with the "
                "first value. As they are, both sides train alike."
            )
        elif reading.explained:
            _name(pair, side, reading)
        elif reading.apart is not None and (more := _counted_more(reading)) is not None:
            pair.findings.differing.append(
                f"{side} counts {more[0]} updates in its first epoch, which has {more[1]} batches: "
                "Keras runs a part of one more step at the end of a data set whose length it does "
                "not know. ds.apply(tf.data.experimental.assert_cardinality(batches)) tells it"
            )
        elif reading.apart is not None:
            pair.findings.differing.append(
                f"{side} trains otherwise in tf.function than as plain Python "
                f"({reading.apart.describe()}), and no Python value that was frozen gives that"
            )
    return True


def _counted_more(reading: GraphReading) -> tuple[int, int] | None:
    """Updates counted in the first epoch by a graph and as plain Python, where these are not the
    same.
    """
    if reading.eager is None or not reading.graph.counts or not reading.eager.counts:
        return None
    graph, plain = reading.graph.counts[0], reading.eager.counts[0]
    return (graph, plain) if graph > plain else None


def _note_failure(pair: Pair, side: str, reading: GraphReading) -> None:
    if reading.calls and reading.eager is None and not reading.error:
        pair.findings.not_compared(
            "tf.function", f"{side} did not come to its end as plain Python in time", open_=True
        )
    if reading.error and not reading.explained:
        last = reading.error.strip().splitlines()[-1]
        pair.findings.not_compared(
            "tf.function",
            f"{side} runs in tf.function and raises as plain Python: {last}",
            open_=True,
        )


def _name(pair: Pair, side: str, reading: GraphReading) -> None:
    """Name the frozen values of one side."""
    names = [change.name for change in reading.frozen]
    flags = bool(names) and all(name.endswith(f".{TRAINABLE}") for name in names)
    id_ = "trainable_flags" if flags else "python_value_frozen_in_trace"
    evidence = [
        by_reading(f"{change.name}, read by {change.function}", *_said(change))
        for change in reading.frozen[:_MOST_TRIED]
        if change.name != DRAWS
    ]
    pair.findings.name_cause(
        id_,
        side,
        None,
        *_replays(reading),
        *evidence,
        stage=Stage.UPDATE if flags else None,
        fix=_fix(reading.frozen, flags),
    )


def _said(change: Change) -> tuple[str, str]:
    return f"{_short(change.first)} for good", f"{_short(change.later)} later on"


def _short(value: object) -> str:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], tuple):
        return str(value[0])  # a layer's flag, and those of its variables
    text = repr(value) if not hasattr(value, "__dict__") else f"a {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."


def _replays(reading: GraphReading) -> list[Evidence]:
    if reading.replayed is None:
        return []
    epoch = 1 if reading.apart is None else reading.apart.epoch
    runs = (reading.graph, reading.replayed, reading.eager)
    norms = ["raises" if run is None else _moved(run, epoch) for run in runs]
    return [by_replay(f"distance of the weights from the start after epoch {epoch}", *norms)]


def _moved(run: Milestones, epoch: int) -> float | str:
    """L2 distance of the weights after an epoch (from 1) from those at the start."""
    if epoch >= len(run.states):
        return "not trained"
    squares = [
        float(np.square(a.astype(np.float64) - b.astype(np.float64)).sum())
        for a, b in zip(run.states[0], run.states[epoch], strict=True)
        if a.dtype.kind == "f"
    ]
    return float(np.sqrt(sum(squares)))


def _fix(frozen: list[Change], flags: bool) -> str | None:
    names = [change.name for change in frozen]
    if flags:
        layers = ", ".join(name.removesuffix(f".{TRAINABLE}") for name in names[:_MOST_TRIED])
        return (
            f"`trainable` of {layers} changes after the graph was traced, which goes on with the "
            "variables it had. Compile again (or make a new tf.function and optimizer) after it."
        )
    if not names:
        return None
    if names == [DRAWS]:
        return "Draw random numbers with TensorFlow or Keras; a graph keeps NumPy's first draw."
    first = frozen[0]
    return (
        f"Make {names[0]} a tf.Variable and assign it, or pass it to {first.function} as a tensor: "
        f"the graph keeps {_short(first.first)}."
    )
