"""A loop as a keras.Model with a `train_step` of its own, trained by its own fit."""

from __future__ import annotations

import ast

from benchmarks.form_names import bound_in, name, parameters_of, parsed, read_later, substituted
from benchmarks.form_sections import Section, Wish, sections_of, uses_test
from benchmarks.form_source import Module
from benchmarks.form_step import NoStepError, Step, calls_of, free_name, step_of

CLASS = """
class CustomModel(keras.Model):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.loss_tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.loss_tracker]

    def call(self, inputs, training=None):
        return self.net(inputs, training=training)

    def train_step(self, data):
        pass
"""
TRACKED = """
self.loss_tracker.update_state({loss}, sample_weight=tf.shape({rows})[0])
return {{"loss": self.loss_tracker.result()}}
"""
TRAINED = """
model = CustomModel({net})
model.compile(optimizer={optimizer}{options})
history = model.fit({data}, epochs=EPOCHS, verbose=0)
print(history.history)
"""


def train_step_sections(module: Module) -> list[Section]:
    """The parts of a script whose loop is a `train_step`.

    Raises:
        NoStepError: the loop is no such step.
    """
    loop = module.functions["custom_loop"]
    used = module.needed([loop])
    if any("def train_step(self, data)" in ast.unparse(item) for item in used):
        # It is one already.
        return sections_of(module, Wish())
    if uses_test(module, ("custom_loop",)):
        raise NoStepError("it validates by hand")
    step = step_of(loop)
    body = _body(module, step)
    imports, constants, *rest = sections_of(module, Wish(sides=("keras_fit",)))
    clash = bound_in(body) & read_later(part for section in rest for part in section.body)
    if clash - {"net"}:
        raise NoStepError(f"what comes before it reads {', '.join(sorted(clash))}")
    placed = {part for section in (constants, *rest) for part in section.body}
    new = [item for item in module.needed(body) if item not in placed]
    definitions = [n for n in new if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    constants.body = [*(n for n in new if n not in definitions), *constants.body]
    last = Section("custom_loop", [*definitions, *body])
    whole = [part for section in (constants, *rest, last) for part in section.body]
    imports.body = module.imports_for(whole)
    return [imports, constants, *rest, last]


def _body(module: Module, step: Step) -> list[ast.stmt]:
    loop = module.functions["custom_loop"]
    model, ds, _ = parameters_of(loop)[:3]
    taken = bound_in([*module.items, *module.imports, *step.setup])
    net = free_name(taken)
    outside: dict[str, ast.expr] = {model: name(net), ds: name("ds")}
    inside: dict[str, ast.expr] = {
        model: ast.Attribute(name("self"), "net", ast.Load()),
        step.optimizer_name: ast.Attribute(name("self"), "optimizer", ast.Load()),
    }
    (own,) = parsed(CLASS)
    tracked = TRACKED.format(loss=step.loss, rows=_rows(module, step.batch))
    unpacked = ast.Assign([step.batch], name("data"))
    own.body[-1].body = [unpacked, *substituted(step.body, inside), *parsed(tracked)]  # type: ignore[attr-defined]
    optimizer, data = substituted([step.optimizer, step.data], outside)
    trained = TRAINED.format(
        net=net,
        optimizer=ast.unparse(optimizer),
        options=_options(module),
        data=ast.unparse(data),
    )
    setup = substituted(step.setup, outside)
    return [*parsed(f"{net} = build_model()"), *setup, own, *parsed(trained)]


def _rows(module: Module, batch: ast.expr) -> str:
    """What has a row per example: the inputs, or the first of them."""
    first = ast.unparse(batch.elts[0] if isinstance(batch, ast.Tuple) else batch)
    make = module.functions["make_dataset"]
    given = calls_of([make], ("from_tensor_slices",))[0].args[0]
    inputs = given.elts[0] if isinstance(given, ast.Tuple) else given
    dicts = {
        id_
        for part in make.body
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.Dict)
        for id_ in bound_in([part])
    }
    nested = isinstance(inputs, (ast.Tuple, ast.Dict)) or ast.unparse(inputs) in dicts
    return f"tf.nest.flatten({first})[0]" if nested else first


def _options(module: Module) -> str:
    """How fit's model is compiled, in what concerns both."""
    calls = calls_of([module.functions["keras_fit"]], ("compile",))
    kept = [k for call in calls for k in call.keywords if k.arg == "jit_compile"]
    return "".join(f", {k.arg}={ast.unparse(k.value)}" for k in kept)
