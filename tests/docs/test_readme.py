"""The documentation is true of the code: its snippets run, and what it names exists."""

from __future__ import annotations

import ast
import io
import itertools
import re
import shlex
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import twintrain
from pipelines.cli.exit_codes import ExitCode
from pipelines.cli.main import app
from tests.conftest import REPOSITORY
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe

README = REPOSITORY / "README.md"
PAGES = [
    README,
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
    *(REPOSITORY / folder / "README.md" for folder in ("kubeflow", "benchmarks", "data")),
]
MOST_WORDS = 900
PACKAGES = {"twintrain", "numpy", "keras", "tensorflow"}
BUILTIN = (
    *("standard", "textbook", "bare", "augmented"),
    *("flights", "opinions", "visits", "fashion"),
)
OF_OTHERS = {"--beam_plugin"}  # Beam's own
# Files a reader makes, and folders that `data import` and `data fetch` make.
READERS_FILES = {
    *("my_training.py", "MODULE.py"),
    *("late.py", "flights.csv", "visits.py", "visits.csv", "new.csv"),
    *("visits.recipe.yaml", "visits.schema.pbtxt"),
}
PLACEHOLDER = re.compile(r"=[A-Z]+$")  # KEY=VALUE, twins.loop=NAME
KERAS_CALLS = {"model.fit"}
READERS_DATA = re.compile(r"data/(photos|cifar10|fashion-mnist|flights|flights-by-month)(/.*)?")
FOLDERS = "twintrain|components|pipelines|benchmarks|tests|docs|kubeflow|requirements|data"
PATH = re.compile(rf"(?:{FOLDERS})/[\w./-]*")
ENDINGS = ("json", "md", "ipynb", "html", "py", "yaml")

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def named(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


every_page = pytest.mark.parametrize("page", PAGES, ids=named)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and content of each code block."""
    return _BLOCK.findall(text_of(page))


def spans(page: Path) -> list[str]:
    """Code within prose and tables; one that goes over a line's end is put together."""
    return [" ".join(span.split()) for span in _SPAN.findall(_BLOCK.sub("", text_of(page)))]


def snippets(page: Path) -> list[str]:
    return [content for language, content in blocks(page) if language == "python"]


WITH_SNIPPETS = [page for page in PAGES if snippets(page)]


def run(snippet: str, namespace: dict[str, Any]) -> int:
    """Run a snippet; a comment behind an expression is its value. The number of values compared."""
    tokens = tokenize.generate_tokens(io.StringIO(snippet).readline)
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT
    }
    compared = 0
    for statement in ast.parse(snippet).body:
        wanted = comments.get(statement.end_lineno or 0)
        if isinstance(statement, ast.Expr) and wanted is not None:
            found = eval(compile(ast.Expression(statement.value), "snippet", "eval"), namespace)
            assert found == ast.literal_eval(wanted), ast.unparse(statement)
            compared += 1
        else:
            exec(compile(ast.Module([statement], []), "snippet", "exec"), namespace)
    return compared


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=named)
def test_snippets_run_as_they_stand(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # As in a reader's own file: a module, which a recipe can name.
    module = ModuleType("of_a_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    compared = sum(run(snippet, vars(module)) for snippet in snippets(page))
    assert compared or page != README


def test_a_snippet_that_says_a_wrong_value_is_found() -> None:
    with pytest.raises(AssertionError, match=r"1 \+ 1"):
        run("1 + 1  # 3\n", {})


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=named)
def test_snippets_import_the_public_face_only(page: Path) -> None:
    for node in (node for code in snippets(page) for node in ast.walk(ast.parse(code))):
        if isinstance(node, ast.Import):
            assert {name.name for name in node.names} <= PACKAGES
        if isinstance(node, ast.ImportFrom):
            assert node.module in PACKAGES
            if node.module == "twintrain":
                assert {name.name for name in node.names} <= set(twintrain.__all__)


def test_what_the_pages_call_of_the_library_is_public() -> None:
    called = {
        name
        for page in PAGES
        for code in (*spans(page), *snippets(page))
        for name in re.findall(r"(?<![\w./])twintrain\.(\w+)\b(?!\.)", code)
    }
    assert {"compare", "lockstep"} <= called
    assert called <= set(twintrain.__all__)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_BLOCK.sub("", text_of(page))):
        if "://" in link:
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place) if place else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@every_page
def test_paths_exist(page: Path) -> None:
    code = [*spans(page), *(content for _, content in blocks(page))]
    words = {word.strip("(),:;") for text in code for word in text.split()}
    missing = {
        word
        for word in words
        if PATH.fullmatch(word)
        and not READERS_DATA.fullmatch(word)
        and not (REPOSITORY / word).exists()
    }
    assert not missing


