from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from pipelines.cli.main import app
from pipelines.config import REPOSITORY
from tests.pipelines.kfp.kfp_server import KfpServer
from twintrain.errors import TwintrainError

PLAN = {
    "name": "nightly",
    "cron": "0 3 * * *",
    "timezone": "UTC",
    "parameters": {"overrides": ["training.epochs=2"]},
}


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "schedule.yaml"
    path.write_text(yaml.safe_dump(PLAN))
    return path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["kubeflow", *map(str, arguments)])


def schedule(plan: Path, *more: str) -> Result:
    return call(
        "schedule",
        "--cluster",
        REPOSITORY / "kubeflow/cluster.yaml",
        "--schedule",
        plan,
        "--yes",
        *more,
    )


def test_a_run_is_submitted_with_its_parameters(server: KfpServer) -> None:
    given = ["--param", "span=3", "--param", 'overrides=["training.epochs=1"]']
    done = call("submit", "--cluster", REPOSITORY / "kubeflow/cluster.yaml", *given)
    assert done.exit_code == 0, done.output
    (run,) = server.runs.values()
    assert f"run {run['run_id']}" in done.output
    assert run["runtime_config"] == {
        "parameters": {"span": 3, "overrides": ["training.epochs=1"]},
        "pipeline_root": "minio://mlpipeline/v2/artifacts/twintrain",
    }
    assert run["service_account"] == "twintrain"
    placed = run["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"][
        "executors"
    ]
    assert placed["exec-trainer-fit"]["tolerations"][0]["key"] == "nvidia.com/gpu"


def test_scheduling_twice_changes_nothing_and_a_change_replaces(
    server: KfpServer, plan: Path
) -> None:
    first = schedule(plan)
    assert first.exit_code == 0, first.output
    assert "+cron: 0 0 3 * * *" in first.output
    (made,) = server.recurring.values()
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert (str(made["max_concurrency"]), made["no_catchup"]) == ("1", True)
    assert made["runtime_config"]["parameters"] == PLAN["parameters"]
    assert "next: " in first.output

    again = schedule(plan)
    assert (again.exit_code, again.output.splitlines()[-1]) == (
        0,
        "Schedule nightly is as wanted: nothing to do.",
    )
    assert list(server.recurring.values()) == [made]

    plan.write_text(yaml.safe_dump(PLAN | {"cron": "30 4 * * 1-5"}))
    changed = schedule(plan)
    assert changed.exit_code == 0, changed.output
    assert "-cron: 0 0 3 * * *\n+cron: 0 30 4 * * 1-5" in changed.output
    (replaced,) = server.recurring.values()
    assert replaced["trigger"] == {"cron_schedule": {"cron": "0 30 4 * * 1-5"}}


def test_another_recipe_is_another_pipeline(server: KfpServer, plan: Path) -> None:
    schedule(plan)
    changed = schedule(plan, "--set", "training.epochs=4")
    assert "-pipeline: sha256:" in changed.output
    assert len(server.recurring) == 1


def test_nothing_happens_unasked(server: KfpServer, plan: Path) -> None:
    done = call("schedule", "--cluster", REPOSITORY / "kubeflow/cluster.yaml", "--schedule", plan)
    assert isinstance(done.exception, TwintrainError)
    assert "Nobody is here to agree" in str(done.exception)
    assert "+name: nightly" in done.output
    assert server.recurring == {}


def test_a_schedule_is_shown_and_removed(server: KfpServer, plan: Path) -> None:
    schedule(plan)
    (made,) = server.recurring
    server.runs["r1"] = {
        "run_id": "r1",
        "recurring_run_id": made,
        "state": "FAILED",
        "created_at": "2026-01-02T03:00:00Z",
    }
    shown = call("status", "--schedule", plan)
    assert "FAILED" in shown.output
    gone = call("unschedule", "--schedule", plan, "--yes")
    assert "-cron: 0 0 3 * * *" in gone.output
    assert server.recurring == {}
    assert "nothing to do" in call("unschedule", "nightly", "--yes").output


