"""Finds the one gradient step of a loop, and what it stands on: what a `train_step` can be made
of. A loop that does more than step over its data is refused with the reason.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from benchmarks.form_names import bound_in, copied, fresh, name, parameters_of, read_in, substituted

APPLY = ("apply", "apply_gradients")


class NoStepError(Exception):
    """A loop whose step is no `train_step`, and why."""


@dataclass
class Step:
    """A loop's step.

    Attributes:
        setup: statements before the first epoch that the step or the data stand on.
        batch: what a batch is unpacked to.
        body: the statements of a step, the update last.
        loss: name of the loss.
        optimizer: how the optimizer is made.
        optimizer_name: what it is called in the step.
        data: what is iterated.
    """

    setup: list[ast.stmt]
    batch: ast.expr
    body: list[ast.stmt]
    loss: str
    optimizer: ast.expr
    optimizer_name: str
    data: ast.expr


def calls_of(nodes: list[Any], attributes: tuple[str, ...]) -> list[ast.Call]:
    """Calls of methods."""
    return [
        node
        for root in nodes
        for node in ast.walk(root)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in attributes
    ]


def step_of(loop: ast.FunctionDef) -> Step:
    """The step of a loop.

    Raises:
        NoStepError: it has none that can be lifted.
    """
    model, _, epochs = parameters_of(loop)[:3]
    body = _one_by_one(loop.body)
    container, tape = _container(loop)
    statements, optimizer = _until_update(container, tape)
    cut = next((i for i, part in enumerate(body) if _mentions(part, epochs)), len(body))
    before = [part for part in body[:cut] if part is not container and not _holds(part, tape)]
    made = _made(before, optimizer)
    batch, data = _batch(loop, container)
    _check_data(data, before)
    own = bound_in(statements) | {n.id for n in ast.walk(batch) if isinstance(n, ast.Name)}
    setup = _needed(before, read_in([*statements, data]) - own - {optimizer, model})
    _check_rest(loop, body[cut:], statements, before, (model, optimizer))
    _check_length(ast.unparse(data), setup, ast.unparse(made))
    outside = _bound_while_training(body[cut:]) & (read_in(statements) - own)
    if outside:
        raise NoStepError(f"its step reads {', '.join(sorted(outside))}, which the loop changes")
    return Step(setup, batch, statements, _loss(statements), made, optimizer, data)


def _mentions(node: ast.AST, id_: str) -> bool:
    return id_ in read_in([node])


def _holds(part: ast.AST, wanted: ast.AST) -> bool:
    return any(node is wanted for node in ast.walk(part))


def _one_by_one(body: list[ast.stmt]) -> list[ast.stmt]:
    """The body with `a, b = x, y` as two assignments."""
    found: list[ast.stmt] = []
    for part in body:
        pair = isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Tuple)
        if pair and isinstance(part.value, ast.Tuple):  # type: ignore[attr-defined]
            both = zip(part.targets[0].elts, part.value.elts, strict=True)  # type: ignore[attr-defined]
            found += [_assignment(part, target, value) for target, value in both]
        else:
            found.append(part)
    return found


def _assignment(like: ast.stmt, target: ast.expr, value: ast.expr) -> ast.stmt:
    return ast.copy_location(ast.Assign([target], value), like)


def _container(loop: ast.FunctionDef) -> tuple[Any, ast.With]:
    """The function or for-loop whose body has the tape, and the tape."""
    tapes = [
        (parent, part)
        for parent in ast.walk(loop)
        for part in (parent.body if isinstance(getattr(parent, "body", None), list) else [])
        if isinstance(part, ast.With) and "GradientTape" in ast.unparse(part.items[0])
    ]
    if not tapes:
        raise NoStepError("it has no tape of its own")
    if len(tapes) > 1 or len(tapes[0][1].items) > 1:
        raise NoStepError("it has several tapes")
    parent, tape = tapes[0]
    if not isinstance(parent, (ast.FunctionDef, ast.For)) or parent is loop:
        raise NoStepError("its batches are not those of a for-loop")
    if "persistent" in ast.unparse(tape.items[0]):
        raise NoStepError("its tape gives several gradients")
    return parent, tape


def _until_update(container: Any, tape: ast.With) -> tuple[list[ast.stmt], str]:
    """A step's statements up to the update, and what the optimizer is called."""
    if len(calls_of([container], ("gradient",))) != 1:
        raise NoStepError("its tape gives several gradients")
    updates = calls_of([container], APPLY)
    if not updates:
        raise NoStepError("it updates its weights without an optimizer")
    if len(updates) > 1:
        raise NoStepError("it has several optimizers")
    update = [p for p in container.body if isinstance(p, ast.Expr) and p.value is updates[0]]
    if not update:
        raise NoStepError("it does not update in every step")
    end = container.body.index(update[0]) + 1
    optimizer = updates[0].func.value  # type: ignore[attr-defined]
    if not isinstance(optimizer, ast.Name):
        raise NoStepError("its optimizer has no name")
    return container.body[:end], optimizer.id


