from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing, ModelRun

from components.push_gate import FILE, PushGate, outputs_of
from tests.twintrain.training.records import write_record
from twintrain.comparison.push_decision import PushDecision, last_pushed
from twintrain.errors import TwintrainError
from twintrain.problems.statement import IMAGES
from twintrain.recipe.files import load_recipe
from twintrain.recipe.recipe import Recipe
from twintrain.training.identity import Identity


class Threes(tf.Module):
    """Says 3 of every image, which must have as many bytes as it was made for."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {"image": tf.io.FixedLenFeature([], tf.string)}
        pixels = tf.io.decode_raw(tf.io.parse_example(examples, spec)["image"], tf.uint8)
        pixels = tf.reshape(pixels, [-1, self.size])
        return {"probabilities": tf.one_hot(tf.fill([tf.shape(pixels)[0]], 3), 10)}


def export(folder: Path, size: int) -> Path:
    model = Threes(size)
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
    return folder


@pytest.fixture
def examples(tmp_path: Path) -> str:
    path = str(tmp_path / "examples" / "Split-eval" / "examples.gz")
    Path(path).parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for number in (2, 1, 0):
            feature = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[bytes(16)])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number + 2])),
                "example_id": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[b"eval-%d" % number])
                ),
            }
            writer.write(
                tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
            )
    return path


def test_the_twin_pushed_last_answers_in_the_order_of_the_ids(
    tmp_path: Path, examples: str
) -> None:
    for version in ("9", "10", "notes"):
        export(tmp_path / "pushed" / version, 16)
    newest = last_pushed(tmp_path / "pushed")
    assert newest == tmp_path / "pushed" / "10"
    found = outputs_of(newest, (examples,))
    assert IMAGES.task.scores(np.array([2, 3, 4]), found).tolist() == [0, 1, 0]


def test_a_twin_pushed_for_other_images_is_said(tmp_path: Path, examples: str) -> None:
    with pytest.raises(TwintrainError, match="does not take these examples") as refused:
        outputs_of(export(tmp_path / "1", 49), (examples,))
    assert "--root" in refused.value.remedy


def at(kind: type, folder: Path):
    artifact = kind()
    artifact.uri = str(folder)
    return artifact


def trained(folder: Path, recipe: Recipe, code: str = "c") -> Path:
    """What a Trainer leaves that is right on one of three examples: an exported twin and its
    record.
    """
    identity = Identity(
        twin="loop",
        seed=0,
        recipe_hash=recipe.hash,
        trained_on="d",
        weights=recipe.hash,
        code=code,
    )
    model = export(folder / "model" / "Format-Serving", 16)
    (model / Identity.FILE).write_text(identity.model_dump_json())
    answers = np.eye(10, dtype=np.float32)[[3, 3, 3]]
    write_record(folder / "run" / "seed-0", targets=np.array([2, 3, 4]), outputs=answers)
    (folder / "blessing").mkdir()
    (folder / "blessing" / "BLESSED").touch()
    return folder


def gate(twin: Path, recipe: Recipe, pushed: Path) -> tuple[PushDecision, bool]:
    """The decision about a twin, and whether it was told the Pusher, which then puts it there."""
    decision = at(
        ModelBlessing, pushed.parent / f"decision-{len(list(pushed.parent.glob('decision-*')))}"
    )
    PushGate.EXECUTOR_SPEC.executor_class._FUNCTION(
        examples=at(Examples, pushed.parent / "examples"),
        candidate=at(Model, twin / "model"),
        fit_run=at(ModelRun, twin / "run"),
        loop_run=at(ModelRun, twin / "run"),
        blessing=at(ModelBlessing, twin / "blessing"),
        decision=decision,
        destination=str(pushed),
        in_place="",
        recipe=recipe.model_dump_json(),
        code="",
    )
    blessed = bool(decision.get_int_custom_property("blessed"))
    assert (Path(decision.uri) / "BLESSED").exists() == blessed
    if blessed:
        shutil.copytree(
            twin / "model" / "Format-Serving", pushed / str(1 + len(list(pushed.glob("*"))))
        )
    return PushDecision.model_validate_json((Path(decision.uri) / FILE).read_text()), blessed


def test_a_twin_is_pushed_once_and_again_after_another(tmp_path: Path, examples: str) -> None:
    pushed = tmp_path / "pushed"
    first, second = (
        load_recipe(
            "standard", ["seeds=[0]", "comparison.threshold=0.1", f"training.epochs={epochs}"]
        )
        for epochs in (3, 4)
    )
    a, b = trained(tmp_path / "a", first), trained(tmp_path / "b", second)
    found, told = gate(a, first, pushed)
    assert (found.pushed, told, found.checks[2].text) == (
        True,
        True,
        "nothing has been pushed before",
    )
    found, told = gate(a, first, pushed)
    assert (found.pushed, told, found.checks[2].text) == (
        True,
        False,
        "it is this very twin, version 1",
    )
    found, told = gate(b, second, pushed)
    assert (found.pushed, told) == (True, True)
    assert "against the last pushed" in found.checks[2].text
    found, told = gate(a, first, pushed)
    assert (found.pushed, told) == (True, True)
    assert last_pushed(pushed) == pushed / "3"
    exported_anew = trained(tmp_path / "c", first, code="mended")
    assert gate(exported_anew, first, pushed)[1]  # the same weights in another SavedModel


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "+0.00 points against the last pushed, -0.10 is allowed"),
        ("{", "version 7 was changed after it was pushed and counts no more"),
    ],
)
def test_what_lies_there_without_a_name_is_another_twin(
    tmp_path: Path, examples: str, text: str | None, said: str
) -> None:
    recipe = load_recipe("standard", ["seeds=[0]", "comparison.threshold=0.1"])
    version = export(tmp_path / "pushed" / "7", 16)
    if text is not None:
        (version / Identity.FILE).write_text(text)
    found, told = gate(trained(tmp_path / "a", recipe), recipe, tmp_path / "pushed")
    assert (found.pushed, told) == (True, True)
    assert found.checks[2].text == said


def sealed(twin: Path) -> Path:
    """As a Trainer leaves it: with the digests of its files."""
    model = twin / "model" / "Format-Serving"
    known = Identity.beside(model)
    assert known is not None
    (model / Identity.FILE).write_text(Identity.with_files(known, model).model_dump_json())
    return twin


def test_a_pushed_twin_whose_files_were_changed_counts_no_more(
    tmp_path: Path, examples: str
) -> None:
    recipe = load_recipe("standard", ["seeds=[0]", "comparison.threshold=0.1"])
    twin, pushed = sealed(trained(tmp_path / "a", recipe)), tmp_path / "pushed"
    assert gate(twin, recipe, pushed)[1]
    warmup = pushed / "1" / "assets.extra" / "tf_serving_warmup_requests"
    warmup.parent.mkdir()
    warmup.touch()
    assert not Identity.altered(pushed / "1")
    assert not gate(twin, recipe, pushed)[1]  # it stands there
    graph = pushed / "1" / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:-20])
    assert Identity.altered(pushed / "1")
    found, told = gate(twin, recipe, pushed)
    assert (found.pushed, told) == (True, True)
    assert found.checks[2].text == "version 1 was changed after it was pushed and counts no more"


def test_a_twin_is_held_against_the_newest_that_is_still_what_was_pushed(
    tmp_path: Path, examples: str
) -> None:
    recipes = [
        load_recipe("standard", ["seeds=[0]", "comparison.threshold=0.1", f"training.epochs={n}"])
        for n in (3, 4)
    ]
    first, second = (
        sealed(trained(tmp_path / name, recipe)) for name, recipe in zip("ab", recipes, strict=True)
    )
    pushed = tmp_path / "pushed"
    assert gate(first, recipes[0], pushed)[1]
    assert gate(second, recipes[1], pushed)[1]
    (pushed / "2" / "twin.json").touch()
    (pushed / "2" / "saved_model.pb").write_bytes(b"cut")
    found, told = gate(first, recipes[0], pushed)
    assert (found.checks[2].text, told) == ("it is this very twin, version 1", False)


def test_the_same_twin_exported_anew_is_the_same_twin(tmp_path: Path, examples: str) -> None:
    recipe = load_recipe("standard", ["seeds=[0]", "comparison.threshold=0.1"])
    first, again = (trained(tmp_path / name, recipe) for name in "ab")
    (again / "model" / "Format-Serving" / "twin.keras").write_text("saved at another time")
    pushed = tmp_path / "pushed"
    assert gate(sealed(first), recipe, pushed)[1]
    assert not gate(sealed(again), recipe, pushed)[1]
