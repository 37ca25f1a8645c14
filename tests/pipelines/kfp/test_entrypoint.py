from __future__ import annotations

import json
import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components import staging
from pipelines.config import REPOSITORY, RunConfig
from pipelines.kfp import entrypoint
from pipelines.kfp.cluster import Cluster
from pipelines.kfp.runner import compile_pipeline, on_cluster
from tests.conftest import DATA, write_idx
from tests.pipelines.kfp.launcher import CACHED, Launcher, stage_below
from twintrain.recipe.files import load_recipe

SMALL = [
    "seeds=[0]",
    "training.epochs=1",
    "tuning.trials=1",
    "tuning.examples=100",
    "comparison.threshold=0.1",
]


@pytest.fixture(autouse=True)
def as_in_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Staging directories below the test's own folder, and no trace of hidden GPUs afterwards."""
    stage_below(tmp_path, monkeypatch)


def compiled(tmp_path: Path, root: str, overrides: list[str], **cluster: Any) -> dict[str, Any]:
    """The pipeline for a cluster whose volume is the test's folder, two spans of data on it."""
    if not (tmp_path / "data").exists():
        (tmp_path / "data" / "span-1").mkdir(parents=True)
        write_idx(tmp_path / "data" / "span-1", {"train": 60, "eval": 30})
        (tmp_path / "data" / "span-2").mkdir()
        for path in DATA.glob("*-ubyte.gz"):
            (tmp_path / "data" / "span-2" / path.name).symlink_to(path)
    shutil.copy(REPOSITORY / "data" / "schema.pbtxt", tmp_path)
    settings = {
        "image": "registry/twintrain:1",
        "pipeline_root": root,
        "data": str(tmp_path / "data"),
        "schema": str(tmp_path / "schema.pbtxt"),
        "work": str(tmp_path / "work"),
        "records": str(tmp_path / "records"),
        **cluster,
    }
    nowhere = Path("/nowhere")
    config = RunConfig(
        recipe=load_recipe("standard", overrides), data=nowhere, schema_file=nowhere, root=nowhere
    )
    chosen = Cluster.model_validate(settings)
    return compile_pipeline(on_cluster(config, chosen), chosen).spec


@pytest.mark.in_turn(3)
@pytest.mark.e2e
def test_every_step_works_behind_the_launcher(tmp_path: Path) -> None:
    """The whole pipeline, minio:// in and out, with one recipe field changed for this run alone."""
    spec = compiled(tmp_path, "minio://mlpipeline/v2/artifacts", [*SMALL, "data.limit=700"])
    launcher = Launcher(
        spec, "minio://mlpipeline/v2/artifacts", tmp_path, {"overrides": ["training.batch_size=50"]}
    )
    order = launcher.order()
    assert len(order) == 19
    assert {name: launcher.run(name) for name in order} == dict.fromkeys(order, 0)
    examples = launcher.outputs["ExampleGen", "examples"]
    assert examples["metadata"]["custom:span"] == 2  # the newest
    assert examples["metadata"]["input_fingerprint"]
    report = (
        tmp_path / "bucket" / launcher.outputs["Report", "report"]["uri"].removeprefix("minio://")
    )
    comparison = json.loads((report / "comparison.json").read_text())
    page = launcher.outputs["Report", "page"]["uri"].removeprefix("minio://")
    assert (tmp_path / "bucket" / page).read_bytes() == (report / "report.html").read_bytes()
    assert launcher.outputs["Report", "figures"]["metadata"]["gap"] == 0
    assert comparison["verdict"] == "identical"
    assert comparison["recipe"]["training"]["batch_size"] == 50
    (record,) = (tmp_path / "records").iterdir()
    kept = json.loads(record.read_text())
    assert kept["span"] == 2
    assert kept["report"] == launcher.outputs["Report", "report"]["uri"]
    entry = (
        tmp_path
        / "bucket"
        / launcher.outputs["TrendRecord", "entry"]["uri"].removeprefix("minio://")
    )
    assert json.loads((entry / "entry.json").read_text())["alerts"] == []
    a_run_on_the_same_span_trains_nothing(tmp_path, launcher)


