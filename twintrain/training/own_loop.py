"""The loop twin as the user writes it: a function that a recipe names (`twins.loop`).

    def custom_loop(model, dataset, epochs): ...                    # a whole training
    def train_step(model, optimizer, loss, inputs, targets): ...    # one step of it

Which of the two it is, its parameters say. A whole training is run as it is, once per seed, under
the seeds and on the batches of the fit twin; optimizer, loss and whatever else it does are its own.
A step is called for every batch by the loop that this library has, so that epochs, evaluation,
early stopping, and going on after an interruption are as for any other twin.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from twintrain.data.batches import BatchSource, Feed, evaluation_dataset
from twintrain.errors import TwintrainError
from twintrain.problems.user_function import load_function
from twintrain.recipe.recipe import Recipe
from twintrain.training.gradient_tape import GradientTapeTwin, Loop
from twintrain.training.session import Built, build, session
from twintrain.training.twin import Step, Twin, TwinJob, TwinResult

LOOP_TAKES = ("model", "dataset", "epochs")
# What a whole training may ask for beside that, by name.
LOOP_MAY_TAKE = ("recipe", "validation")
STEP_NEEDS = ("model", "inputs", "targets")
STEP_MAY_TAKE = ("optimizer", "loss", "metrics", "weights")
_LONGEST = 2000  # characters of an exception's text that are shown


def own_twin(name: str) -> Twin:
    """The twin that a function of the user's trains.

    Args:
        name: 'package.module:function'.

    Raises:
        TwintrainError: there is no such function, or its parameters are not those of a whole
            training or of a step.
    """
    module, _, attribute = name.partition(":")
    function = load_function("twins.loop", module, attribute)
    plain = getattr(function, "python_function", function)
    named = _parameters(plain, STEP_MAY_TAKE)
    if named is not None and set(STEP_NEEDS) <= set(named):
        asked = [given for given in named if given in (*STEP_NEEDS, *STEP_MAY_TAKE)]
        if len(asked) == len(named):
            return OwnStepTwin(function, tuple(asked))
    elif named is not None:
        named = _parameters(plain, LOOP_MAY_TAKE) or []
        further = named[len(LOOP_TAKES) :]
        if len(named) >= len(LOOP_TAKES) and all(given in LOOP_MAY_TAKE for given in further):
            return OwnLoopTwin(function, tuple(further))
    raise TwintrainError(
        f"twins.loop: {attribute} in module {module!r} takes "
        f"({', '.join(named) if named else 'what cannot be read'}).",
        f"A whole training takes ({', '.join(LOOP_TAKES)}) and, if it wants them, "
        f"{' and '.join(LOOP_MAY_TAKE)}; a step takes {', '.join(STEP_NEEDS)} by these names and, "
        f"if it wants them, {', '.join(STEP_MAY_TAKE)}.",
    )


@contextmanager
def _told_as_the_users() -> Iterator[None]:
    """What a function of the user's raises is told as its own fault, with its traceback kept.

    Raises:
        TwintrainError: it raised.
    """
    try:
        yield
    except TwintrainError:
        raise
    except Exception as error:
        # In a graph the cause stands at the end of a text about the graph.
        text = str(error).strip()
        raise TwintrainError(
            f"twins.loop: your loop raised {type(error).__name__}: {text[-_LONGEST:]}",
            "Mend it; `twintrain diagnose` runs it on a few rows.",
        ) from error


def _parameters(function: Callable[..., Any], optional: Sequence[str]) -> list[str] | None:
    """Names of the parameters that have no default, and of optional ones that may have one; None
    where they cannot be read.
    """
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        parameter.name
        for parameter in found
        if parameter.name in optional
        or (parameter.default is parameter.empty and parameter.kind in plain)
    ]


class Passes(Feed):
    """Feeds a loop that starts its passes over the data by itself: each finished one is an epoch.

    A pass that is broken off (a look at the first batch, say) does not count: the next one begins
    the same epoch again.

    Args:
        steps: batches in a whole pass.
        finished: called with the epoch (from 0) whenever one is finished; by a thread of tf.data.
    """

    def __init__(self, steps: int, finished: Callable[[int], None]) -> None:
        super().__init__()
        self._steps, self._finished = steps, finished
        self.started: list[float] = []

    def begin(self) -> int:
        """The first epoch of which not all batches were taken."""
        epoch = sum(len(taken) == self._steps for taken in self.fingerprints.values())
        self.start(epoch)
        del self.started[epoch:]
        self.started.append(time.perf_counter())
        return epoch

    def record(self, epoch: np.int64, fingerprint: np.int64) -> np.bool_:
        """See `Feed.record`."""
        kept = super().record(epoch, fingerprint)
        if len(self.fingerprints[int(epoch)]) == self._steps:
            self._finished(int(epoch))
        return kept

    def epochs(self) -> list[list[int]]:
        """The fingerprints of each epoch; of one that was broken off, 0 for each batch not taken.

        Raises:
            TwintrainError: no batch was taken.
        """
        taken = [self.fingerprints[epoch] for epoch in sorted(self.fingerprints)]
        found = [batches + [0] * (self._steps - len(batches)) for batches in taken if batches]
        if not found:
            raise TwintrainError(
                "twins.loop: your loop took no batch of the dataset it was given.",
                "Let it train on the dataset it is handed, or the twins cannot be compared.",
            )
        return found


class OwnLoopTwin:
    """A whole training of the user's.

    An epoch is a pass over the dataset: of a loop that keeps the batches of the first one and goes
    over those again, one is seen. The fingerprints are those of the batches handed out; what the
    function makes of them (another order, other sizes) they do not show.

    The history has the figures that the function returns (a dictionary of lists, or a Keras
    `History`), and at the end those of our own evaluation on the validation examples.

    Args:
        function: takes a fresh model (not compiled), a dataset that gives one epoch's batches per
            pass ((inputs, targets), and the weights as a third part where examples have some of
            their own), and the number of epochs. It may return a model, which is then the trained
            one, and figures.
        further: what else it asks for: 'recipe' (as the loop obeys it), 'validation' (a dataset).
    """

    def __init__(self, function: Callable[..., Any], further: tuple[str, ...] = ()) -> None:
        self.function, self.further = function, further

    def train(self, job: TwinJob) -> TwinResult:
        """Train by the function; see `Twin.train`. Nothing is resumed."""
        recipe = job.recipe
        _only_what_can_be_tuned(recipe, self.further)
        with session(recipe, job.seed):
            preparation = job.problem.preparation(recipe)
            source = BatchSource(job.train, recipe, job.seed, preparation)
            built = build(recipe, job.problem, source.steps)
            passes = Passes(source.steps, lambda epoch: job.on_epoch(epoch, {}))
            validation = evaluation_dataset(job.validation, recipe, preparation)
            given = {"recipe": recipe, "validation": validation}
            extra = {name: given[name] for name in self.further}
            data = source.dataset(passes, ahead=0, weighted=job.train.weights is not None)
            with _told_as_the_users():
                returned = self.function(built.model, data, recipe.training.epochs, **extra)
            ended = time.perf_counter()
            model, figures = _returned(returned, built.model)
            fingerprints = passes.epochs()
            evaluated = Loop(
                Built(model, built.optimizer, job.problem.loss(), job.problem.metrics()),
                source,
                recipe,
            ).evaluate(validation)
        history = figures | {f"val_{name}": [value] for name, value in evaluated.items()}
        job.on_epoch(len(fingerprints) - 1, {name: values[-1] for name, values in history.items()})
        moments = [*passes.started[: len(fingerprints)], ended]
        return TwinResult(
            seed=job.seed,
            model=model,
            history=history,
            weights=model.get_weights(),
            final_weights=model.get_weights(),
            fingerprints=np.asarray(fingerprints, np.int64),
            epoch_seconds=[float(seconds) for seconds in np.diff(moments)],
            best_epoch=len(fingerprints) - 1,
            train_size=len(job.train),
        )

    def stepper(self, built: Built, source: BatchSource, recipe: Recipe) -> Step:
        """There is none: a whole training cannot be stopped after each step."""
        raise TwintrainError(
            "twins.loop: a whole training of your own cannot be taken step by step.",
            "Compare it by `compare` or `run`; its differences are named by the diagnosis.",
        )


def _only_what_can_be_tuned(recipe: Recipe, further: tuple[str, ...]) -> None:
    if recipe.tuning.apply and "recipe" not in further:
        raise TwintrainError(
            "tuning.apply: what a search finds does not reach twins.loop, which takes no recipe.",
            "Give the function a parameter `recipe` and let it use recipe.optimizer and "
            "recipe.training, or set tuning.apply=false.",
        )


def _returned(returned: Any, model: keras.Model) -> tuple[keras.Model, dict[str, list[float]]]:
    """The trained model and the figures in what a whole training gave back."""
    parts = returned if isinstance(returned, (tuple, list)) else (returned,)
    trained = next((part for part in parts if isinstance(part, keras.Model)), model)
    logs = (getattr(part, "history", part) for part in parts)
    log = next((part for part in logs if isinstance(part, dict)), {})
    figures = {}
    for name, values in log.items():
        try:
            series = np.asarray(values, np.float64).reshape(-1)
        except (TypeError, ValueError):
            continue  # text, or whatever else a log may hold
        if len(series):
            figures[str(name)] = series.tolist()
    return trained, figures


class OwnStepTwin(GradientTapeTwin):
    """A step of the user's inside of this library's loop.

    Args:
        function: called once per batch, in a graph unless `training.compiled` is off. It trains the
            model, and may return the batch's loss, or (loss, predictions): what it does not return
            is not in the training's figures.
        asked: the names of its parameters.
    """

    def __init__(self, function: Callable[..., Any], asked: tuple[str, ...]) -> None:
        self._function, self.asked = function, asked

    def train(self, job: TwinJob) -> TwinResult:
        """Train by the recipe, each step by the function; see `Twin.train`."""
        with _told_as_the_users():
            return super().train(job)

    def step_of(self, built: Built) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor | None], Any]:
        """The function as a step on (inputs, targets, weights) of one model."""
        known = {name: value for name, value in vars(built).items() if name in self.asked}

        def step(inputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None) -> Any:
            further = known | ({"weights": weights} if "weights" in self.asked else {})
            return self._function(**further, inputs=inputs, targets=targets)

        return step

    def loop(self, built: Built, source: BatchSource, recipe: Recipe) -> Loop:
        """This library's loop around the function."""
        return _OwnStepLoop(self, built, source, recipe)


