"""Which class is which twin. A new way of training is one more module and one more line here."""

from __future__ import annotations

from twintrain.errors import TwintrainError, did_you_mean
from twintrain.recipe.recipe import Recipe, TwinName
from twintrain.training.gradient_tape import GradientTapeTwin
from twintrain.training.keras_fit import KerasFitTwin
from twintrain.training.own_loop import own_twin
from twintrain.training.twin import Twin

# By the name a recipe gives it (`twins.fit`, `twins.loop`).
TRAINERS: dict[str, Twin] = {
    "keras_fit": KerasFitTwin(),
    "gradient_tape": GradientTapeTwin(),
}


def twin_of(recipe: Recipe, twin: TwinName) -> Twin:
    """What trains as 'fit' or as 'loop' under a recipe.

    Raises:
        TwintrainError: the recipe names a way of training that there is not, or a function of one's
            own that cannot be one.
    """
    name: str = getattr(recipe.twins, twin)
    if ":" in name:
        return own_twin(name)
    if name not in TRAINERS:
        raise TwintrainError(
            f"twins.{twin}: there is no way of training called {name!r}.",
            did_you_mean(name, TRAINERS),
        )
    return TRAINERS[name]
