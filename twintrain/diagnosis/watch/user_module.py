"""The user's module: loading it, checking it, and running one of its two trainers under watch."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras

from twintrain.diagnosis.stopwatch import Stopwatch, Timer
from twintrain.diagnosis.watch.eager_functions import functions_as_python
from twintrain.diagnosis.watch.epoch_states import Milestones
from twintrain.diagnosis.watch.frozen_rows import MOST_ROWS, Rows, hold
from twintrain.diagnosis.watch.logs import read_log
from twintrain.diagnosis.watch.places import is_users, outermost
from twintrain.diagnosis.watch.process_state import alarm, as_found
from twintrain.diagnosis.watch.python_values import Freezing
from twintrain.diagnosis.watch.recording import Enough
from twintrain.diagnosis.watch.stillness import still
from twintrain.diagnosis.watch.trace import FIT, LOOP, Trace, snapshot, state_variables
from twintrain.diagnosis.watch.watcher import Watch
from twintrain.errors import TwintrainError

SEED = 20
_WANTED = {
    "build_model": (),
    "make_dataset": ("split",),
    FIT: ("model", "ds", "epochs"),
    LOOP: ("model", "ds", "epochs"),
}


class UserCodeError(Exception):
    """The user's code raised; `text` is its traceback without a frame of ours."""

    def __init__(self, where: str, text: str) -> None:
        super().__init__(f"{where} failed")
        self.where, self.text = where, text

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.where, self.text)


@dataclass(frozen=True)
class Manner:
    """How a side is run where nothing but its weights is noted.

    Attributes:
        eager: `tf.function` bodies run as plain Python.
        freezing: goes on with the Python values of first calls; only where `eager`.
        nudge: share of themselves by which the weights are moved at the start: what comes of that
            is what rounding grows to.
        most: epochs after which it is stopped, where these can be told apart; 0 for none.
    """

    eager: bool = False
    freezing: Freezing | None = None
    nudge: float = 0.0
    most: int = 0