class _OwnStepLoop(Loop):
    def __init__(
        self, twin: OwnStepTwin, built: Built, source: BatchSource, recipe: Recipe
    ) -> None:
        self._function = twin.step_of(built)
        self._counts = "metrics" in twin.asked
        self._told = {metric.name for metric in built.metrics} if self._counts else set()
        super().__init__(built, source, recipe)

    def epoch_results(self) -> dict[str, float]:
        """The figures that the function gave something for."""
        return {name: value for name, value in self.results().items() if name in self._told}

    def _train_step(
        self, inputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor | None = None
    ) -> None:
        # What it weighs is its own affair, and compared.
        returned = self._function(inputs, targets, weights)
        pair = isinstance(returned, (tuple, list)) and len(returned) == 2
        loss, predictions = returned if pair else (returned, None)
        if loss is not None and not tf.is_tensor(loss):
            raise TwintrainError(
                f"twins.loop: your step returns {type(loss).__name__}.",
                "Let it return nothing, the loss as a tensor, or (loss, predictions).",
            )
        if loss is not None:
            self._told.add(self._mean_loss.name)
            mean = tf.reduce_mean(tf.cast(loss, tf.float32))
            self._mean_loss.update_state(mean, sample_weight=tf.shape(targets)[0])
        if predictions is not None and not self._counts:
            for metric in self._metrics:
                self._told.add(metric.name)
                metric.update_state(targets, predictions)
