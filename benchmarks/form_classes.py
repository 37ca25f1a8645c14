"""A module as a class with a method per side, and as a program with options."""

from __future__ import annotations

import ast
from typing import Any

from benchmarks.form_inline import without_self_assignments
from benchmarks.form_names import (
    bound_in,
    copied,
    free_in,
    fresh,
    name,
    parameters_of,
    parsed,
    substituted,
)
from benchmarks.form_sections import CALLED, SIDES, Section, is_definition, uses_test, with_test
from benchmarks.form_source import Module

MODELS = {"keras_fit": "keras_model", "custom_loop": "loop_model"}
METHODS = {"keras_fit": "fit_keras", "custom_loop": "train_loop"}
RUN = """
if __name__ == "__main__":
    trainer = {0}()
    trainer.fit_keras()
    trainer.train_loop()
"""
MAIN = """
def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default={epochs})
    {batch_option}
    args = parser.parse_args(argv)
    ds = {data}
    train_with_fit(build_model(), ds, args.epochs)
    train_with_tape(build_model(), ds, args.epochs)


if __name__ == "__main__":
    main()
"""


def of_self(attribute: str) -> ast.expr:
    """`self.attribute`."""
    return ast.Attribute(name("self"), attribute, ast.Load())


def class_sections(module: Module) -> list[Section]:
    """The parts of a script whose training is a class."""
    roots = list(module.functions.values())
    items = module.needed(roots)
    called = fresh(("Trainer", "Experiment", "TrainingRun"), bound_in(items))
    whole = ast.ClassDef(called, [], [], [_init(module)], [])
    for side in SIDES:
        whole.body += _methods(module, side, _attributes(whole))
    helpers = [module.functions[key] for key in ("make_dataset", "build_model")]
    constants = [item for item in items if not is_definition(item)]
    definitions = [item for item in items if is_definition(item)]
    top = [*constants, *parsed(f"EPOCHS = {module.epochs}"), *definitions]
    return [
        Section("imports", module.imports_for([*items, *roots])),
        Section("constants", top),
        Section("data", helpers),
        Section("class", [whole]),
        Section("run", parsed(RUN.format(called))),
    ]


def _init(module: Module) -> ast.stmt:
    lines = ["def __init__(self, epochs=EPOCHS):", "self.epochs = epochs"]
    lines.append('self.ds = make_dataset("train")')
    if uses_test(module, SIDES):
        lines.append('self.test_ds = make_dataset("test")')
    lines += [f"self.{MODELS[side]} = build_model()" for side in SIDES]
    return parsed("\n    ".join(lines))[0]


def _attributes(whole: ast.ClassDef) -> set[str]:
    """Names a class has for itself."""
    named = {n.name for n in whole.body if isinstance(n, ast.FunctionDef)}
    assigned = {
        node.attr
        for node in ast.walk(whole)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"
    }
    return named | assigned | set(METHODS.values())


def _methods(module: Module, side: str, taken: set[str]) -> list[ast.stmt]:
    """A side as a method, with its inner functions as methods beside it where that is possible."""
    function = with_test(module.functions[side], of_self("test_ds"))
    model, ds, epochs = parameters_of(function)[:3]
    given = {model: of_self(MODELS[side]), ds: of_self("ds"), epochs: of_self("epochs")}
    rebound = bound_in(function.body)
    body: list[ast.stmt] = [
        ast.Assign([ast.Name(p, ast.Store())], value) for p, value in given.items() if p in rebound
    ]
    body += _defaults(function)
    kept = {p: value for p, value in given.items() if p not in rebound}
    body += without_self_assignments(substituted(function.body, kept))
    body, beside = _lifted(body, taken)
    me = ast.arguments([], [ast.arg("self")], None, [], [], None, [])
    return [*beside, ast.FunctionDef(METHODS[side], me, body, [])]


def _defaults(function: ast.FunctionDef) -> list[ast.stmt]:
    defaults = function.args.defaults
    names = parameters_of(function)[-len(defaults) :] if defaults else []
    return [
        ast.Assign([ast.Name(id_, ast.Store())], value)
        for id_, value in zip(names, defaults, strict=True)
    ]


def _lifted(body: list[ast.stmt], taken: set[str]) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """The body without its functions, and these as methods; what they share becomes attributes.

    Where that would mean something else, the body as it was.

    Args:
        body: of a method.
        taken: attributes that are something else.
    """
    inner = [part for part in body if isinstance(part, ast.FunctionDef)]
    rest = [part for part in body if part not in inner]
    names = {function.name for function in inner}
    local = bound_in(rest)
    shared = {id_ for function in inner for id_ in free_in(function)} & local
    if names & local or shared & _not_attributes(rest) or (names | shared) & taken:
        return body, []
    values = {id_: of_self(id_) for id_ in shared | names}
    methods: list[Any] = substituted(inner, values)
    for method, function in zip(methods, inner, strict=True):
        method.name = function.name
        method.args.args.insert(0, ast.arg("self"))
    return substituted(rest, values), methods


def _not_attributes(body: list[ast.stmt]) -> set[str]:
    """Names bound by loops, `with` and comprehensions."""
    found: set[str] = set()
    for part in body:
        for node in ast.walk(part):
            if isinstance(node, (ast.For, ast.comprehension)):
                found |= {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}
            elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
                found.add(node.optional_vars.id)
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(node.name)
    return found


def main_sections(module: Module) -> list[Section]:
    """The parts of a program with options."""
    functions = {key: copied(f) for key, f in module.functions.items()}
    roots = list(functions.values())
    items = module.needed(roots)
    size = with_batch_size(functions["make_dataset"])
    for side in SIDES:
        functions[side].name = CALLED[side]
    option = f'parser.add_argument("--batch-size", type=int, default={size})' if size else ""
    data = 'make_dataset("train", args.batch_size)' if size else 'make_dataset("train")'
    main = MAIN.format(epochs=module.epochs, batch_option=option, data=data)
    imports = [*parsed("import argparse"), *module.imports_for([*items, *roots])]
    return [
        Section("imports", imports),
        Section("constants", items),
        Section("functions", roots),
        Section("run", parsed(main)),
    ]


def with_batch_size(make: ast.FunctionDef) -> str:
    """Give make_dataset a parameter batch_size, in place of the number it batches by.

    Returns:
        That number or the constant's name; nothing where the function batches otherwise.
    """
    calls = [
        node
        for node in ast.walk(make)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "batch"
    ]
    if len(calls) != 1 or not isinstance(calls[0].args[0], (ast.Constant, ast.Name)):
        return ""
    size = calls[0].args[0]
    if isinstance(size, ast.Name) and size.id in bound_in(make.body):
        return ""
    calls[0].args[0] = name("batch_size")
    make.args.args.append(ast.arg("batch_size"))
    make.args.defaults.append(size)
    return ast.unparse(size)
