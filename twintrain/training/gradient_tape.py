"""The loop twin: a custom training loop as an expert writes it.

Everything `fit` does in silence is spelled out here: `training=True`, the losses the layers add,
the loss scale of mixed precision, metrics reset every epoch, EMA weights written back, early
stopping and best weights. Whole epochs run inside one graph over examples held on the device.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.data.batches import BatchSource, Feed, evaluation_dataset
from twintrain.recipe.recipe import Recipe
from twintrain.training import resume
from twintrain.training.checkpoints import BestWeights
from twintrain.training.course import Leg, legs
from twintrain.training.distribution import distributed, xla_takes_whole_steps
from twintrain.training.loss_not_finite import check_loss
from twintrain.training.session import Built, build, session
from twintrain.training.twin import Step, TwinJob, TwinResult


class GradientTapeTwin:
    """Trains with `tf.GradientTape`."""

    def train(self, job: TwinJob) -> TwinResult:
        """Train by the recipe; see `Twin.train`."""
        with (
            session(job.recipe, job.seed),
            distributed(job.recipe, len(job.train), len(job.validation)),
        ):
            preparation = job.problem.preparation(job.recipe)
            source = BatchSource(job.train, job.recipe, job.seed, preparation)
            built = build(job.recipe, job.problem, source.steps)
            for leg in legs(job, built, source.steps):
                stopper, final = self._train(job, leg, source)
        model, progress = leg.built.model, leg.progress
        return TwinResult(
            seed=job.seed,
            model=model,
            history=progress.history,
            weights=model.get_weights(),
            final_weights=final,
            fingerprints=np.asarray(progress.fingerprints, np.int64),
            epoch_seconds=progress.epoch_seconds,
            best_epoch=stopper.best_epoch,
            train_size=len(job.train),
        )

    def _train(
        self, job: TwinJob, leg: Leg, source: BatchSource
    ) -> tuple[BestWeights, list[np.ndarray]]:
        recipe, built, progress = leg.phase.recipe, leg.built, leg.progress
        stopper = BestWeights(recipe.early_stopping)
        stopper.load(leg.stopper)
        validation = evaluation_dataset(job.validation, recipe, job.problem.preparation(recipe))
        # Anew in each phase: a graph that was traced goes on training what trained then.
        loop = self.loop(built, source, recipe)
        for epoch in range(progress.epochs, leg.phase.end):
            if progress.stopped:
                break
            started = time.perf_counter()
            fingerprints = loop.train_epoch(epoch)
            logs = loop.epoch_results() | {
                f"val_{name}": value for name, value in loop.evaluate(validation).items()
            }
            if job.must_be_finite:
                check_loss(epoch, logs)
            stop = stopper.update(epoch, logs, built.model)
            progress.add(logs, fingerprints, time.perf_counter() - started, stop)
            resume.save(leg.state, built.model, built.optimizer, progress, stopper.state())
            job.on_epoch(epoch, logs)
        built.optimizer.finalize_variable_values(built.model.trainable_variables)
        final = built.model.get_weights()
        stopper.restore(built.model)
        return stopper, final

    def stepper(self, built: Built, source: BatchSource, recipe: Recipe) -> Step:
        """The loop's own step; see `Twin.stepper`."""
        return self.loop(built, source, recipe).step

    def loop(self, built: Built, source: BatchSource, recipe: Recipe) -> Loop:
        """What trains the model, epoch by epoch."""
        return Loop(built, source, recipe)