def _made(before: list[ast.stmt], optimizer: str) -> ast.expr:
    for part in before:
        if isinstance(part, ast.Assign) and bound_in([part]) == {optimizer}:
            return part.value
    raise NoStepError("its optimizer is not made once, before it begins")


def _batch(loop: ast.FunctionDef, container: Any) -> tuple[ast.expr, ast.expr]:
    """What a batch is unpacked to, by the names the step has for it; and what is iterated."""
    if isinstance(container, ast.For):
        return _read(container.target), _data(loop, container.iter)
    for target, iterated, call in _loops_that_call(loop, container.name):
        parameters = parameters_of(container)
        if any(isinstance(given, ast.Starred) for given in call.args):
            return ast.Tuple([name(p) for p in parameters], ast.Load()), _data(loop, iterated)
        if not all(isinstance(given, ast.Name) for given in call.args):
            break
        names = dict(zip([g.id for g in call.args], parameters, strict=True))  # type: ignore[attr-defined]
        known = {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
        if not set(names) <= known:
            break
        values: dict[str, ast.expr] = {id_: name(p) for id_, p in names.items()}
        return substituted([_read(target)], values)[0], _data(loop, iterated)
    raise NoStepError("its step is not called with the batches as they come")


def _read(target: ast.expr) -> ast.expr:
    """A target as an expression."""
    changed = copied(target)
    for node in ast.walk(changed):
        if hasattr(node, "ctx"):
            node.ctx = ast.Load()
    return changed


def _loops_that_call(loop: ast.FunctionDef, called: str) -> list[tuple[Any, Any, ast.Call]]:
    """Target, iterated and call, where a step is called for each element."""
    found = []
    names = {called} | {
        ast.unparse(part.targets[0])
        for part in ast.walk(loop)
        if isinstance(part, ast.Assign)
        and isinstance(part.value, ast.Call)
        and ast.unparse(part.value.func) == "tf.function"
        and ast.unparse(part.value.args[0]) == called
    }
    for node in ast.walk(loop):
        if isinstance(node, ast.For):
            pairs = [(node.target, node.iter)]
        elif isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            pairs = [(g.target, g.iter) for g in node.generators[-1:]]
        else:
            continue
        calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
        calls = [call for call in calls if ast.unparse(call.func) in names]
        found += [(*pair, call) for pair in pairs for call in calls]
    return [one for one in found if "range(" not in ast.unparse(one[1])]


def _data(loop: ast.FunctionDef, iterated: ast.expr) -> ast.expr:
    """What is iterated, a data set in the body of the loop."""
    ds = parameters_of(loop)[1]
    inner = [f for f in loop.body if isinstance(f, ast.FunctionDef)]
    if isinstance(iterated, ast.Name):
        given = {f.name for f in inner if iterated.id in parameters_of(f)}
        if given:
            # An epoch as a function: of what it is called with.
            calls = [n for n in ast.walk(loop) if isinstance(n, ast.Call)]
            calls = [call for call in calls if ast.unparse(call.func) in given]
            if not calls or ast.unparse(calls[0].args[0]) != ds:
                raise NoStepError("its step is not called with the batches as they come")
            return name(ds)
    return iterated


def _check_data(data: ast.expr, before: list[ast.stmt]) -> None:
    """See that what is iterated is a data set, as far as its making tells."""
    made = [part for part in before if bound_in([part]) & read_in([data])]
    text = " ".join(ast.unparse(part) for part in (data, *made))
    if any(word in text for word in ("numpy", "zip(", "enumerate(", "iter(", "range(")):
        raise NoStepError("its batches are not those of a data set")


def _needed(before: list[ast.stmt], read: set[str]) -> list[ast.stmt]:
    """Statements that names stand on, in order."""
    chosen: list[ast.stmt] = []
    for part in reversed(before):
        if bound_in([part]) & read:
            chosen.insert(0, part)
            read = read | read_in([part])
    return chosen


def _check_length(data: str, setup: list[ast.stmt], optimizer: str) -> None:
    """See that fit will not count more updates than there are batches."""
    made = " ".join([data, *(ast.unparse(part) for part in setup)])
    if "unbatch()" in made and "cardinality" not in made and ".SGD(" not in optimizer:
        raise NoStepError("its data have no known length: fit would count an update too many")


def _check_rest(
    loop: ast.FunctionDef,
    rest: list[ast.stmt],
    statements: list[ast.stmt],
    before: list[ast.stmt],
    names: tuple[str, str],
) -> None:
    """See that the loop does nothing else that trains."""
    model, optimizer = names
    if "from_config" in ast.unparse(loop) or "clone_model" in ast.unparse(loop):
        raise NoStepError("it trains another model than it was given")
    parts = {model} | {id_ for part in before if _mentions(part, model) for id_ in bound_in([part])}
    kept = ast.Pass()
    for part in rest:
        outside = _Without(statements, kept).visit(copied(part))
        if any(isinstance(node, ast.Break) for node in ast.walk(outside)):
            raise NoStepError("it stops by a rule of its own")
        read = _read_outside_returns(outside)
        if optimizer in read:
            raise NoStepError("it changes its optimizer between steps")
        if parts & read:
            raise NoStepError("it uses its model between steps")


def _read_outside_returns(part: ast.stmt) -> set[str]:
    """Names that are read, but for a model that is handed back."""
    if isinstance(part, ast.Return) and isinstance(part.value, (ast.Tuple, ast.Name)):
        values = part.value.elts if isinstance(part.value, ast.Tuple) else [part.value]
        return read_in([value for value in values if not isinstance(value, ast.Name)])
    return read_in([part])


class _Without(ast.NodeTransformer):
    """Leaves statements out, found by their text."""

    def __init__(self, statements: list[ast.stmt], instead: ast.stmt) -> None:
        self.texts = {ast.unparse(part) for part in statements}
        self.instead = instead

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.stmt) and ast.unparse(node) in self.texts:
            return self.instead
        return self.generic_visit(node)


def _bound_while_training(rest: list[ast.stmt]) -> set[str]:
    """Names bound within the epochs."""
    return bound_in(part for part in rest if isinstance(part, (ast.For, ast.While)))


def _loss(statements: list[ast.stmt]) -> str:
    """What the loss is called."""
    if "loss" in bound_in(statements):
        return "loss"
    (call,) = calls_of(statements, ("gradient",))
    if not isinstance(call.args[0], ast.Name):
        raise NoStepError("its loss has no name")
    return call.args[0].id


def free_name(module_names: set[str]) -> str:
    """What the lifted model is called inside."""
    return fresh(("net", "base_model", "inner_model"), module_names)
