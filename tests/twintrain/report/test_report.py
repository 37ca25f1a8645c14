from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from tests.conftest import REPOSITORY
from twintrain.attribution.result import Explanation
from twintrain.comparison.build import Inputs, build_comparison
from twintrain.comparison.comparison import Comparison
from twintrain.comparison.push_decision import decide
from twintrain.comparison.slices import masks
from twintrain.errors import TwintrainError
from twintrain.parity.divergence import Divergence, LockstepResult
from twintrain.parity.run_agreement import SeedAgreement
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe
from twintrain.report.render import FILES, render_html, write_report
from twintrain.statistics.paired import PairedTable, paired_table

LABELS = np.arange(200) % 10
INK = np.arange(200) % 3
TRIAL = {
    "trial": "0",
    "learning_rate": 0.001,
    "batch_size": 32,
    "val_loss": 0.1,
    "val_accuracy": 0.9,
    "seconds": 1.0,
}


def write_twin(
    folder: Path, twin: str, seeds: tuple[int, ...], wrong: dict[int, list[int]]
) -> None:
    """Records of a twin that gets the examples in `wrong[seed]` wrong."""
    for seed in seeds:
        target = folder / f"seed-{seed}"
        target.mkdir(parents=True)
        chosen = LABELS.copy()
        chosen[wrong.get(seed, [])] = (chosen[wrong.get(seed, [])] + 1) % 10
        ids = np.array([f"eval-{i:08d}" for i in range(200)], np.bytes_)
        np.savez(
            target / "predictions.npz",
            ids=ids,
            labels=LABELS,
            probabilities=np.eye(10, dtype=np.float32)[chosen],
        )
        history = {name: [0.5, 0.25] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
        record = {
            "twin": twin,
            "seed": seed,
            "trained_on": "00ff",
            "history": history,
            "epochs": 2,
            "best_epoch": 1,
        }
        record |= {
            "epoch_seconds": [1.0, 0.5],
            "images_per_second": 1e4,
            "peak_memory_mb": 900.0,
            "devices": ["CPU"],
        }
        (target / "record.json").write_text(json.dumps(record))


def inputs(
    tmp_path: Path,
    recipe: Recipe,
    fit_wrong: dict[int, list[int]] | None = None,
    loop_wrong: dict[int, list[int]] | None = None,
    weights_differ_by: float = 0.0,
) -> Inputs:
    wrong = {"fit": fit_wrong or {}, "loop": loop_wrong or {}}
    right: dict[str, np.ndarray] = {}
    for twin, missed in wrong.items():
        write_twin(tmp_path / twin, twin, recipe.seeds, missed)
        right[twin] = np.ones(200, bool)
        right[twin][missed.get(recipe.seeds[0], [])] = False
    chosen = masks(recipe, {"label": LABELS, "ink": INK})
    evaluator = {
        name: paired_table(right["fit"][mask], right["loop"][mask]) for name, mask in chosen.items()
    }
    agreement = [
        SeedAgreement(
            seed=seed,
            same_batches=True,
            first_different_batch=None,
            max_abs_difference=weights_differ_by,
            same_history=not weights_differ_by,
        )
        for seed in recipe.seeds
    ]
    summary = {"examples": 200, "labels": {str(label): 20 for label in range(10)}}
    return Inputs(
        recipe=recipe,
        fit=tmp_path / "fit",
        loop=tmp_path / "loop",
        trials={"fit": [TRIAL], "loop": [TRIAL]},
        agreement=agreement,
        lockstep=LockstepResult(
            steps=2,
            first=None
            if not weights_differ_by
            else Divergence(
                step=1, stage="update", tensor="<kernel>", max_abs=0.1, max_rel=0.1, max_ulps=9
            ),
            curve=[0.0, weights_differ_by],
        ),
        ink=INK,
        classes=10,
        evaluator=evaluator,
        blessed=True,
        push=decide(recipe.comparison, right["loop"], right["fit"], None, blessed=True),
        data={"train": summary, "eval": summary},
    )


def test_equal_twins_are_identical_in_every_slice(tmp_path: Path) -> None:
    missed = {0: [3, 5], 1: [7], 2: []}
    comparison = build_comparison(inputs(tmp_path, load_recipe("standard"), missed, missed))
    assert comparison.verdict == "identical"
    assert comparison.gap_points == 0
    assert {part.verdict for part in comparison.slices} == {"identical"}
    assert [part.name for part in comparison.slices][:2] == ["overall", "label=0"]
    assert comparison.twins["fit"].accuracy == [0.99, 0.995, 1.0]
    assert "exactly 0" in comparison.sentence


def test_a_worse_loop_is_called_worse(tmp_path: Path) -> None:
    worse = {seed: list(range(0, 60)) for seed in (0, 1, 2)}
    comparison = build_comparison(
        inputs(tmp_path, load_recipe("bare"), {}, worse, weights_differ_by=0.1)
    )
    assert comparison.verdict == "fit_better"
    assert comparison.gap_points == pytest.approx(-30)
    assert comparison.gap_ci95_points[1] < 0
    assert "training.shuffle=false" in comparison.sentence


def test_equal_predictions_of_different_weights_are_not_identical(tmp_path: Path) -> None:
    comparison = build_comparison(inputs(tmp_path, load_recipe("standard"), weights_differ_by=1e-6))
    # 200 examples cannot show equivalence within 0.1 points.
    assert comparison.verdict == "inconclusive"
    assert comparison.gap_ci95_points[0] < 0 < comparison.gap_ci95_points[1]
    assert "and yet weights differ by up to 1.0e-06." in comparison.sentence


def test_without_determinism_rounding_is_named_for_weights_that_differ(tmp_path: Path) -> None:
    recipe = load_recipe("standard", ["execution.deterministic=false"])
    comparison = build_comparison(inputs(tmp_path, recipe, weights_differ_by=1e-6))
    assert (
        "saw the same batches, and weights differ by up to 1.0e-06: with execution.det"
        in comparison.sentence
    )


def test_the_evaluator_may_see_near_ties_of_a_gpu_otherwise(tmp_path: Path) -> None:
    """It runs on a CPU what a GPU has predicted with other rounding."""
    given = inputs(tmp_path, load_recipe("standard"))
    counted = {
        name: paired_table(*(np.arange(table.n) >= 2,) * 2)
        for name, table in given.evaluator.items()
    }
    with pytest.raises(
        TwintrainError, match="is right on 198 examples, its trainer counted 200 of 200"
    ):
        build_comparison(replace(given, evaluator=counted))
    for path in tmp_path.glob("*/seed-0/predictions.npz"):
        with np.load(path) as saved:
            files = dict(saved)
        files["probabilities"] = 0.49 * files["probabilities"] + 0.48 * np.roll(
            files["probabilities"], 1, axis=1
        )
        np.savez(path, **files)
    # On one kind of device nothing rounds so differently.
    with pytest.raises(TwintrainError, match="is right on 198 examples"):
        build_comparison(replace(given, evaluator=counted))
    for path in tmp_path.glob("*/seed-0/record.json"):
        path.write_text(path.read_text().replace('"CPU"', '"GPU"'))
    assert build_comparison(replace(given, evaluator=counted)).evaluator.fit_accuracy == 0.99


def test_one_seed_says_that_seeds_were_not_varied(tmp_path: Path) -> None:
    comparison = build_comparison(inputs(tmp_path, load_recipe("standard", ["seeds=[0]"])))
    assert "seeds were not varied" in comparison.sentence


def test_nan_a_missing_twin_and_contradictions_are_refused(tmp_path: Path) -> None:
    recipe = load_recipe("standard")
    given = inputs(tmp_path, recipe)
    path = tmp_path / "loop" / "seed-1" / "predictions.npz"
    whole = path.read_bytes()
    with np.load(path) as saved:
        content = dict(saved)
    np.savez(path, **(content | {"probabilities": np.full((200, 10), np.nan, np.float32)}))
    with pytest.raises(TwintrainError, match="loop twin with seed 1 predicts NaN"):
        build_comparison(given)
    np.savez(path, **(content | {"labels": content["labels"][::-1]}))
    with pytest.raises(TwintrainError, match="other test examples"):
        build_comparison(given)
    path.unlink()
    with pytest.raises(TwintrainError, match="no predictions for seed 1"):
        build_comparison(given)
    path.write_bytes(whole)
    given.evaluator["label=3"] = PairedTable(10, 0, 0, 10)
    with pytest.raises(TwintrainError, match=r"slice label=3"):
        build_comparison(given)


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


def test_the_page_says_that_nothing_was_searched(tmp_path: Path) -> None:
    recipe = load_recipe("standard", ["tuning.trials=0"])
    given = replace(inputs(tmp_path, recipe), trials={"fit": [], "loop": []})
    page = render_html(build_comparison(given))
    assert "Nothing was searched" in page
    assert "Tuning trials" not in page
    assert "the searches show" not in page


def test_writing_replaces_whole_files_only(tmp_path: Path) -> None:
    comparison = build_comparison(inputs(tmp_path, load_recipe("standard")))
    for _ in range(2):
        write_report(comparison, tmp_path / "report")
    assert {path.name for path in (tmp_path / "report").iterdir()} == set(FILES)


def explanation(**changes: object) -> Explanation:
    share = {
        "points": -1.0,
        "ci95": (-2.0, -0.5),
        "p_value": 0.01,
        "named": True,
        "changes": {"x.y": (1, 2)},
    }
    content = {
        "sentence": "Of a gap of -1.00 points <b>shuffling</b> accounts for all.",
        "start": "fit",
        "end": "loop",
        "gap_points": -1.0,
        "gap_ci95": (-2.0, -0.5),
        "start_accuracy": [0.9],
        "end_accuracy": [0.89],
        "shares": [
            {"practice": "shuffling", **share},
            {"practice": "<i>own</i>", **share, "idle": "changes no bit"},
        ],
        "interactions": [
            {
                "practices": ("shuffling", "augmentation"),
                "points": 0.5,
                "ci95": (0.1, 0.9),
                "p_value": 0.01,
            }
        ],
        "restored": {"practices": ["shuffling"], "gap_points": 0.0, "ci95": (0.0, 0.0)},
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


def test_crosses_small_slices_and_absent_classes_are_said(tmp_path: Path) -> None:
    recipe = load_recipe("bare", ["comparison.slices=[[label, ink]]"])
    given = replace(inputs(tmp_path, recipe, {}, {0: [4]}, 0.1), classes=11)
    given.data["train"] = {"examples": 205, "labels": given.data["train"]["labels"] | {"10": 5}}
    comparison = build_comparison(given)
    assert [part.name for part in comparison.slices[1:3]] == [
        "label=0 ink=light",
        "label=0 ink=medium",
    ]
    assert sum(part.n for part in comparison.slices[1:]) == 200
    assert comparison.notes[0] == "No test example has label=10: nothing can be said about it."
    assert comparison.notes[1].startswith(
        "Slices of fewer than 30 test examples tell little by themselves"
    )
    assert "No test example has label=10" in render_html(comparison)


def test_mistakes_are_counted_over_all_seeds(tmp_path: Path) -> None:
    comparison = build_comparison(
        inputs(tmp_path, load_recipe("bare"), {0: [3]}, {0: [3], 1: [3, 13], 2: [5]}, 0.1)
    )
    assert sum(map(sum, comparison.confusion.loop)) == 600
    assert comparison.confusion.loop[3][4] == 3
    assert comparison.confusion.fit[3][4] == 1
    assert comparison.disagreement_count == 3
    assert {(d.example_id, d.seed, d.fit, d.loop) for d in comparison.disagreements} == {
        ("eval-00000003", 1, 3, 4),
        ("eval-00000013", 1, 3, 4),
        ("eval-00000005", 2, 5, 6),
    }


def test_why_nothing_is_pushed_is_said(tmp_path: Path) -> None:
    worse = {seed: list(range(60)) for seed in (0, 1, 2)}
    write_report(
        build_comparison(inputs(tmp_path, load_recipe("bare"), {}, worse, 0.1)), tmp_path / "report"
    )
    for name in ("report.html", "summary.md", "model_card.md"):
        text = (tmp_path / "report" / name).read_text()
        assert "Not pushed" in text
        assert "accuracy 70.00%, the floor is 90.00%" in text