class Loop:
    """One model being trained: the step, the epoch around it, the evaluation after it.

    Args:
        built: model, optimizer, loss and metrics.
        source: the batches.
        recipe: as the loop obeys it.
    """

    def __init__(self, built: Built, source: BatchSource, recipe: Recipe) -> None:
        self._model, self._optimizer = built.model, built.optimizer
        self._loss, self._metrics = built.loss, built.metrics
        self._mean_loss = keras.metrics.Mean(name="loss")
        self._training_flag = recipe.training.training_flag
        self._source = source
        self._strategy = tf.distribute.get_strategy()

        def graph(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
            return tf.function(function, **options) if recipe.training.compiled else function

        stepwise = {"reduce_retracing": True, "jit_compile": xla_takes_whole_steps(recipe)}
        self._step = graph(self._train_step, **stepwise)
        self._test = graph(self._test_step, **stepwise)
        self._run_epoch = graph(self._epoch_in_graph)
        self._run_test = graph(self._test_in_graph)
        self._step_shared = graph(self._on_replicas(self._step), reduce_retracing=True)
        self._test_shared = graph(self._on_replicas(self._test), reduce_retracing=True)

    def train_epoch(self, epoch: int) -> list[int]:
        """One pass over the training examples; the fingerprint of each batch."""
        self._reset()
        if self._shared:
            return self._train_shared(epoch)
        if self._source.device_resident:
            order = tf.constant(self._source.epoch_order(epoch))
            draws = tf.constant(self._source.epoch_draws(epoch))
            fingerprints: list[int] = self._run_epoch(order, draws).numpy().tolist()
            return fingerprints
        feed = Feed()
        feed.start(epoch)
        for batch in self._source.dataset(feed, weighted=True):
            self._step(*batch)
        return feed.fingerprints[epoch]

    def step(
        self, inputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None
    ) -> dict[str, float]:
        """One step on one batch; the figures of this batch alone."""
        self._reset()
        self._step(inputs, targets, weights)
        return self.results()

    def evaluate(self, validation: tf.data.Dataset) -> dict[str, float]:
        """Loss and metrics on the validation examples."""
        self._reset()
        if self._shared:
            for inputs, targets in self._strategy.experimental_distribute_dataset(validation):
                self._test_shared(inputs, targets)
        else:
            self._run_test(iter(validation), tf.cast(validation.cardinality(), tf.int32))
        return self.results()

    def results(self) -> dict[str, float]:
        """The figures since the last reset."""
        found = {metric.name: float(metric.result()) for metric in self._metrics}
        return found | {"loss": float(self._mean_loss.result())}

    def epoch_results(self) -> dict[str, float]:
        """The figures of the epoch's training."""
        return self.results()

    def _reset(self) -> None:
        for metric in (self._mean_loss, *self._metrics):
            metric.reset_state()

    def _train_step(
        self, inputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None = None
    ) -> None:
        # Weights come from outside, as they do to fit: looked up in here, XLA would fuse that, and
        # round otherwise.
        with tf.GradientTape() as tape:
            predictions = self._model(inputs, training=self._training_flag)
            loss = self._total_loss(targets, predictions, weights)
            scaled = self._optimizer.scale_loss(loss)
        variables = self._model.trainable_variables
        self._optimizer.apply_gradients(
            zip(tape.gradient(scaled, variables), variables, strict=True)
        )
        self._update_metrics(targets, predictions, loss)

    def _test_step(self, inputs: tf.Tensor, targets: tf.Tensor) -> None:
        predictions = self._model(inputs, training=False)
        self._update_metrics(targets, predictions, self._total_loss(targets, predictions))

    def _total_loss(
        self, targets: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor | None = None
    ) -> tf.Tensor:
        loss = self._loss(targets, predictions, sample_weight=weights)
        added = self._model.losses
        if self._shared:
            # Gradients are summed over replicas, so that each counts by its share of the global
            # batch. Keras's loss objects see to that themselves; what layers add, they do not.
            added = [part * (1.0 / self._strategy.num_replicas_in_sync) for part in added]
        return tf.reduce_sum([loss, *added]) if added else loss

    def _update_metrics(self, targets: tf.Tensor, predictions: tf.Tensor, loss: tf.Tensor) -> None:
        if self._shared:
            loss = loss * float(self._strategy.num_replicas_in_sync)
        self._mean_loss.update_state(loss, sample_weight=tf.shape(targets)[0])
        for metric in self._metrics:
            metric.update_state(targets, predictions)

    def _epoch_in_graph(self, order: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        size = self._source.batch_size
        fingerprints = tf.TensorArray(tf.int64, size=self._source.steps)
        for step in tf.range(self._source.steps):
            indices = order[step * size : (step + 1) * size]
            inputs, targets = self._source.gather(indices, draws)
            fingerprints = fingerprints.write(step, self._source.fingerprint(inputs, targets))
            self._step(inputs, targets, self._source.weights(indices, targets))
        return fingerprints.stack()

    @property
    def _shared(self) -> bool:
        return self._strategy.num_replicas_in_sync > 1

    def _train_shared(self, epoch: int) -> list[int]:
        """One epoch over several replicas, on the very parts of each batch that `fit` would give
        them.
        """
        feed = Feed()
        feed.start(epoch)
        batches = self._source.dataset(feed, weighted=True)
        for batch in self._strategy.experimental_distribute_dataset(batches):
            self._step_shared(*batch)
        return feed.fingerprints[epoch]

    def _on_replicas(self, step: Callable[..., None]) -> Callable[..., None]:
        # One call per batch, which is what `fit` makes: in an epoch-long loop of the graph,
        # TensorFlow's pass for oneDNN fuses the bias gradient on one replica and not on the other,
        # and the twins part in the last bit.
        def run(*batch: Any) -> None:
            self._strategy.run(step, args=batch)

        return run

    def _test_in_graph(self, batches: Iterator[Any], count: tf.Tensor) -> None:
        # Not `for inputs, targets in dataset`: in a graph, TensorFlow hands such a loop to tf.data,
        # whose kernels share their work out over other threads, and on processors without AVX-512
        # the predictions part from fit's in the last bit.
        for _ in tf.range(count):
            inputs, targets = next(batches)
            self._test(inputs, targets)
