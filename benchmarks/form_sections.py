"""A module as the parts of one script: imports, data, model, fit, loop, each as statements at the
top level where that means the same.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from benchmarks.form_inline import (
    BUILTINS,
    CannotInlineError,
    assigns,
    inlined,
    prints,
    renamed_apart,
    without_self_assignments,
)
from benchmarks.form_names import (
    bound_in,
    copied,
    name,
    parameters_of,
    parsed,
    read_in,
    read_later,
)
from benchmarks.form_source import FOUR, Module, folded

SIDES = ("keras_fit", "custom_loop")
# What people call the functions.
CALLED = {"keras_fit": "train_with_fit", "custom_loop": "train_with_tape"}
TEST = "make_dataset('test')"


@dataclass
class Section:
    """Statements that belong together.

    Attributes:
        name: 'imports', 'data', 'model', 'keras_fit' or 'custom_loop'.
        body: the statements.
        kept: functions that could not be inlined, each with the reason.
    """

    name: str
    body: list[ast.stmt] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wish:
    """How a script is to be laid out.

    Attributes:
        sides: which are in it.
        model_inline: the model is made by statements, not by a function.
        arrays: fit is given arrays.
        show: how a value is shown.
    """

    sides: tuple[str, ...] = SIDES
    model_inline: bool = False
    arrays: bool = False
    show: str = "print({})"


def sections_of(module: Module, wish: Wish) -> list[Section]:
    """The parts of a script, in order; what several need stands before the first of them."""
    return _Layout(module, wish).sections()


def uses_test(module: Module, sides: tuple[str, ...]) -> bool:
    """Whether the sides evaluate on the test split."""
    return any(
        ast.unparse(node) == TEST
        for side in sides
        for node in ast.walk(module.functions[side])
        if isinstance(node, ast.Call)
    )


class _ForTest(ast.NodeTransformer):
    """Puts a name or another expression in the place of make_dataset("test")."""

    def __init__(self, value: ast.expr) -> None:
        self.value = value

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if ast.unparse(node) == TEST:
            return copied(self.value)
        return self.generic_visit(node)


def with_test(function: ast.FunctionDef, value: ast.expr) -> ast.FunctionDef:
    """A side that takes the test split from where it lies."""
    changed: ast.FunctionDef = _ForTest(value).visit(copied(function))
    changed.body = without_self_assignments(changed.body)
    return changed


class _Layout:
    """Builds the sections of one script."""

    def __init__(self, module: Module, wish: Wish) -> None:
        self.module, self.wish = module, wish
        self.functions = {
            key: with_test(f, name("test_ds")) if key in SIDES else f
            for key, f in module.functions.items()
        }
        roots = [self.functions[key] for key in (*FOUR[:2], *wish.sides)]
        self.items = module.needed(roots)
        # Names that are something else at the top level than in any one function.
        self.taken = bound_in([*module.imports, *self.items]) | set(FOUR) | {"EPOCHS"}
        self.placed: list[ast.stmt] = []
        self.data: list[ast.stmt] = []
        # Per section that is inlined, what its functions read after it.
        self.later: set[str] = set()

    def sections(self) -> list[Section]:
        found = [self._data(), self._model()]
        found += [self._side(side) for side in self.wish.sides]
        nodes = [part for section in found for part in section.body]
        constants = [item for item in self.items if not is_definition(item)]
        top = [*constants, *parsed(f"EPOCHS = {self.module.epochs}")]
        imports = self.module.imports_for([*constants, *nodes])
        return [Section("imports", imports), Section("constants", top), *found]

    def _helpers(self, *roots: ast.AST) -> list[ast.stmt]:
        """Definitions that are needed from here on and not placed yet."""
        needed = [item for item in self.module.needed(roots) if is_definition(item)]
        new = [item for item in needed if item not in self.placed]
        self.placed += new
        return new

    def _data(self) -> Section:
        make = self.functions["make_dataset"]
        section = Section("data", self._helpers(make))
        try:
            section.body += self._splits(make)
        except CannotInlineError as why:
            if self.wish.arrays:
                raise
            section.kept.append(f"make_dataset: {why}")
            section.body += [make, *parsed('ds = make_dataset("train")')]
            if uses_test(self.module, self.wish.sides):
                section.body += parsed('test_ds = make_dataset("test")')
        return section

    def _splits(self, make: ast.FunctionDef) -> list[ast.stmt]:
        train = self._split(make, "train", "ds")
        if self.wish.arrays:
            train = with_arrays(train)
        self.data = train
        if not uses_test(self.module, self.wish.sides):
            return train
        test = self._split(make, "test", "test_ds")
        return [*train, *renamed_apart(test, "_test", {"test_ds"})]

    def _split(self, make: ast.FunctionDef, split: str, target: str) -> list[ast.stmt]:
        (parameter,) = parameters_of(make)
        known = copied(make)
        known.body = folded(make.body, split, parameter)
        found = inlined(known, {parameter: ast.Constant(split)}, assigns(target))
        self._check(found, {target})
        return found

    def _model(self) -> Section:
        build = self.functions["build_model"]
        section = Section("model", self._helpers(build))
        if not self.wish.model_inline:
            section.body.append(build)
            return section
        try:
            found = inlined(build, {}, assigns("model"))
            self._check(found, {"model"})
            self.later |= read_later(found)
            section.body += found
        except CannotInlineError as why:
            section.kept.append(f"build_model: {why}")
            section.body += [build, *parsed("model = build_model()")]
        return section

    def _side(self, side: str) -> Section:
        function = self.functions[side]
        section = Section(side, self._helpers(function))
        makes = [] if self.wish.model_inline else parsed("model = build_model()")
        try:
            found = self._inlined_side(side, bound_in(makes))
        except CannotInlineError as why:
            if self.wish.arrays and side == "keras_fit":
                raise
            section.kept.append(f"{side}: {why}")
            made = "model" if self.wish.model_inline else "build_model()"
            section.body += called(function, CALLED[side], f"{made}, ds, EPOCHS", self.wish.show)
            return section
        self.later |= read_later(found)
        section.body += [*makes, *found]
        return section

    def _inlined_side(self, side: str, makes: set[str]) -> list[ast.stmt]:
        function = self.functions[side]
        model, ds, epochs = parameters_of(function)[:3]
        given = {model: name("model"), ds: name("ds"), epochs: name("EPOCHS")}
        found = inlined(function, given, prints(function, self.wish.show))
        if self.wish.arrays and side == "keras_fit":
            weighted = "w_train" in bound_in(self.data)
            found = fit_on_arrays(found, weighted)
        rebinds = bound_in(found) | makes
        last = side == self.wish.sides[-1]
        if not last and rebinds & {"ds", "test_ds"}:
            raise CannotInlineError("it rebinds the data")
        self._check(found, {"model", "ds", "test_ds"})
        clash = sorted(rebinds & self.later)
        if clash:
            raise CannotInlineError(f"a function before it reads {', '.join(clash)}")
        return found

    def _check(self, body: list[ast.stmt], own: set[str]) -> None:
        """See that statements at the top level take no name from anything else.

        Raises:
            CannotInlineError: they do.
        """
        clash = sorted((bound_in(body) - own) & (self.taken | BUILTINS | {"ds", "test_ds"}))
        if clash:
            raise CannotInlineError(f"{', '.join(clash)} would be bound twice")


def is_definition(item: ast.stmt) -> bool:
    """Whether it is a function or a class."""
    return isinstance(item, (ast.FunctionDef, ast.ClassDef))


def arrays_of(body: list[ast.stmt]) -> ast.Call | None:
    """The call of from_tensor_slices in `ds = ...from_tensor_slices((x, y)).batch(n)`."""
    last = body[-1]
    if not isinstance(last, ast.Assign) or not isinstance(last.value, ast.Call):
        return None
    batch = last.value
    if not (isinstance(batch.func, ast.Attribute) and batch.func.attr == "batch"):
        return None
    if batch.keywords or not isinstance(batch.func.value, ast.Call):
        return None
    slices = batch.func.value
    if not ast.unparse(slices.func).endswith("from_tensor_slices"):
        return None
    given = slices.args[0]
    if not isinstance(given, ast.Tuple) or isinstance(given.elts[0], ast.Tuple):
        return None
    return slices


def with_arrays(body: list[ast.stmt]) -> list[ast.stmt]:
    """The data with its arrays under names of their own.

    Raises:
        CannotInlineError: they are not plain arrays.
    """
    slices = arrays_of(body)
    if slices is None:
        raise CannotInlineError("its data are not plain arrays in batches")
    parts = slices.args[0].elts  # type: ignore[attr-defined]
    names = ["x_train", "y_train", "w_train"][: len(parts)]
    named = [
        ast.Assign([ast.Name(id_, ast.Store())], part)
        for id_, part in zip(names, parts, strict=True)
    ]
    slices.args[0] = ast.Tuple([name(id_) for id_ in names], ast.Load())
    batch = ast.unparse(body[-1].value.args[0])  # type: ignore[attr-defined]
    return [*body[:-1], *named, *parsed(f"batch_size = {batch}"), body[-1]]


def fit_on_arrays(body: list[ast.stmt], weighted: bool) -> list[ast.stmt]:
    """The fit part with arrays in the place of the data set, in the same order and batches.

    Args:
        body: of the fit part.
        weighted: there are sample weights.

    Raises:
        CannotInlineError: fit is not given the data set as it is.
    """
    changed = copied(body)
    calls = [
        node
        for part in changed
        for node in ast.walk(part)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "fit"
    ]
    if len(calls) != 1 or ast.unparse(calls[0].args[0]) != "ds" or "ds" in _beside(changed, calls):
        raise CannotInlineError("fit is not given the data set as it is")
    (call,) = calls
    call.args = [name("x_train"), name("y_train"), *call.args[1:]]
    added = {"batch_size": name("batch_size"), "shuffle": ast.Constant(False)}
    if weighted:
        added["sample_weight"] = name("w_train")
    known = {keyword.arg for keyword in call.keywords}
    new = [ast.keyword(key, value) for key, value in added.items() if key not in known]
    call.keywords = [*new, *call.keywords]
    return changed


def _beside(body: list[ast.stmt], calls: list[ast.Call]) -> set[str]:
    """Names read elsewhere than as the first argument of calls."""
    apart = copied(body)
    text = [ast.unparse(call) for call in calls]
    for part in apart:
        for node in ast.walk(part):
            if isinstance(node, ast.Call) and ast.unparse(node) in text:
                node.args = node.args[1:]
    return read_in(apart)


def called(function: ast.FunctionDef, as_name: str, given: str, show: str) -> list[ast.stmt]:
    """A side as a function of another name, its call, and what it logged shown."""
    renamed = copied(function)
    renamed.name = as_name
    last = function.body[-1]
    call = f"{as_name}({given})"
    if not isinstance(last, ast.Return) or last.value is None:
        return [renamed, *parsed(call)]
    if not isinstance(last.value, ast.Tuple):
        return [renamed, *parsed(f"log = {call}"), *parsed(show.format("log"))]
    return [renamed, *parsed(f"trained, log = {call}"), *parsed(show.format("log"))]