@every_page
def test_modules_named_without_their_folder_exist(page: Path) -> None:
    names = {span for span in spans(page) if re.fullmatch(r"\w+\.py", span)} - READERS_FILES
    known = {
        path.name
        for folder in ("twintrain", "components", "pipelines", "benchmarks", "requirements")
        for path in (REPOSITORY / folder).rglob("*.py")
    } | {path.name for path in REPOSITORY.glob("*.py")}
    assert names <= known


def command_lines(page: Path) -> Iterator[list[str]]:
    """The arguments of every `twintrain …` in a page's code."""
    code = [*spans(page), *(content for _, content in blocks(page))]
    for line in (line for text in code for line in text.replace("\\\n", " ").splitlines()):
        for part in line.partition("  #")[0].split("&&"):
            found = re.match(r"(?:\.venv/bin/)?twintrain\s+(?!\.)(.+)", part.strip())
            if found and not found[1].startswith("…"):
                yield shlex.split(found[1].strip(" &"))


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that a line names, and its arguments."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"there is no command {words[0]!r}: {words}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def options_of(command: Any) -> set[str]:
    own = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    return own | {"--help"}


def every_option(command: Any) -> set[str]:
    """The options of a command and of all below it."""
    below = getattr(command, "commands", {}).values()
    return options_of(command).union(*(every_option(one) for one in below))


def used(words: list[str]) -> set[str]:
    """The options among arguments, up to those that are passed on."""
    own = words[: words.index("--")] if "--" in words else words
    return {word.partition("=")[0] for word in own if re.match(r"--?[a-z]", word)}


def overrides(words: list[str]) -> tuple[str, list[str]]:
    """The recipe and the fields that arguments set; another's recipe counts as the standard one."""
    after = {"--recipe": [""], "--set": [""]}
    for option, value in itertools.pairwise(words):
        after.get(option, []).append(value)
    recipe = after["--recipe"][-1]
    fields = [field for field in after["--set"][1:] if not PLACEHOLDER.search(field)]
    return recipe if recipe in BUILTIN else "standard", fields


@every_page
def test_commands_options_and_fields_exist(page: Path) -> None:
    for words in command_lines(page):
        command, arguments = command_of(words)
        unknown = used(arguments) - options_of(command)
        assert not unknown, words
        load_recipe(*overrides(arguments))


@every_page
def test_options_named_alone_exist(page: Path) -> None:
    known = every_option(typer.main.get_command(app)) | OF_OTHERS
    for words in (shlex.split(span) for span in spans(page) if re.match(r"--[a-z]", span)):
        assert used(words) <= known, words
        load_recipe(*overrides(words))


def test_command_lines_are_found_and_a_wrong_one_is_noticed() -> None:
    names = {tuple(words)[:1] for page in PAGES for words in command_lines(page)}
    assert {("run",), ("compare",), ("diagnose",), ("explain",), ("trend",)} <= names
    with pytest.raises(AssertionError, match="no command 'compair'"):
        command_of(["compair", "--quick"])
    command, arguments = command_of(["kubeflow", "build", "--push", "--", "--network", "host"])
    assert used(arguments) == {"--push"} <= options_of(command)


@every_page
def test_fields_of_a_recipe_named_alone_exist(page: Path) -> None:
    sections = "|".join(name for name in Recipe.model_fields if name != "loop")
    known = load_recipe("standard").fields()
    named_fields = {
        found[1]
        for span in spans(page)
        if (found := re.match(rf"((?:{sections})\.(\w+))(?:$|: )", span))
        and found[2] not in ENDINGS
    }
    assert named_fields - KERAS_CALLS <= set(known)


def test_all_exit_codes_are_listed() -> None:
    listed = re.findall(r"^\| (\d+) \|", text_of(REPOSITORY / "docs/running.md"), re.MULTILINE)
    assert sorted(map(int, listed)) == sorted(ExitCode)


def test_the_readme_is_short() -> None:
    prose = _BLOCK.sub("", text_of(README))
    words = [line.split() for line in prose.splitlines() if not line.startswith("|")]
    assert sum(map(len, words)) <= MOST_WORDS