def test_two_schedules_of_one_name_are_said(server: KfpServer, plan: Path) -> None:
    schedule(plan)
    (made,) = server.recurring.values()
    server.recurring["other"] = made | {"recurring_run_id": "other"}
    done = schedule(plan)
    assert "There are 2 schedules called nightly" in str(done.exception)
    assert "Delete 2" not in done.output
    call("unschedule", "nightly", "--yes")
    assert server.recurring == {}


def test_a_server_that_comes_back_is_waited_for(server: KfpServer, plan: Path) -> None:
    server.outages = 3
    assert "no schedule nightly" in call("unschedule", "--schedule", plan).output
    assert server.outages == 0


def test_what_may_have_been_created_is_not_created_again(server: KfpServer, plan: Path) -> None:
    server.lost = True
    for done in (schedule(plan), call("submit", "--cluster", REPOSITORY / "kubeflow/cluster.yaml")):
        assert "did not say whether it did what was asked" in str(done.exception)
        assert "Look before you ask again" in str(done.exception)
    assert len(server.recurring) == len(server.runs) == 1


def test_a_schedule_that_was_changed_on_the_server_is_noticed(
    server: KfpServer, plan: Path
) -> None:
    plan.write_text(yaml.safe_dump(PLAN | {"parameters": {"span": 3, "overrides": []}}))
    schedule(plan)
    (kept,) = server.recurring.values()
    kept["runtime_config"]["parameters"] = {
        "overrides": [],
        "span": 3,
    }  # protobuf's maps have no order
    assert "nothing to do" in schedule(plan).output
    kept["status"] = "DISABLED"
    assert "+enabled: true" in schedule(plan).output
    plan.write_text(
        yaml.safe_dump(PLAN | {"parameters": {"span": 3, "overrides": []}, "experiment": "other"})
    )
    assert "+experiment: other" in schedule(plan).output
    assert len(server.recurring) == 1


@pytest.mark.parametrize("unescapes", [True, False])
@pytest.mark.parametrize("name", ["a+b", "50%", "%41", "50%25 + ü", 'a "quoted" \\u0041'])
def test_odd_names_are_found_again(
    server: KfpServer, plan: Path, name: str, unescapes: bool
) -> None:
    """KFP's server unescapes a filter once more than HTTP does; others may not."""
    server.unescapes = unescapes
    plan.write_text(yaml.safe_dump(PLAN | {"name": name, "experiment": f"of {name}"}))
    assert schedule(plan).exit_code == 0
    assert "nothing to do" in schedule(plan).output
    assert [one["display_name"] for one in server.recurring.values()] == [name]
    assert [one["display_name"] for one in server.experiments.values()] == [f"of {name}"]
    assert name in call("status", "--schedule", plan).output
    assert call("unschedule", name, "--yes").exit_code == 0
    assert server.recurring == {}


def test_a_service_account_that_the_file_leaves_open_is_as_wanted(
    server: KfpServer, plan: Path, tmp_path: Path
) -> None:
    settings = yaml.safe_load((REPOSITORY / "kubeflow/cluster.yaml").read_text())
    given = tmp_path / "cluster.yaml"

    def with_account(account: str | None) -> Result:
        given.write_text(yaml.safe_dump(settings | {"service_account": account}))
        return call("schedule", "--cluster", given, "--schedule", plan, "--yes")

    assert with_account(None).exit_code == 0
    (made,) = server.recurring.values()
    assert made["service_account"] == "pipeline-runner"
    assert "nothing to do" in with_account(None).output
    assert list(server.recurring.values()) == [made]
    assert (
        "-service_account: pipeline-runner\n+service_account: mine" in with_account("mine").output
    )


