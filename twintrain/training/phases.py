"""The phases of a training: one, or two where a recipe fine-tunes what was trained before.

    for phase in phases_of(recipe): ...       # epochs phase.first to phase.end - 1

In the first of two, layers of a backbone are frozen: their weights do not train, and their batch
normalization works as in inference (which is Keras's own meaning of `trainable = False`). In the
second the model trains as it was built. What trains it, an optimizer and its schedule, begins anew
in each phase, as after a second `compile`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras

from twintrain.errors import TwintrainError, did_you_mean
from twintrain.recipe.recipe import Recipe
from twintrain.recipe.sections import EarlyStoppingRules


@dataclass(frozen=True)
class Phase:
    """Epochs in which the same layers train, under one optimizer.

    Attributes:
        first: its first epoch, from 0.
        end: the first epoch after it.
        recipe: what its optimizer, its schedule and its early stopping are made by.
        frozen: names of the layers that do not train in it.
        last: whether the training ends with it.
    """

    first: int
    end: int
    recipe: Recipe
    frozen: tuple[str, ...] = ()
    last: bool = True

    def place(self, state: Path | None) -> Path | None:
        """Where its state is kept, of a training whose last phase keeps it in `state`."""
        return state if self.last or state is None else frozen_state(state)


def frozen_state(state: Path) -> Path:
    """The file of a first phase, beside that of the last."""
    return state.with_name(f"{state.stem}-frozen{state.suffix}")


def phases_of(recipe: Recipe) -> tuple[Phase, ...]:
    """The phases of a recipe as one twin obeys it, in order.

    Early stopping watches the last one. A trial of a search may be too short to come to it.
    """
    rules, epochs = recipe.fine_tuning, recipe.training.epochs
    if not rules.frozen_epochs:
        return (Phase(0, epochs, recipe),)
    border = min(rules.frozen_epochs, epochs)
    first = _shortened(recipe, border, recipe.optimizer.learning_rate)
    first = first.model_copy(update={"early_stopping": EarlyStoppingRules()})
    frozen = Phase(0, border, first, rules.layers, last=border == epochs)
    if frozen.last:
        return (frozen,)
    rate = rules.learning_rate or recipe.optimizer.learning_rate
    return frozen, Phase(border, epochs, _shortened(recipe, epochs - border, rate))


def _shortened(recipe: Recipe, epochs: int, learning_rate: float) -> Recipe:
    training = recipe.training.model_copy(update={"epochs": epochs})
    optimizer = recipe.optimizer.model_copy(update={"learning_rate": learning_rate})
    return recipe.model_copy(update={"training": training, "optimizer": optimizer})


class AsBuilt:
    """Which layers and variables of a model train, as whoever built it left them.

    Args:
        model: fresh.
    """

    def __init__(self, model: keras.Model) -> None:
        # A container comes before what is in it: setting it sets all of that.
        self._layers = [(layer, layer.trainable) for layer in model._flatten_layers()]
        self._variables = [(variable, variable.trainable) for variable in model.variables]
        self._model = model

    def freeze(self, names: tuple[str, ...]) -> None:
        """Let the model train as it was built, but for some layers.

        Args:
            names: of layers, or of models within the model.

        Raises:
            TwintrainError: there is no such layer, or nothing is left that trains.
        """
        for layer, trainable in self._layers:
            layer.trainable = trainable
        for layer, trainable in self._layers:
            # One that is in two containers was set by the second, too. This sets it alone.
            layer._trainable = trainable
        for variable, trainable in self._variables:
            variable.trainable = trainable
        for name in names:
            self._freeze(name)
        if names and self._model.variables and not self._model.trainable_variables:
            raise TwintrainError(
                f"fine_tuning.layers freezes all of the model: nothing trains beside "
                f"{', '.join(names)}.",
                "Leave out the layers that are new, the last one at least.",
            )

    def _freeze(self, name: str) -> None:
        inner = [layer for layer, _ in self._layers if layer is not self._model]
        named = [layer for layer in inner if layer.name == name]
        if not named:
            known = dict.fromkeys(layer.name for layer in inner)
            raise TwintrainError(
                f"fine_tuning.layers: the model has no layer {name!r}.", did_you_mean(name, known)
            )
        for layer in named:
            layer.trainable = False
