"""Finds the problem that a recipe names.

A built-in model is named in the recipe (`model.name: textbook_cnn`). Your own is a function in an
importable module (`model.name: my_package.my_module:build`) that takes (recipe, input_shape,
classes) and returns an uncompiled Keras model ending in class probabilities.
"""

from __future__ import annotations

from twintrain.data.example_spec import ExampleSpec
from twintrain.errors import TwintrainError, did_you_mean
from twintrain.problems.problem import Problem
from twintrain.problems.statement import IMAGES, Statement
from twintrain.problems.user_function import load_function
from twintrain.recipe.recipe import Recipe

# Built-in models are functions like a user's own, under a shorter name.
MODELS = {
    "textbook_cnn": "twintrain.problems.image_models:textbook_cnn",
    "mlp": "twintrain.problems.image_models:mlp",
}


def model_function(name: str) -> tuple[str, str]:
    """Module and function of a model, by its name in a recipe; neither is imported.

    Raises:
        TwintrainError: there is no such built-in model.
    """
    if ":" not in name and name not in MODELS:
        raise TwintrainError(
            f"model.name: no built-in model is called {name!r}.", did_you_mean(name, MODELS)
        )
    module, _, function = MODELS.get(name, name).partition(":")
    return module, function


def user_modules(recipe: Recipe) -> tuple[str, ...]:
    """The modules whose functions a recipe names: the model's, or that of a problem of one's own,
    and that of a loop of one's own.
    """
    stated = recipe.problem.module
    model = model_function(recipe.model.name)[0] if stated is None else stated
    own = [recipe.twins.loop.partition(":")[0]] if recipe.twins.own else []
    return tuple(dict.fromkeys([model, *own]))


def statement_of(recipe: Recipe) -> Statement:
    """What the problem that a recipe names says.

    Raises:
        TwintrainError: it is a module of the user's that is not there, or cannot be, or the recipe
            weighs classes where there are none.
    """
    if recipe.problem.module is None:
        return IMAGES
    from twintrain.problems.user_problem import read_module

    statement = read_module(recipe.problem.module).statement
    if recipe.training.class_weight != "none" and not statement.task.CLASSIFIES:
        raise TwintrainError(
            f"training.class_weight is {recipe.training.class_weight}, and {recipe.problem.module} "
            f"is a problem of {statement.task.NAME}: it has no classes.",
            "Set it to none.",
        )
    return statement


def check_label_names(recipe: Recipe, labels: int | None) -> None:
    """See that every label has a name, or none has.

    Raises:
        TwintrainError: there are more names than labels, or fewer.
    """
    names = recipe.comparison.label_names
    if names and len(names) != labels:
        raise TwintrainError(
            f"comparison.label_names has {len(names)} names, the data has {labels} labels.",
            "Give every label a name, or none.",
        )


def find_problem(recipe: Recipe, spec: ExampleSpec) -> Problem:
    """The problem a recipe names, on examples with these columns.

    Raises:
        TwintrainError: there is no such built-in model, module or function, or not every label
            has a name.
    """
    check_label_names(recipe, spec.classes)
    if recipe.problem.module is not None:
        from twintrain.problems.user_problem import UserProblem, read_module

        return UserProblem(read_module(recipe.problem.module), spec)
    module, function = model_function(recipe.model.name)
    build = load_function("model.name", module, function)
    from twintrain.problems.image_classification import ImageClassification

    return ImageClassification(spec, build)