def a_run_on_the_same_span_trains_nothing(tmp_path: Path, launcher: Launcher) -> None:
    """As a schedule starts it when no new span has come: another run, the old one's cache."""
    launcher.run_id = "77c1"
    started = {name for name in launcher.order() if launcher.run(name) != CACHED}
    assert started == {"InputState", "PushGate", "Report", "TrendRecord", "Pusher"}
    report = (
        tmp_path / "bucket" / launcher.outputs["Report", "report"]["uri"].removeprefix("minio://")
    )
    push = json.loads((report / "comparison.json").read_text())["push"]
    (version,) = (tmp_path / "work" / "pushed").iterdir()  # not pushed over itself
    assert push["pushed"]
    assert f"it is this very twin, version {version.name}" in {
        check["text"] for check in push["checks"]
    }
    assert len(list((tmp_path / "records").iterdir())) == 1
    schema = tmp_path / "schema.pbtxt"
    schema.write_text(schema.read_text() + "\n# stricter")
    launcher.run_id = "88d2"
    ran = [
        launcher.run(name)
        for name in ("InputState", "ExampleGen", "ImportSchemaGen", "StatisticsGen")
    ]
    assert ran == [0, CACHED, 0, 0]
    (tmp_path / "data" / "span-3").mkdir()
    write_idx(tmp_path / "data" / "span-3", {"train": 60, "eval": 30})
    assert launcher.run("ExampleGen") == CACHED  # this run has looked before
    assert [launcher.run(name) for name in ("InputState", "ExampleGen")] == [0, 0]
    shutil.rmtree(tmp_path / "data" / "span-3")


@pytest.mark.e2e
@pytest.mark.in_turn(3)
def test_nodes_in_several_steps_leave_what_one_leaves(tmp_path: Path) -> None:
    """A tuner and a trainer, and again each in two pods at a time: the same trials, the same
    weights but for rounding.
    """
    root, small = "minio://mlpipeline/v2/artifacts", [*SMALL, "data.limit=700"]
    before = Launcher(compiled(tmp_path, root, small), root, tmp_path, {})
    for name in dict.fromkeys(
        one for node in ("Tuner-fit", "Trainer-fit") for one in (*before.needs(node), node)
    ):
        assert before.run(name) == 0
    several = [*small, "tuning.workers=2", "execution.strategy=multi_worker"]
    volumes = [{"claim": "shared", "mount": str(tmp_path)}]
    spec = compiled(tmp_path, root, several, worker_steps=True, volumes=volumes)
    launcher = Launcher(spec, root, tmp_path, before.parameters | {"config": spec_config(spec)})
    launcher.bucket, launcher.outputs = tmp_path / "again", dict(before.outputs)
    launcher.left = dict(before.left)
    shutil.copytree(before.bucket, launcher.bucket)
    # Forked off a process that has imported TFX and TensorFlow, and run nothing with them.
    multiprocessing.set_forkserver_preload([__name__])
    for node, output in (("Tuner-fit", "tuner_results"), ("Trainer-fit", "model_run")):
        place = launcher.bucket / before.outputs[node, output]["uri"].removeprefix("minio://")
        shutil.rmtree(place.parent)
        names = [node, f"{node}-worker-1"]
        pods = [
            multiprocessing.get_context("forkserver").Process(
                target=in_a_pod, args=(launcher, name, tmp_path / name)
            )
            for name in names
        ]
        for pod in pods:
            pod.start()
        for pod in pods:
            pod.join(300)
        assert [pod.exitcode for pod in pods] == [0, 0]
        ours = tmp_path / "bucket" / place.relative_to(launcher.bucket)
        if node == "Tuner-fit":
            trials = [json.loads((one / "tuner_results.json").read_text()) for one in (ours, place)]
            assert [without_seconds(one) for one in trials[0]] == [
                without_seconds(one) for one in trials[1]
            ]
        else:
            one, other = (np.load(folder / "seed-0" / "weights.npz") for folder in (ours, place))
            assert len(one.files) == len(other.files)
            assert max(float(np.abs(one[name] - other[name]).max()) for name in one.files) < 1e-4
            record = json.loads((place / "seed-0" / "record.json").read_text())
            assert record["devices"] == ["CPU", "CPU"]


def in_a_pod(launcher: Launcher, name: str, folder: Path) -> None:
    for scheme in staging.FOLDERS:
        staging.FOLDERS[scheme] = f"{folder}/{scheme.removesuffix('://')}/"
    raise SystemExit(launcher.run(name))


def spec_config(spec: dict[str, Any]) -> str:
    return str(spec["root"]["inputDefinitions"]["parameters"]["config"]["defaultValue"])


def without_seconds(trial: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in trial.items() if name != "seconds"}


@pytest.mark.in_turn(3)
def test_s3_an_older_span_and_its_statistics_without_ml_metadata(tmp_path: Path) -> None:
    """All other tests replay a server with ML Metadata."""
    alone = {"cpu": "1"}  # Beam starts no workers for ninety images
    spec = compiled(tmp_path, "s3://bucket/twintrain", SMALL, defaults=alone)
    launcher = Launcher(spec, "s3://bucket/twintrain", tmp_path, {"span": 1}, native=True)
    steps = ("InputState", "ExampleGen", "ImportSchemaGen", "StatisticsGen")
    assert [launcher.run(name) for name in steps] == [0, 0, 0, 0]
    assert launcher.outputs["ExampleGen", "examples"]["metadata"]["custom:span"] == 1
    assert launcher.outputs["StatisticsGen", "statistics"]["uri"].startswith(
        "s3://bucket/twintrain/StatisticsGen/"
    )
    launcher.run_id = "77c1"
    again = [launcher.run(name) for name in steps]
    assert again == [0, CACHED, CACHED, CACHED]