def test_the_users_namespace_is_not_the_servers(
    server: KfpServer, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.multi_user = True
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT")
    known = tmp_path / "kubeconfig"
    known.write_text(yaml.safe_dump(kubeconfig(server.address)))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(known))
    plan.write_text(yaml.safe_dump(PLAN | {"namespace": "ml-team"}))
    assert schedule(plan).exit_code == 0
    (made,) = server.recurring.values()
    assert made["namespace"] == "ml-team"
    assert "nothing to do" in schedule(plan).output
    server.namespace = "kfp"
    assert "answered 404: no service in kubeflow" in str(schedule(plan).exception)
    assert "nothing to do" in schedule(plan, "--server-namespace", "kfp").output
    shown = call("status", "nightly", "--namespace", "ml-team", "--server-namespace", "kfp")
    assert "ENABLED" in shown.output
    elsewhere = call("status", "nightly", "--namespace", "other", "--server-namespace", "kfp")
    assert "There is no schedule nightly" in str(elsewhere.exception)


def kubeconfig(server: str) -> dict[str, object]:
    return {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


@pytest.mark.parametrize(
    ("status", "text", "says"),
    [
        (404, '{"message": "nothing here"}', "answered 404: nothing here."),
        (404, "<html>gone</html>", "answered 404: Not Found."),
        (409, '{"message": "Already exists."}', "answered 409: Already exists."),
        (200, "<!DOCTYPE html> <title>Log in</title>", "answers with a page, not as KFP's API"),
    ],
)
def test_other_answers_are_said_in_a_sentence(
    server: KfpServer, plan: Path, status: int, text: str, says: str
) -> None:
    server.answers = [(200, "{}"), (status, text)]  # the first is asked who the users are
    done = call("status", "--schedule", plan)
    assert isinstance(done.exception, TwintrainError)
    assert says in done.exception.problem
    assert done.exception.remedy
    server.answers = [(200, "{}"), (status, text)]
    assert says in str(schedule(plan).exception)
    assert server.recurring == {}


def test_a_digest_pins_the_image(server: KfpServer, plan: Path) -> None:
    digest = f"sha256:{'1f' * 32}"
    assert schedule(plan, "--digest", digest).exit_code == 0
    (made,) = server.recurring.values()
    executors = made["pipeline_spec"]["pipeline_spec"]["deploymentSpec"]["executors"].values()
    assert {one["container"]["image"].partition("@")[2] for one in executors} == {digest}
    assert "is no digest of an image" in str(schedule(plan, "--digest", "latest").exception)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("overrides=[a", "'[a' is not YAML"),
        ("span=latest", "span must be a whole number, not 'latest'"),
        (
            "overrides=training.epochs=3",
            "overrides must be a list of KEY=VALUE, not 'training.epochs=3'",
        ),
        ("spam=3", "'spam' is no parameter of the pipeline; it has data, span, overrides"),
    ],
)
def test_a_wrong_parameter_is_refused_here(server: KfpServer, given: str, says: str) -> None:
    done = call("submit", "--param", given)
    assert says in str(done.exception)
    assert server.runs == {}


def test_an_expired_token_is_named(
    server: KfpServer, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.token = "fresh"
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "stale-and-secret")
    done = call("status", "--schedule", plan)
    assert "the token has expired or is missing" in str(done.exception)
    assert "stale-and-secret" not in str(done.exception) + done.output
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "fresh")
    assert "There is no schedule nightly" in str(call("status", "--schedule", plan).exception)


def test_nobody_there(server: KfpServer, plan: Path) -> None:
    done = call("status", "--schedule", plan, "--host", "http://127.0.0.1:9")
    assert "cannot be reached" in str(done.exception)
    assert "5 attempts" in str(done.exception)
    assert server.calls == []


def test_the_fake_refuses_what_the_api_does_not_know(server: KfpServer) -> None:
    """Without this, the tests above would pass for any body."""
    import httpx

    wrong = httpx.post(
        f"{server.address}/apis/v2beta1/recurringruns",
        json={"display_name": "x", "cron": "* * * * *"},
    )
    assert (wrong.status_code, "'cron' was unexpected" in wrong.text) == (400, True)
    assert httpx.get(f"{server.address}/apis/v2beta1/jobs").status_code == 404