@dataclass
class Subject:
    """Four functions of a user, and the data they train on.

    Attributes:
        functions: by name.
        namespace: the globals of the module; its `make_dataset` is replaced while a side runs.
        train, test: the data, held still.
        frozen: sides whose graphs go on with Python values that have changed since; they are
            watched so, too.
        most_epochs: that both sides can be asked for; None for any number.
    """

    functions: dict[str, Callable[..., Any]]
    namespace: dict[str, Any]
    train: Rows
    test: Rows | None
    frozen: frozenset[str] = frozenset()
    most_epochs: int | None = None
    _watching: Watch | Milestones | None = field(
        default=None, init=False, repr=False, compare=False
    )

    @property
    def unasked(self) -> frozenset[str]:
        """Sides that train as long as they will, however many epochs they are asked for."""
        return frozenset()

    @property
    def cut(self) -> bool:
        """Whether not all of the data is used."""
        return self.train.cut or (self.test is not None and self.test.cut)

    def whole(self) -> Subject:
        """The same on all of the data."""
        make = self.functions["make_dataset"]
        return self.varied(hold(make, "train", MOST_ROWS), hold(make, "test", MOST_ROWS))

    def own_test(self) -> Rows | None:
        """All rows that a side may evaluate on in place of those it is given; None where both get
        theirs from `make_dataset` alone.
        """
        return None

    @outermost
    def run(
        self,
        side: str,
        epochs: int,
        close: int,
        most: int,
        seconds: float,
        seed: int = SEED,
        unshuffled: bool = False,
    ) -> Trace:
        """Run one side from its start, watched.

        Args:
            side: 'keras_fit' or 'custom_loop'.
            epochs: handed to it.
            close: steps after each boundary of which everything is kept.
            most: steps after which it is stopped.
            seconds: time after which it is stopped.
            seed: of the training; the model is always the same.
            unshuffled: nothing is shuffled, and random draws are the same ones again and again.

        Raises:
            UserCodeError: it raised, or its model is not a Keras model.
        """
        seed_all()
        model = self._model()
        trace = Trace(side, snapshot(model) if model.built else [], epochs)
        stopwatch = Stopwatch()
        watch = Watch(trace, close, most, Timer(seconds), model)
        self._watching = watch
        returned: Any = None
        with ExitStack() as stack:
            self._prepare(stack, unshuffled)
            stack.enter_context(watch.on())
            if side in self.frozen:
                stack.enter_context(Freezing().on())
            try:
                with alarm(seconds + 2):
                    returned = self._train(side, model, epochs, seed)
                trace.complete = True
            except Enough:
                trace.note = f"stopped after the {most} steps it was given"
                if stopwatch.own > seconds:
                    trace.note = f"stopped after {stopwatch.clock:.0f} s"
            except Exception as error:
                raise UserCodeError(side, user_traceback(error)) from None
        trace.seconds = stopwatch.clock
        trained, log = _unpack(returned)
        if trace.complete:
            trace.kept = snapshot(trained or trace.model or model)
            trace.log = read_log(log)
        return trace

    def run_plain(
        self, side: str, epochs: int, seconds: float, manner: Manner = Manner()
    ) -> Milestones | None:
        """Run one side unshuffled, in graphs unless told otherwise, and note only the weights it
        has whenever it begins a pass over data.

        Returns:
            None when it did not come to its end in time.

        Raises:
            UserCodeError: it raised.
        """
        seed_all()
        model = self._model()
        _nudge(model, manner.nudge)
        milestones = Milestones(model, manner.most)
        milestones.asked = epochs
        self._watching = milestones
        returned: Any = None
        with ExitStack() as stack:
            self._prepare(stack, unshuffled=True)
            stack.enter_context(milestones.on())
            if manner.eager:
                stack.enter_context(functions_as_python())
            if manner.freezing is not None:
                stack.enter_context(manner.freezing.on())
            try:
                with alarm(seconds):
                    returned = self._train(side, model, epochs, SEED)
            except Enough:
                if not milestones.stopped:
                    return None
            except Exception as error:
                raise UserCodeError(side, user_traceback(error)) from None
        milestones.end(_unpack(returned)[0])
        return milestones

    def _train(self, side: str, model: keras.Model, epochs: int, seed: int) -> Any:
        """Let a side train; what it returns."""
        # Not the one of build_model: a model built anew must get weights of its own.
        seed_all(seed + 1)
        return self.functions[side](model, self.train.dataset(), epochs)

    def varied(self, train: Rows, test: Rows | None) -> Subject:
        """The same functions on other data."""
        return replace(self, train=train, test=test)

    def watched_frozen(self, sides: frozenset[str]) -> Subject:
        """The same, with some sides watched as their graphs are: with frozen Python values."""
        return replace(self, frozen=sides)

    def _prepare(self, stack: ExitStack, unshuffled: bool) -> None:
        """What holds for every run of a side."""
        stack.enter_context(as_found())
        stack.enter_context(self._held_still())
        if unshuffled:
            stack.enter_context(still(self.namespace))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))

    def _model(self) -> keras.Model:
        try:
            model = self.functions["build_model"]()
        except Exception as error:
            raise UserCodeError("build_model", user_traceback(error)) from None
        if not isinstance(model, keras.Model):
            kind = f"{type(model).__module__}.{type(model).__name__}"
            raise TwintrainError(
                f"build_model() returns {kind}, which is not a Keras 3 model.",
                "Return a keras.Model (tf_keras and other frameworks cannot be watched).",
            )
        if len(model.variables) == 0 or not model.built or not _all_built(model):
            # Weights that are made at the first call would be drawn at another moment on each side.
            with contextlib.suppress(Exception):
                # Two rows, unless the batch dimension is fixed.
                rows = self.train.batch if self.train.fixed else 2
                first = keras.tree.map_structure(
                    lambda a: keras.ops.convert_to_tensor(a[:rows]), self.train.part(0)
                )
                model(first, training=False)
            for state in state_variables(model):
                state.assign(keras.ops.zeros_like(state))  # nothing was fed yet
        return model

    @contextmanager
    def _held_still(self) -> Iterator[None]:
        splits = {"train": self.train, "test": self.test or self.train}
        original = self.namespace.get("make_dataset")
        self.namespace["make_dataset"] = lambda split="train", *_, **__: splits.get(
            split, self.train
        ).dataset()
        try:
            yield
        finally:
            self.namespace["make_dataset"] = original


