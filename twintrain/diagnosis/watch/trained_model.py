"""Which of the models that are called under a tape is the one that is trained."""

from __future__ import annotations

import keras

from twintrain.diagnosis.watch.seams import identity
from twintrain.diagnosis.watch.weight_order import count_like


class TrainedModel:
    """The model a training is of: the one it was given, unless another one gets the gradients.

    Args:
        given: to the function under watch.

    Attributes:
        model: the one that is trained, as far as is known.
        settled: a gradient of its variables was seen.
        all: the models trained: that one, and copies of it that took its place.
    """

    def __init__(self, given: keras.Model) -> None:
        self.model = given
        self.settled = False
        self.all: list[keras.Model] = []
        self._given = given

    def adopt(self, model: keras.Model) -> None:
        """Take a model for the one that was given: code that makes its own stands for a function
        that gets one.
        """
        self._given = model
        if not self.settled:
            self.model = model

    def owner_of(self, layer: keras.layers.Layer) -> keras.Model | None:
        """The model that a call of a layer is a forward pass of.

        That is the one trained where the layer is part of it; else a model of its own. None where
        nothing in the layer can be trained.
        """
        for root in (self.model, self._given):
            if _belongs(layer, root):
                if self._extends(layer, root):
                    self.model = layer
                return self.model if root is self.model else root
        if not isinstance(layer, keras.Model) or not layer.trainable_variables:
            return None
        count_like(layer, self.model)
        return layer

    def settle(self, model: keras.Model) -> bool:
        """Take note that a model gets gradients; whether it is the one that is trained."""
        if not self.settled or (model is self._given and model is not self.model):
            self.model, self.settled, self.all = model, True, [model]
        elif self.model is not self._given and _shapes(model) == _shapes(self.model):
            self.model = model  # made anew, in every epoch say
            self.all.append(model)
        return model is self.model

    def _extends(self, layer: keras.layers.Layer, root: keras.Model) -> bool:
        """Whether a layer is a model around the one given: then it is trained as a whole."""
        if self.settled or layer is root or not isinstance(layer, keras.Model):
            return False
        return bool(root.variables) and is_whole(layer, root)


def is_whole(layer: keras.layers.Layer, model: keras.Model) -> bool:
    """Whether a layer has all variables of a model."""
    return layer is model or variables_of(layer) >= variables_of(model)


def shares_variables(layer: keras.layers.Layer, model: keras.Model) -> bool:
    """Whether a layer has some variable of a model."""
    return layer is model or not variables_of(layer).isdisjoint(variables_of(model))


def variables_of(layer: keras.layers.Layer) -> set[int]:
    """The variables of a layer, by identity."""
    return {identity(variable) for variable in layer.variables}


def _shapes(model: keras.Model) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in model.variables]


def _belongs(layer: keras.layers.Layer, root: keras.Model) -> bool:
    """Whether a layer is part of a model, also one without variables, or is around it."""
    parts = root._flatten_layers()
    return any(part is layer for part in parts) or shares_variables(layer, root)
