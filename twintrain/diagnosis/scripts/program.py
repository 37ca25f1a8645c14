"""Somebody's script as a program that can be run again and again in this process, from its start
each time.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import io
import linecache
import os
import re
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twintrain.diagnosis.scripts.loop_marks import HOOK, marked
from twintrain.diagnosis.scripts.loops import Loops
from twintrain.diagnosis.scripts.one_replica import without_strategies
from twintrain.diagnosis.scripts.source import Source, read
from twintrain.diagnosis.scripts.traced_flags import TracedFlags

# Bytes of an array from which on it is not kept beyond a run.
LARGE_BYTES = 4_000_000


_TRAINS = re.compile(r"\.fit\(|GradientTape|train_on_batch|\btrain\w*\(")


class Finished(BaseException):
    """Raised inside a program when what follows need not be seen."""


class AsksForInputError(Exception):
    """The program waits for somebody to type."""


@dataclass
class Program:
    """A script.

    Attributes:
        source: it.
        path: the file to be run; of a notebook, its code written to a file.
        folder: where it is run, and all of its own code lies.
        arguments: `sys.argv` behind the name.
    """

    source: Source
    path: Path
    folder: Path
    arguments: Sequence[str] = ()
    _code: dict[str, types.CodeType] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As it was named."""
        return str(self.source.path)

    def compiled(self, path: Path) -> types.CodeType:
        """The code of one of its files, loops marked.

        Raises:
            TwintrainError: it does not parse.
        """
        name = str(path)
        if name not in self._code:
            tree = marked(read(path).tree, name)
            self._code[name] = compile(tree, name, "exec", dont_inherit=True)
        return self._code[name]

    def trains_behind(self, error: Exception) -> bool:
        """Whether what stands behind the line that raised may train; by what is written there."""
        trace, line = error.__traceback__, None
        while trace is not None and line is None:
            line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(self.path) else None
            trace = trace.tb_next
        behind = self.path.read_text(encoding="utf-8").splitlines()[line:] if line else []
        return bool(_TRAINS.search("\n".join(behind)))

    def run(self, loops: Loops) -> dict[str, Any]:
        """Run it from its start to its end, or until `Finished` is raised.

        Returns:
            Its globals; also where it was left by `Finished`.

        Raises:
            Exception: whatever it raises.
        """
        module = types.ModuleType("__main__")
        module.__file__ = str(self.path)
        namespace = vars(module)
        namespace |= {HOOK: loops, "display": _ignored, "get_ipython": _ignored}
        with self._as_main(module, loops), contextlib.suppress(Finished, SystemExit):
            exec(self.compiled(self.path), namespace)  # noqa: S102 - what the user asked for
        _let_go(namespace)
        return namespace

    @contextmanager
    def _as_main(self, module: types.ModuleType, loops: Loops) -> Iterator[None]:
        """The surroundings that a script expects: arguments, folder, modules beside it."""
        before = dict(sys.modules)
        main, argv, folder = sys.modules["__main__"], sys.argv, Path.cwd()
        with ExitStack() as stack:
            stack.enter_context(_replaced(builtins, "input", _asked))
            stack.enter_context(_replaced(os, "_exit", _left))
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            stack.enter_context(TracedFlags().on())
            stack.enter_context(without_strategies())
            finder = _Finder(self, loops)
            sys.meta_path.insert(0, finder)
            stack.callback(sys.meta_path.remove, finder)
            sys.modules["__main__"] = module
            sys.argv = [str(self.path), *self.arguments]
            os.chdir(self.folder)
            beside = str(self.path.parent)
            sys.path.insert(0, beside)
            try:
                yield
            finally:
                with contextlib.suppress(ValueError):
                    sys.path.remove(beside)
                os.chdir(folder)
                sys.argv, sys.modules["__main__"] = argv, main
                self._forget_modules(before)
                linecache.checkcache()

    def _forget_modules(self, before: dict[str, types.ModuleType]) -> None:
        """Modules beside the script are loaded anew with each run."""
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name not in before and file and Path(file).is_relative_to(self.folder):
                del sys.modules[name]


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads the modules beside a script with their loops marked."""

    def __init__(self, program: Program, loops: Loops) -> None:
        self._program, self._loops = program, loops

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        folders = [p or str(Path.cwd()) for p in sys.path] if path is None else list(path)
        spec = importlib.machinery.PathFinder.find_spec(name, folders)
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            return None
        if not Path(spec.origin).is_relative_to(self._program.folder):
            return None
        spec.loader = self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        vars(module)[HOOK] = self._loops
        code = self._program.compiled(Path(str(module.__file__)))
        exec(code, vars(module))  # noqa: S102 - what the user asked for


def _let_go(namespace: dict[str, Any]) -> None:
    """Let go of large arrays: models that are looked at later hold the globals they were written
    among, and each run has its own.
    """
    for name, value in list(namespace.items()):
        if getattr(value, "nbytes", 0) > LARGE_BYTES:
            del namespace[name]
    gc.collect()


@contextmanager
def _replaced(owner: Any, name: str, new: Any) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, new)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _asked(prompt: object = "") -> str:
    told = f" ({prompt})" if str(prompt).strip() else ""
    raise AsksForInputError(f"it asks for input here{told}, and nobody is there to type")


def _left(status: int = 0) -> None:
    raise SystemExit(status)


def _ignored(*_: Any, **__: Any) -> Any:
    return None