@pytest.mark.parametrize("native", [False, True], ids=["ml-metadata", "native"])
def test_two_inputs_of_one_name_stay_two_artifacts(native: bool) -> None:
    """TFX makes ids of names. Without ML Metadata both twins' models are called `model`."""
    told = [{"name": "7"}, {"name": "8"}]
    if native:
        told = [{"name": "model", "artifactId": one["name"]} for one in told]
    kind = {"artifactType": {"instanceSchema": "title: tfx.Model"}}
    component = {
        "inputDefinitions": {"artifacts": {"model": kind, "baseline_model": kind}},
        "outputDefinitions": {"artifacts": {}},
    }
    given: dict[str, Any] = {
        "inputs": {
            "artifacts": {
                name: {"artifacts": [one | {"uri": f"minio://b/{name}"}]}
                for name, one in zip(("model", "baseline_model"), told, strict=True)
            }
        },
        "outputs": {},
    }
    entrypoint._adopt(given, component, {})
    names = [lists["artifacts"][0]["name"] for lists in given["inputs"]["artifacts"].values()]
    assert names == ["7", "8"]


@pytest.mark.parametrize("native", [False, True], ids=["ml-metadata", "native"])
def test_the_step_after_all_others_alerts_on_failures_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    native: bool,
) -> None:
    monkeypatch.delenv("TWINTRAIN_WEBHOOK", raising=False)
    hook = [{"secret": "hook", "env": {"TWINTRAIN_WEBHOOK": "url"}}]
    spec = compiled(tmp_path, "minio://bucket", SMALL, alert_on_exit=True, secrets=hook)
    launcher = Launcher(spec, "minio://bucket", tmp_path, {}, native)
    assert launcher.run_exit("alert", went_well=True) == 0
    assert "Nothing to be alarmed at." in capsys.readouterr().out
    assert launcher.run_exit("alert", went_well=False) == 2
    told = capsys.readouterr()
    assert "the run twintrain-3f2a ended as FAILED." in told.out
    assert ("OOM" in told.out) == native
    assert "Nobody is told" in told.err


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"span": 7}, "has no span 7"),
        ({"overrides": ["tuning.apply=true"]}, "change which steps there are"),
        ({"overrides": ["training.epoch=1"]}, "Did you mean 'epochs'"),
        ({"overrides": "training.epochs=1"}, "must be a list of texts"),
        ({"data": "/nowhere/at/all"}, "/nowhere/at/all does not exist"),
    ],
)
def test_parameters_that_do_not_fit_end_the_step(
    tmp_path: Path, parameters: dict[str, Any], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = compiled(tmp_path, "minio://bucket", SMALL)
    assert Launcher(spec, "minio://bucket", tmp_path, parameters).run("InputState") == 2
    error = capfd.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_data_replaced_after_the_look_ends_the_step(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = compiled(tmp_path, "minio://bucket", SMALL)
    launcher = Launcher(spec, "minio://bucket", tmp_path, {"span": 1})
    assert launcher.run("InputState") == 0
    write_idx(tmp_path / "data" / "span-1", {"train": 61, "eval": 30})
    (tmp_path / "schema.pbtxt").write_text((tmp_path / "schema.pbtxt").read_text() + "\n")
    assert [launcher.run(name) for name in ("ExampleGen", "ImportSchemaGen")] == [2, 2]
    error = capfd.readouterr().err
    assert f"{tmp_path / 'data'} was changed while the run was under way" in error
    assert f"{tmp_path / 'schema.pbtxt'} was changed while the run was under way" in error


def test_a_promised_gpu_that_is_not_there_ends_the_step_at_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = compiled(tmp_path, "minio://bucket", SMALL, training={"gpu": {"count": 2}})
    (arguments,) = (
        one["container"]["args"]
        for label, one in spec["deploymentSpec"]["executors"].items()
        if label == "exec-trainer-fit"
    )
    given = ["{}" if part == "{{$}}" else part for part in arguments]
    assert entrypoint.main(given) == 2
    error = capfd.readouterr().err
    assert "2 GPUs promised, 0 found" in error
    for looked_for in (
        "driver:",
        "devices:",
        "libcuda.so.1:",
        "CUDA_VISIBLE_DEVICES:",
        "NVIDIA_VISIBLE_DEVICES:",
    ):
        assert looked_for in error
