"""The page, the summary and the model card of comparisons made by hand."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest

from tests.conftest import REPOSITORY
from tests.twintrain.comparison.records import inputs
from twintrain.attribution.result import Explanation
from twintrain.comparison.build import build_comparison
from twintrain.comparison.comparison import Comparison
from twintrain.problems.metric import ACCURACY
from twintrain.recipe.files import load_recipe
from twintrain.report.render import FILES, render_html, write_report


def test_the_schema_in_docs_is_the_one_the_code_writes(tmp_path: Path) -> None:
    schema = json.loads((REPOSITORY / "docs" / "comparison.schema.json").read_text())
    assert schema == Comparison.model_json_schema(), "run `make schema`"
    write_report(build_comparison(inputs(tmp_path, load_recipe("standard"))), tmp_path / "report")
    jsonschema.validate(json.loads((tmp_path / "report" / "comparison.json").read_text()), schema)


class Tags(HTMLParser):
    """Collects what a page would load and run."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.loads += [
            value or ""
            for name, value in attributes
            if name in ("src", "srcset", "data") or (name == "href")
        ]


def test_the_page_is_self_contained_and_escapes_what_it_shows(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    recipe = load_recipe("standard").model_copy(update={"name": hostile})
    page = render_html(build_comparison(inputs(tmp_path, recipe)))
    tags = Tags()
    tags.feed(page)
    assert tags.scripts == 0
    assert all(target.startswith(("#", "data:image/png;base64,")) for target in tags.loads)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r"url\((?!#)", page)
    assert len(page) < 3_000_000


def test_the_page_says_where_the_twins_part(tmp_path: Path) -> None:
    apart = render_html(
        build_comparison(inputs(tmp_path / "a", load_recipe("standard"), weights_differ_by=0.1))
    )
    assert "after step 2 the update differs by up to 0.1 (&lt;kernel&gt;)" in apart
    assert "Largest weight difference after each step" in apart
    together = render_html(build_comparison(inputs(tmp_path / "b", load_recipe("standard"))))
    assert "equal in every bit" in " ".join(together.split())


def test_of_two_phases_the_page_says_which_was_taken_step_by_step(tmp_path: Path) -> None:
    frozen = ["training.epochs=3", "fine_tuning.frozen_epochs=1", "fine_tuning.layers=[a, b]"]
    page = render_html(build_comparison(inputs(tmp_path, load_recipe("standard", frozen))))
    assert "of the first phase, in which a, b are frozen" in " ".join(page.split())
    assert "first phase" not in render_html(
        build_comparison(inputs(tmp_path / "one", load_recipe("standard")))
    )


@pytest.mark.parametrize(
    ("module", "said"),
    [(None, ""), ("late", " --problem late.py --data …"), ("package.late", " --data …")],
)
def test_the_page_says_how_to_get_it_again(tmp_path: Path, module: str | None, said: str) -> None:
    made = build_comparison(inputs(tmp_path, load_recipe("standard")))
    recipe = made.recipe | {"problem": {"module": module}}
    page = render_html(made.model_copy(update={"recipe": recipe}))
    assert f"--recipe recipe.yaml{said}</code>" in page


def test_the_page_says_that_nothing_was_searched(tmp_path: Path) -> None:
    recipe = load_recipe("standard", ["tuning.trials=0"])
    given = replace(inputs(tmp_path, recipe), trials={"fit": [], "loop": []})
    page = render_html(build_comparison(given))
    assert "Nothing was searched" in page
    assert "Tuning trials" not in page
    assert "the searches show" not in page


def test_what_the_evaluator_counted_beside_accuracy_is_shown(tmp_path: Path) -> None:
    given = inputs(tmp_path, load_recipe("standard"))
    assert given.pipeline is not None
    counted = {**given.pipeline.metrics, "top_2_accuracy": (0.98765, 0.5)}
    page = render_html(
        build_comparison(replace(given, pipeline=replace(given.pipeline, metrics=counted)))
    )
    assert "Evaluator, top_2_accuracy</th><td>fit 0.9877, loop 0.5000" in page


def test_trials_of_a_search_of_ones_own_are_drawn(tmp_path: Path) -> None:
    own = {"trial": "0", "status": "COMPLETED", "l2": 0.01, "val_loss": 0.25, "seconds": 1.0}
    given = replace(inputs(tmp_path, load_recipe("standard")), trials={"fit": [own], "loop": [own]})
    page = render_html(build_comparison(given))
    assert "Tuning trials of both twins" in page
    assert "fit, trial 0: l2 0.01, val loss 0.25" in page


def test_writing_replaces_whole_files_only(tmp_path: Path) -> None:
    comparison = build_comparison(inputs(tmp_path, load_recipe("standard")))
    for _ in range(2):
        write_report(comparison, tmp_path / "report")
    assert {path.name for path in (tmp_path / "report").iterdir()} == set(FILES)