def subject_of(functions: dict[str, Callable[..., Any]], namespace: dict[str, Any]) -> Subject:
    """Check the four functions and read the data.

    Raises:
        TwintrainError: one is missing, has another signature, or the data cannot be used.
        UserCodeError: `make_dataset` raised.
    """
    for name, parameters in _WANTED.items():
        _check(name, functions.get(name), parameters)
    seed_all()
    try:
        train = hold(functions["make_dataset"], "train")
        test = hold(functions["make_dataset"], "test")
    except TwintrainError:
        raise
    except Exception as error:
        raise UserCodeError("make_dataset", user_traceback(error)) from None
    return Subject(functions, namespace, train, test)


def load_module(path: Path) -> dict[str, Any]:
    """Import a file as a module and return its globals.

    Raises:
        TwintrainError: there is no such file.
        UserCodeError: importing it raised.
    """
    if not path.is_file():
        raise TwintrainError(
            f"There is no file {path}.",
            "Name a Python module with build_model, make_dataset, "
            "keras_fit and custom_loop; `twintrain diagnose --help` shows one.",
        )
    # Dataclasses and pickle look a module up by its name; another one of that name stays what it
    # is.
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_under_diagnosis"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TwintrainError(f"{path} is not a Python file.", "Its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # `as_found` takes it away; functions may import later.
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserCodeError(str(path), user_traceback(error)) from None
    return vars(module)


def user_traceback(error: BaseException) -> str:
    """The traceback of the user's own code: no frame of ours, of a library or of Python before or
    after it.
    """
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if is_users(frame.filename) or frame.filename.startswith("<string")
    ]
    head = "Traceback (most recent call last):\n" + "".join(traceback.format_list(frames))
    return head + "".join(traceback.format_exception_only(error))


def seed_all(seed: int = SEED) -> None:
    """Seed Python, NumPy, TensorFlow and Keras."""
    keras.utils.set_random_seed(seed)


def _nudge(model: keras.Model, share: float) -> None:
    for variable in model.trainable_variables if share else ():
        variable.assign(variable * (1 + share))


def _all_built(model: keras.Model) -> bool:
    return all(layer.built for layer in model._flatten_layers(include_self=False))


def _check(name: str, function: Any, parameters: tuple[str, ...]) -> None:
    wanted = f"{name}({', '.join(parameters)})"
    if function is None:
        raise TwintrainError(f"The module has no function {name}.", f"Add {wanted}.")
    if not callable(function):
        raise TwintrainError(f"{name} is not a function.", f"Make it {wanted}.")
    try:
        inspect.signature(function).bind(*parameters)
    except TypeError as error:
        found = f"{name}{inspect.signature(function)}"
        raise TwintrainError(
            f"{found} cannot be called as {wanted}: {error}.", f"Change it to {wanted}."
        ) from None


def _unpack(returned: Any) -> tuple[keras.Model | None, Any]:
    """What a trainer returned: nothing, a model, a log, or both in either order."""
    if isinstance(returned, keras.Model):
        return returned, None
    if isinstance(returned, (tuple, list)) and any(
        isinstance(part, keras.Model) for part in returned
    ):
        model = next(part for part in returned if isinstance(part, keras.Model))
        rest = [part for part in returned if not isinstance(part, keras.Model)]
        return model, rest[0] if len(rest) == 1 else rest
    return None, returned
