"""Traces made by hand: a tiny model, trained in a few lines, with one practice changed.

    pair = pair_of(loop=Practice(training=None))

Nothing is watched here: each step is written down as it is taken. The two sides are equal unless a
test says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.diagnosis.stages.pair import Pair, read_side
from twintrain.diagnosis.watch.frozen_rows import Rows, keys_of
from twintrain.diagnosis.watch.trace import (
    FIT,
    LOOP,
    Applied,
    Evaluation,
    FitCall,
    LossCall,
    Step,
    Trace,
    snapshot,
    value_of,
)
from twintrain.diagnosis.watch.user_module import Subject

ROWS, TEST_ROWS, BATCH, CLASSES = 36, 12, 8, 3
STEPS = 5  # in an epoch; the last has four rows

Gradients = list[Any]


def small_model(
    dropout: float = 0.0,
    regularizer: keras.Regularizer | None = None,
    constraint: keras.constraints.Constraint | None = None,
    seed: int = 1,
) -> keras.Model:
    """Five inputs, a hidden layer, three probabilities; the same weights for the same seed."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((5,))
    x = keras.layers.Dense(4, "relu", kernel_regularizer=regularizer)(inputs)
    if dropout:
        x = keras.layers.Dropout(dropout, seed=3)(x)
    x = keras.layers.Dense(CLASSES, "softmax", kernel_constraint=constraint)(x)
    return keras.Model(inputs, x)