def explanation(**changes: object) -> Explanation:
    share = {
        "worth": -1.0,
        "ci95": (-2.0, -0.5),
        "p_value": 0.01,
        "named": True,
        "changes": {"x.y": (1, 2)},
    }
    content = {
        "sentence": "Of a gap of -1.00 points <b>shuffling</b> accounts for all.",
        "start": "fit",
        "end": "loop",
        "metric": ACCURACY,
        "gap": -1.0,
        "gap_ci95": (-2.0, -0.5),
        "start_scores": [0.9],
        "end_scores": [0.89],
        "shares": [
            {"practice": "shuffling", **share},
            {"practice": "<i>own</i>", **share, "idle": "changes no bit"},
        ],
        "interactions": [
            {
                "practices": ("shuffling", "augmentation"),
                "worth": 0.5,
                "ci95": (0.1, 0.9),
                "p_value": 0.01,
            }
        ],
        "restored": {"practices": ["shuffling"], "gap": 0.0, "ci95": (0.0, 0.0)},
        "design": "full",
        "combinations": [],
        "seeds": [0],
        "test_examples": 200,
        "trainings": 2,
        "reused": 0,
        "seconds": 1.0,
        "training_seconds": 1.0,
        "framework": 0.0,
        "notes": ["seeds were not varied"],
    }
    return Explanation.model_validate(content | changes)


def test_the_attribution_is_on_the_page_and_in_the_summary(tmp_path: Path) -> None:
    given = replace(
        inputs(tmp_path, load_recipe("bare"), {}, {0: [1, 2]}, 0.1), attribution=explanation()
    )
    write_report(build_comparison(given), tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Where the gap comes from" in page
    assert 'aria-label="Share of every practice in the gap, with 95 % intervals"' in page
    assert "nothing of the" in page
    assert "<b>shuffling</b>" not in page
    assert "<i>own</i>" not in page
    assert "Shuffling and augmentation together are worth +0.50 points more than apart" in " ".join(
        page.split()
    )
    summary = (tmp_path / "report" / "summary.md").read_text()
    assert r"\<b\>shuffling\</b\> accounts for all" in summary


def test_label_names_are_shown_as_text_everywhere(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "$x$ | `y`", *"cdefghij"]
    recipe = load_recipe("bare", [f"comparison.label_names={json.dumps(names)}"])
    comparison = build_comparison(inputs(tmp_path, recipe, {}, {0: list(range(40))}, 0.1))
    images = {example.example_id: b"png" for example in comparison.disagreements}
    write_report(comparison, tmp_path / "report", images)
    page = (tmp_path / "report" / "report.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.scripts == 0
    assert page.count("data:image/png;base64,") == len(comparison.disagreements) == 24
    assert "label=&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "$x$ | `y`" in page
    for name in ("summary.md", "model_card.md"):
        text = (tmp_path / "report" / name).read_text()
        assert "<script>" not in text
        assert "`y`" not in text.replace(r"\`", "")


def test_why_nothing_is_pushed_is_said(tmp_path: Path) -> None:
    worse = {seed: list(range(60)) for seed in (0, 1, 2)}
    write_report(
        build_comparison(inputs(tmp_path, load_recipe("bare"), {}, worse, 0.1)), tmp_path / "report"
    )
    for name in ("report.html", "summary.md", "model_card.md"):
        text = (tmp_path / "report" / name).read_text()
        assert "Not pushed" in text
        assert "accuracy 70.00%, the floor is 90.00%" in text


def test_without_the_pipeline_the_page_leaves_its_sections_out(tmp_path: Path) -> None:
    given = replace(
        inputs(tmp_path, load_recipe("standard")), pipeline=None, lockstep=None, trials={}
    )
    write_report(build_comparison(given), tmp_path / "report")
    assert {path.name for path in (tmp_path / "report").iterdir()} == {*FILES} - {"model_card.md"}
    page = (tmp_path / "report" / "report.html").read_text()
    for heading in ("Pushed", "Tuning", "Step by step", "Evaluator"):
        assert heading not in page
    assert "twintrain compare --recipe recipe.yaml" in page


def test_a_comparison_of_an_older_version_is_still_drawn(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "example" / "comparison.json").read_text(encoding="utf-8")
    older = Comparison.model_validate_json(text)
    assert "twins" not in older.recipe
    write_report(older, tmp_path)
    assert "Keras model" in (tmp_path / "model_card.md").read_text(encoding="utf-8")


def test_warnings_stand_before_everything_else(tmp_path: Path) -> None:
    found = build_comparison(inputs(tmp_path, load_recipe("standard")))
    warned = found.model_copy(update={"warnings": ["Both twins: <nothing> was learned."]})
    page = render_html(warned)
    assert page.index("Both twins: &lt;nothing&gt; was learned.") < page.index("Where they differ")
    write_report(warned, tmp_path / "report")
    for name in ("summary.md", "model_card.md"):
        assert "was learned" in (tmp_path / "report" / name).read_text(encoding="utf-8")


def test_a_page_lets_nothing_in_and_nothing_run(tmp_path: Path) -> None:
    page = render_html(build_comparison(inputs(tmp_path, load_recipe("standard"))))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert policy.start() < page.index("<title>")


def test_the_model_card_does_not_say_unseen_of_what_was_seen(tmp_path: Path) -> None:
    found = build_comparison(inputs(tmp_path, load_recipe("standard")))
    shared = found.data["eval"] | {"overlap": {"repeated": 12}}
    write_report(found.model_copy(update={"data": found.data | {"eval": shared}}), tmp_path / "r")
    card = (tmp_path / "r" / "model_card.md").read_text(encoding="utf-8")
    assert "12 of which have the inputs of a training example" in card
    assert "which no training saw" not in card
