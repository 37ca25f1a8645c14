"""The fit twin: `model.compile` and `model.fit`, with nothing of Keras overridden (but see
`distribution.py`).
"""

from __future__ import annotations

import time
import warnings

import keras
import numpy as np
import tensorflow as tf

from twintrain.data.batches import BatchSource, Feed, evaluation_dataset
from twintrain.recipe.recipe import Recipe
from twintrain.recipe.sections import EarlyStoppingRules
from twintrain.training import resume
from twintrain.training.checkpoints import StopperState
from twintrain.training.course import Leg, legs
from twintrain.training.distribution import (
    distributed,
    let_fit_work_on_several,
    xla_takes_whole_steps,
)
from twintrain.training.loss_not_finite import check_loss
from twintrain.training.session import Built, build, session
from twintrain.training.twin import Step, TwinJob, TwinResult


class KerasFitTwin:
    """Trains with `keras.Model.fit`."""

    def train(self, job: TwinJob) -> TwinResult:
        """Train by the recipe; see `Twin.train`."""
        recipe = job.recipe
        with session(recipe, job.seed), distributed(recipe, len(job.train), len(job.validation)):
            preparation = job.problem.preparation(recipe)
            source = BatchSource(job.train, recipe, job.seed, preparation)
            built = build(recipe, job.problem, source.steps)
            for leg in legs(job, built, source.steps):
                closing = self._train(job, leg, source)
        model, progress = leg.built.model, leg.progress
        return TwinResult(
            seed=job.seed,
            model=model,
            history=progress.history,
            weights=model.get_weights(),
            final_weights=closing.opening.final_weights,
            fingerprints=np.asarray(progress.fingerprints, np.int64),
            epoch_seconds=progress.epoch_seconds,
            best_epoch=closing.best_epoch,
            train_size=len(job.train),
        )

    def _train(self, job: TwinJob, leg: Leg, source: BatchSource) -> _Closing:
        recipe, built = leg.phase.recipe, leg.built
        compile_model(built, recipe, _steps_per_execution(recipe, source.steps))
        let_fit_work_on_several(built.model, source.example_batch)
        feed = Feed()
        stops = stopper(recipe.early_stopping)
        closing = _Closing(job, leg, _Opening(feed), stops)
        if leg.over:
            _finish(leg, closing.opening)
            return closing
        preparation = job.problem.preparation(recipe)
        with warnings.catch_warnings():
            # Keras 3.15 warns at each epoch's end about steps per execution that do not divide the
            # epoch.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            built.model.fit(
                source.dataset(feed, weighted=True),
                epochs=leg.phase.end,
                initial_epoch=leg.progress.epochs,
                validation_data=evaluation_dataset(job.validation, recipe, preparation),
                callbacks=[closing.opening, *([stops] if stops else []), closing],
                verbose=0,
            )
        return closing

    def stepper(self, built: Built, source: BatchSource, recipe: Recipe) -> Step:
        """`train_on_batch`, which makes the very step of `fit`; see `Twin.stepper`."""
        compile_model(built, recipe, steps_per_execution=1)

        def step(
            inputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None
        ) -> dict[str, float]:
            built.model.reset_metrics()
            figures: dict[str, float] = built.model.train_on_batch(
                inputs, targets, weights, return_dict=True
            )
            return figures

        return step


def _steps_per_execution(recipe: Recipe, steps: int) -> int:
    # TensorFlow 2.21 cannot loop over a distributed iterator in a graph ("must feed a value for
    # placeholder").
    return (
        min(recipe.execution.steps_per_execution, steps)
        if recipe.execution.strategy == "none"
        else 1
    )


def compile_model(built: Built, recipe: Recipe, steps_per_execution: int) -> None:
    """`model.compile` as the recipe asks."""
    built.model.compile(
        optimizer=built.optimizer,
        loss=built.loss,
        metrics=built.metrics,
        jit_compile=xla_takes_whole_steps(recipe),
        steps_per_execution=steps_per_execution,
        run_eagerly=not recipe.training.compiled,
    )


def stopper(rule: EarlyStoppingRules) -> keras.callbacks.EarlyStopping | None:
    """Keras's early stopping as the recipe asks; None for none."""
    if not rule.enabled:
        return None
    return keras.callbacks.EarlyStopping(
        monitor=rule.monitor,
        mode="max" if rule.higher_is_better else "min",
        patience=rule.patience,
        min_delta=rule.min_delta,
        restore_best_weights=rule.restore_best,
    )


class _Opening(keras.callbacks.Callback):
    """First in the list: opens each epoch, and sees the last weights before early stopping puts the
    best ones back.
    """

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self.feed = feed
        self.started = 0.0
        self.final_weights: list[np.ndarray] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.feed.start(epoch)
        self.started = time.perf_counter()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.final_weights = self.model.get_weights()


class _Closing(keras.callbacks.Callback):
    """Last in the list: keeps the figures and the state of each finished epoch."""

    def __init__(
        self,
        job: TwinJob,
        leg: Leg,
        opening: _Opening,
        stopper: keras.callbacks.EarlyStopping | None,
    ) -> None:
        super().__init__()
        self.opening = opening
        self._job, self._leg, self._progress = job, leg, leg.progress
        self._stopper, self._stopper_state = stopper, leg.stopper

    @property
    def best_epoch(self) -> int:
        if self._stopper is None:
            return self._progress.epochs - 1
        return (
            self._stopper.best_epoch
            if self._stopper.best is not None
            else self._stopper_state.best_epoch
        )

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        # EarlyStopping has just reset itself; a resumed training goes on from where it stood.
        if self._stopper is not None and self._progress.epochs > self._leg.phase.first:
            self._stopper.wait, self._stopper.best = (
                self._stopper_state.wait,
                self._stopper_state.best,
            )
            self._stopper.best_epoch = self._stopper_state.best_epoch
            self._stopper.best_weights = self._stopper_state.weights

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        seconds = time.perf_counter() - self.opening.started
        figures = dict(logs or {})
        if self._job.must_be_finite:
            check_loss(epoch, figures)
        stopped = bool(self.model.stop_training)
        fingerprints = self.opening.feed.fingerprints.pop(epoch)
        self._progress.add(figures, fingerprints, seconds, stopped)
        state = StopperState(best_epoch=epoch)
        if self._stopper is not None:
            kept = self._stopper.best_weights
            state = StopperState(
                self._stopper.wait, self._stopper.best, self._stopper.best_epoch, kept
            )
        resume.save(self._leg.state, self.model, self.model.optimizer, self._progress, state)
        self._job.on_epoch(epoch, figures)


def _finish(leg: Leg, opening: _Opening) -> None:
    """What `fit` does after its last epoch, for a training that was interrupted just there."""
    model = leg.built.model
    leg.built.optimizer.finalize_variable_values(model.trainable_weights)
    opening.final_weights = model.get_weights()
    if leg.stopper.weights is not None:
        model.set_weights(leg.stopper.weights)