def data(rows: int, seed: int, weighted: bool = False) -> Rows:
    """Rows of a split, all different."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, 5)).astype("float32")
    parts: tuple[Any, ...] = (x, draw.integers(0, CLASSES, rows).astype("int32"))
    if weighted:
        parts += (draw.uniform(0.2, 3.0, rows).astype("float32"),)
    return Rows(parts, BATCH, False, keys_of(x))


def shuffled(epoch: int, rows: int) -> np.ndarray:
    """Another order in each epoch, the same on both sides."""
    return np.random.default_rng(epoch).permutation(rows)


def cross_entropy(y: Any, p: Any, w: Any) -> tf.Tensor:
    """The mean over the rows, weighted where there are weights."""
    values = keras.losses.SparseCategoricalCrossentropy().call(y, p)
    return tf.reduce_mean(values if w is None else values * w)


@dataclass(frozen=True)
class Practice:
    """How one side trains.

    Attributes:
        build: makes the model.
        start: changes the model before the first step.
        batch: rows in a batch.
        order: rows of an epoch, of the epoch's number and the number of rows.
        change: what becomes of inputs, of these, the epoch and the seed of the run.
        training: flag of the forward pass.
        loss: of targets, outputs and weights.
        regularized: the losses of the layers are added.
        penalty: is added to the loss by hand, of the model.
        optimizer: makes it; None for updates by hand.
        anew: the steps (from 0) before which it is made once more.
        by_hand: updates a variable by a gradient, where there is no optimizer.
        handed: what the optimizer is given of the gradients.
        evaluated: rows of the test data.
        evaluation: flag of the forward pass in evaluation.
        evaluation_change: what becomes of inputs there.
    """

    build: Callable[[], keras.Model] = small_model
    start: Callable[[keras.Model], None] = lambda model: None
    batch: int = BATCH
    order: Callable[[int, int], np.ndarray] = shuffled
    change: Callable[[np.ndarray, int, int], np.ndarray] = lambda x, epoch, seed: x
    training: bool | None = True
    loss: Callable[[Any, Any, Any], tf.Tensor] = cross_entropy
    regularized: bool = True
    penalty: Callable[[keras.Model], Any] = lambda model: 0.0
    optimizer: Callable[[], keras.Optimizer] | None = lambda: keras.optimizers.Adam(0.01)
    anew: frozenset[int] = frozenset()
    by_hand: Callable[[keras.Variable, Any], None] = lambda variable, gradient: None
    handed: Callable[[Gradients], Gradients] = lambda gradients: gradients
    evaluated: int = TEST_ROWS
    evaluation: bool | None = False
    evaluation_change: Callable[[np.ndarray], np.ndarray] = lambda x: x


def train(
    side: str, practice: Practice, rows: Rows, test: Rows, seed: int = 0
) -> tuple[Trace, int]:
    """Two epochs of a side, and the steps in the first of them."""
    model = practice.build()
    trace = Trace(side, snapshot(model), 2, complete=True)
    if side == FIT:
        trace.fits.append(FitCall(model, {}))
    practice.start(model)
    optimizer = new_optimizer(practice, model)
    first_epoch = 0
    for epoch in range(2):
        order = practice.order(epoch, len(rows))
        for start in range(0, len(order), practice.batch):
            chosen = order[start : start + practice.batch]
            if len(trace.steps) in practice.anew:
                optimizer = new_optimizer(practice, model)
            trace.steps.append(step(practice, model, optimizer, rows, chosen, epoch, seed))
        first_epoch = first_epoch or len(trace.steps)
        evaluate(practice, model, test, trace)
    trace.kept = snapshot(model)
    ends = [(0, first_epoch), (first_epoch, len(trace.steps))]
    trace.log = {"loss": [mean_loss(trace.steps[a:b]) for a, b in ends]}
    return trace, first_epoch


def new_optimizer(practice: Practice, model: keras.Model) -> keras.Optimizer | None:
    """One that is ready to update, or none."""
    optimizer = practice.optimizer() if practice.optimizer else None
    if optimizer is not None:
        optimizer.build(model.trainable_variables)
    return optimizer


def mean_loss(steps: list[Step]) -> float:
    """The right figure of an epoch: the mean over its rows."""
    return float(np.average([s.target for s in steps], weights=[s.size for s in steps]))


def step(
    practice: Practice,
    model: keras.Model,
    optimizer: keras.Optimizer | None,
    rows: Rows,
    chosen: np.ndarray,
    epoch: int,
    seed: int,
) -> Step:
    """Take a step on some rows, and write it down."""
    x, y, *rest = (part[chosen] for part in rows.element)
    w = rest[0] if rest else None
    inputs = tf.constant(practice.change(x, epoch, seed))
    before = snapshot(model)
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=practice.training)
        added = tf.add_n(model.losses) if model.losses else 0.0
        total = practice.loss(y, outputs, w) + (added if practice.regularized else 0.0)
        total += practice.penalty(model)
    gradients = tape.gradient(total, model.trainable_variables)
    kept = {id(v) for v in model.trainable_variables}
    sources = [i for i, v in enumerate(model.variables) if id(v) in kept]
    found = Step(model, inputs, practice.training, outputs, (x, y, *rest), float(added), before)
    found.target = float(total)
    found.sources = sources
    found.gradients = [np.array(tf.convert_to_tensor(g)) for g in gradients]
    found.losses = [LossCall(keras.losses.SparseCategoricalCrossentropy(), None)]
    if optimizer is None:
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            practice.by_hand(variable, gradient)
    else:
        found.applied = apply(optimizer, model, sources, practice.handed(gradients))
        found.optimizer_after = [value_of(v) for v in optimizer.variables]
    found.after = snapshot(model)
    return found


def apply(
    optimizer: keras.Optimizer, model: keras.Model, sources: list[int], gradients: Gradients
) -> Applied:
    """Update, and write it down."""
    found = Applied(
        optimizer,
        float(value_of(optimizer.learning_rate)),
        [np.array(tf.convert_to_tensor(g)) for g in gradients],
        list(sources),
        [value_of(v) for v in optimizer.variables],
        int(value_of(optimizer.iterations)),
    )
    optimizer.apply(gradients, model.trainable_variables)
    found.after = snapshot(model)
    return found


def evaluate(practice: Practice, model: keras.Model, test: Rows, trace: Trace) -> None:
    """Evaluate batch by batch; as in a watched training, only the first keeps the weights."""
    for start in range(0, practice.evaluated, BATCH):
        x, y = (part[start : min(start + BATCH, practice.evaluated)] for part in test.element[:2])
        inputs = tf.constant(practice.evaluation_change(x))
        weights = snapshot(model) if start == 0 else None
        outputs = model(inputs, training=practice.evaluation)
        trace.evaluations.append(
            Evaluation(
                len(trace.steps), model, inputs, practice.evaluation, outputs, (x, y), weights
            )
        )


@dataclass
class HandMade(Subject):
    """A subject whose runs are made by hand."""

    practices: dict[str, Practice] = field(default_factory=dict)

    def run(  # type: ignore[override]
        self,
        side: str,
        epochs: int,
        close: int,
        most: int,
        seconds: float,
        seed: int = 0,
        unshuffled: bool = False,
    ) -> Trace:
        trace, _ = train(side, self.practices[side], self.train, self.test, seed)
        trace.steps = trace.steps[:most]
        return trace

    def varied(self, train: Rows, test: Rows | None) -> HandMade:
        return replace(self, train=train, test=test)


def subject_of(fit: Practice, loop: Practice, weighted: bool = False) -> HandMade:
    rows, test = data(ROWS, 0, weighted), data(TEST_ROWS, 1)
    practices = {FIT: fit, LOOP: loop}
    return HandMade({"build_model": fit.build}, {}, rows, test, practices=practices)


def pair_of(
    fit: Practice | None = None,
    loop: Practice | None = None,
    weighted: bool = False,
    plant: Callable[[Trace, Trace], None] = lambda fit, loop: None,
) -> Pair:
    """Two sides, side by side.

    Args:
        fit, loop: how they train.
        weighted: the data has sample weights.
        plant: changes the traces of fit and loop before they are read.
    """
    fit, loop = fit or Practice(), loop or Practice()
    subject = subject_of(fit, loop, weighted)
    found = {
        side: train(side, practice, subject.train, subject.test)
        for side, practice in subject.practices.items()
    }
    plant(found[FIT][0], found[LOOP][0])
    return Pair(*(read_side(trace, first, subject) for trace, first in found.values()), subject)


def named(pair: Pair) -> list[tuple[str, str, int | None]]:
    """What was found: id, side and step of each cause."""
    return [(cause.id, cause.side, cause.step) for cause in pair.findings.causes]


def nothing(pair: Pair) -> bool:
    """Whether nothing was found, named or not."""
    return not pair.findings.causes and not pair.findings.unexplained
