"""A problem of the user's own on Kubeflow: its file and its schema travel with the pipeline."""

from __future__ import annotations

import base64
import csv
import json
import os
import random
import shutil
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.cli.kubeflow_options import Asked, compile_to
from pipelines.cli.main import app
from pipelines.kfp.cluster import Cluster
from pipelines.kfp.runner import compile_pipeline, on_cluster
from pipelines.shipped import Shipped, ship, unpack
from tests.pipelines.kfp.launcher import Launcher, stage_below
from twintrain.errors import TwintrainError

ROOT = "minio://mlpipeline/v2/artifacts"
SMALL = [
    "seeds=[0]",
    "training.epochs=1",
    "tuning.trials=1",
    "tuning.examples=100",
    "data.limit=400",
]
TRAINS = "Trainer-fit"


@pytest.fixture(autouse=True)
def as_in_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage_below(tmp_path, monkeypatch)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    monkeypatch.delitem(sys.modules, "visits", raising=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user has looked at a table and written a problem."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    chance = random.Random(0)
    with (folder / "visits.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["age", "city", "paid"])
        for _ in range(800):
            age, city = chance.randrange(18, 90), chance.choice(["Rome", "Oslo", "Lima"])
            rows.writerow([age, city, "yes" if chance.random() < age / 100 else "no"])
    made = CliRunner().invoke(app, ["new", "visits", "--data", "visits.csv", "--label", "paid"])
    assert made.exit_code == 0, made.output
    return folder


def cluster(tmp_path: Path, **more: Any) -> Cluster:
    settings = {"image": "registry/twintrain:1", "pipeline_root": ROOT}
    places = {name: str(tmp_path / name) for name in ("data", "schema", "work", "records")}
    return Cluster.model_validate({**settings, **places, **more})


def asked(home: Path, *overrides: str) -> Asked:
    return Asked(
        str(home / "visits.recipe.yaml"),
        [*SMALL, *overrides],
        problem=str(home / "visits.py"),
        schema=home / "visits.schema.pbtxt",
    )


@pytest.mark.e2e
@pytest.mark.in_turn(1)
def test_steps_have_what_travelled_and_nothing_else(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = cluster(tmp_path)
    spec = compile_pipeline(on_cluster(asked(home).config(), chosen), chosen).spec
    (tmp_path / "data").mkdir()
    (home / "visits.csv").rename(tmp_path / "data" / "visits.csv")
    shutil.rmtree(home)  # the user's own machine is not the pods'
    monkeypatch.chdir(tmp_path)
    sys.path.remove(str(home))
    del sys.modules["visits"]
    launcher = Launcher(spec, ROOT, tmp_path, {"overrides": ["training.batch_size=50"]})
    # A component with Beam stages, one without, one that trains; what comes after these reads what
    # was trained, as for images.
    first = list(
        dict.fromkeys(
            one for name in ("LeakCheck", TRAINS) for one in (*launcher.needs(name), name)
        )
    )
    assert {"ExampleGen", "Transform", "LeakCheck", TRAINS} <= set(first)
    assert {name: launcher.run(name) for name in first} == dict.fromkeys(first, 0)
    assert "twintrain-shipped-" in str(sys.modules["visits"].__file__)
    splits = launcher.outputs["ExampleGen", "examples"]["metadata"]
    assert json.loads(splits["split_names"]) == ["train", "eval"]
    run = launcher.outputs["Trainer-fit", "model_run"]["uri"].removeprefix("minio://")
    assert (tmp_path / "bucket" / run / "seed-0" / "record.json").exists()


def test_what_is_compiled_does_not_say_where(home: Path, tmp_path: Path) -> None:
    """The same files, compiled elsewhere, are the same pipeline: its results are found again."""
    chosen = cluster(tmp_path)
    spec = compile_pipeline(on_cluster(asked(home).config(), chosen), chosen).spec
    assert str(home) not in json.dumps(spec)


@pytest.mark.parametrize(
    ("problem", "schema", "said"),
    [
        ("visits.py", None, "needs --schema"),
        (None, "visits.schema.pbtxt", "and none is named"),
        ("other.py", "visits.schema.pbtxt", "no Python file 'other.py'"),
        ("visits.py", "other.pbtxt", "other.pbtxt cannot be read"),
        ("visits.py", "visits.csv", "visits.csv is not a schema"),
    ],
)
def test_files_that_are_missing_or_do_not_fit(
    home: Path, problem: str | None, schema: str | None, said: str
) -> None:
    with pytest.raises(TwintrainError, match=said):
        Asked("standard", [], problem, None if schema is None else Path(schema)).config()


def test_a_column_that_the_schema_does_not_have_is_said_before_anything_is_compiled(
    home: Path,
) -> None:
    file = home / "visits.py"
    file.write_text(file.read_text().replace('LABEL = "paid"', 'LABEL = "payed"'))
    del sys.modules["visits"]
    with pytest.raises(TwintrainError, match="payed"):
        asked(home).config()


def test_beam_workers_outside_the_pods_are_refused(home: Path, tmp_path: Path) -> None:
    volume = {"claim": "twintrain", "mount": str(tmp_path)}
    flink = {"Transform": {"beam": ["--runner=FlinkRunner", "--flink_master=flink:8081"]}}
    chosen = cluster(tmp_path, volumes=[volume], nodes=flink)
    with pytest.raises(TwintrainError, match="workers of Transform's Beam runner are elsewhere"):
        compile_to(asked(home), chosen, tmp_path / "pipeline.yaml")


def test_a_loop_travels_and_the_schema_of_images_stays_the_clusters(
    home: Path, tmp_path: Path
) -> None:
    (home / "my_loop.py").write_text("def custom_loop(model, dataset, epochs): ...\n")
    config = Asked("standard", loop="my_loop.py").config()
    assert config.shipped is not None
    assert set(config.shipped.texts()) == {"my_loop.py"}
    assert config.recipe.twins.loop == "my_loop:custom_loop"
    there = on_cluster(config, cluster(tmp_path))
    assert there.schema_file == tmp_path / "schema"
    compiled = compile_pipeline(there, cluster(tmp_path)).spec
    declared = compiled["root"]["inputDefinitions"]["parameters"]["config"]["defaultValue"]
    assert json.loads(declared)["schema_file"] == str(tmp_path / "schema")


def test_what_a_module_imports_from_beside_it_travels_too(home: Path) -> None:
    (home / "shared_columns.py").write_text("import numbers_of_ours\n")
    (home / "numbers_of_ours.py").write_text("import json\n")
    file = home / "visits.py"
    file.write_text(f"from shared_columns import numbers_of_ours\n{file.read_text()}")
    del sys.modules["visits"]
    shipped = asked(home).config().shipped
    assert shipped is not None
    assert shipped.modules == ["visits.py", "shared_columns.py", "numbers_of_ours.py"]
    (home / "package_of_ours").mkdir()
    (home / "package_of_ours" / "__init__.py").touch()
    file.write_text(f"import package_of_ours\n{file.read_text()}")
    with pytest.raises(TwintrainError, match="imports the package"):
        asked(home).config()


def test_two_files_of_one_name_are_refused(home: Path) -> None:
    (home / "other").mkdir()
    (home / "other" / "visits.py").touch()
    with pytest.raises(TwintrainError, match="imported by the same name"):
        ship([home / "visits.py", home / "other" / "visits.py"], None)


def test_what_is_no_package_of_ours_is_said() -> None:
    for packed in ("", "AAAA", "no base64", ship_text("[" * 5_000_000)):
        with pytest.raises(TwintrainError, match="cannot be unpacked"):
            Shipped(packed=packed).texts()


def ship_text(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode())).decode()


def test_modules_are_not_imported_from_somebody_elses_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = asked(home).config().shipped
    assert shipped is not None
    folder = unpack(shipped)
    assert (folder / "visits.py").read_text() == (home / "visits.py").read_text()
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(TwintrainError, match="somebody else's"):
        unpack(shipped)


def test_what_is_too_large_for_an_argument_does_not_travel(home: Path) -> None:
    file = home / "visits.py"
    noise = random.Random(0).randbytes(60_000).hex()
    file.write_text(f"{file.read_text()}\n# {noise}\n")
    with pytest.raises(TwintrainError, match="too large to travel"):
        asked(home).config()
