"""cluster.yaml: where and on what the pipeline's steps run on Kubeflow Pipelines, in one validated
object.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipelines.kfp.beam_files import runs_elsewhere
from pipelines.nodes import BY_ID, TRAINING_NODES
from twintrain.errors import TwintrainError, explained

_ROOTS = ("gs://", "s3://", "minio://")
_CPU = r"^\d+(\.\d+)?m?$"
_BYTES = r"^\d+(\.\d+)?([kMGT]|[KMGT]i)?$"
_NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gpu(_Part):
    """GPUs of one step."""

    type: str = Field(
        "nvidia.com/gpu",
        pattern=r"^[\w./-]+$",
        description="The Kubernetes resource that stands for it.",
    )
    count: int = Field(1, ge=1, le=64)


class Toleration(_Part):
    """A taint that a step may be scheduled onto; the fields are Kubernetes's."""

    key: str = ""
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    toleration_seconds: int | None = Field(None, ge=0)


class Volume(_Part):
    """A PersistentVolumeClaim that every step mounts; several steps write to it, so it must be
    ReadWriteMany.
    """

    claim: str = Field(pattern=_NAME)
    mount: PurePosixPath

    @field_validator("mount")
    @classmethod
    def _mount_is_absolute(cls, mount: PurePosixPath) -> PurePosixPath:
        if not mount.is_absolute() or mount == PurePosixPath("/"):
            raise ValueError("must be an absolute path below /")
        return mount


class Secret(_Part):
    """Keys of a Kubernetes Secret, as environment variables of every step. Only names are written
    down here.
    """

    secret: str = Field(pattern=_NAME)
    env: dict[str, str] = Field(min_length=1, description="environment variable: key in the Secret")


class Retry(_Part):
    """What happens when a step fails."""

    count: int = Field(0, ge=0, le=20)
    backoff_seconds: int = Field(30, ge=1, le=3600)
    factor: float = Field(2.0, ge=1, le=10)


class Step(_Part):
    """What one step asks of the cluster."""

    cpu: str = Field("2", pattern=_CPU)
    memory: str = Field("8Gi", pattern=_BYTES)
    gpu: Gpu | None = None
    shared_memory: str | None = Field(
        None, pattern=_BYTES, description="Size of /dev/shm; null keeps 64 MiB."
    )
    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    retry: Retry = Retry()
    cache: bool = True
    beam: tuple[str, ...] = Field(
        (), description="Beam arguments (Flink, for instance); none: DirectRunner in the pod."
    )

    @field_validator("cpu", "memory", mode="before")
    @classmethod
    def _number_is_text(cls, value: Any) -> Any:
        return (
            str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        )


class Cluster(_Part):
    """The whole of cluster.yaml. `kubeflow/cluster.yaml` explains every key."""

    image: str = Field(min_length=1, pattern=r"^\S+$")
    image_pull_secret: str | None = Field(None, pattern=_NAME)
    pipeline_root: str
    service_account: str | None = Field(None, pattern=_NAME)
    data: PurePosixPath = PurePosixPath("/opt/twintrain/data")
    data_schema: PurePosixPath = Field(
        PurePosixPath("/opt/twintrain/data/schema.pbtxt"), alias="schema"
    )
    work: PurePosixPath = PurePosixPath("/tmp/twintrain")
    records: str | None = None
    volumes: tuple[Volume, ...] = ()
    secrets: tuple[Secret, ...] = ()
    alert_on_exit: bool = Field(
        False, description="A last step that alerts when the run failed or the trend is off."
    )
    seeds_at_a_time: int = Field(
        1,
        ge=1,
        le=64,
        description="Seeds a trainer trains side by side, each in a process and on a GPU of its "
        "own.",
    )
    worker_steps: bool = Field(
        False,
        description="Further workers of tuners and machines of trainers as steps of their own, "
        "side by side.",
    )
    defaults: dict[str, Any] = {}
    training: dict[str, Any] = {}
    nodes: dict[str, dict[str, Any]] = {}

    @field_validator("pipeline_root")
    @classmethod
    def _root_is_reachable(cls, root: str) -> str:
        if not root.startswith(_ROOTS) and not root.startswith("/"):
            raise ValueError(
                f"must begin with {', '.join(_ROOTS)} (or / for a rehearsal on one machine)"
            )
        return root.rstrip("/")

    @model_validator(mode="after")
    def _steps_exist(self) -> Cluster:
        for node in self.nodes:
            if node not in BY_ID:
                raise ValueError(
                    f"nodes.{node}: the pipeline has no such step. It has: {', '.join(BY_ID)}"
                )
        return self

    @model_validator(mode="after")
    def _gpus_are_used(self) -> Cluster:
        for node in BY_ID:
            if self.step(node).gpu is not None and node not in TRAINING_NODES:
                raise ValueError(
                    f"{node} asks for a GPU, but nothing is trained there, so it would stand idle. "
                    f"Only {', '.join(TRAINING_NODES)} use one: put `gpu` under `training`"
                )
        return self

    @model_validator(mode="after")
    def _alerts_know_the_records(self) -> Cluster:
        if self.alert_on_exit and self.records is None:
            raise ValueError(
                "alert_on_exit looks at the comparisons recorded so far: say where they are "
                "(`records`)"
            )
        return self

    @model_validator(mode="after")
    def _worker_steps_can_meet(self) -> Cluster:
        if self.worker_steps and not self._work_is_on_a_volume:
            raise ValueError(
                f"worker_steps: the steps of one node meet in `work`, and {self.work} is on none "
                "of the `volumes`"
            )
        return self

    @model_validator(mode="after")
    def _beam_workers_find_the_files(self) -> Cluster:
        arguments = [self.step(node).beam for node in BY_ID]
        if any("dataflow" in argument.lower() for beam in arguments for argument in beam):
            raise ValueError(
                "beam: Dataflow's workers mount no volumes, so they would not find the steps' files"
            )
        if any(map(runs_elsewhere, arguments)) and not self._work_is_on_a_volume:
            raise ValueError(
                f"beam: workers outside a step's pod find its files below `work`, and {self.work} "
                "is on none of the `volumes`"
            )
        return self

    @property
    def _work_is_on_a_volume(self) -> bool:
        return any(self.work.is_relative_to(volume.mount) for volume in self.volumes)

    @property
    def beam_files(self) -> PurePosixPath:
        """Where the files of steps lie whose Beam workers are outside the pod; they mount the same
        volume.
        """
        return self.work / "beam"

    def step(self, node: str) -> Step:
        """What one step asks for: `nodes` over `training` (where it trains) over `defaults`."""
        levels = {"defaults": self.defaults}
        if node in TRAINING_NODES:
            levels["training"] = self.training
        levels[f"nodes.{node}"] = self.nodes.get(node, {})
        merged: dict[str, Any] = {}
        for settings in levels.values():
            merged |= settings
        try:
            return Step.model_validate(merged)
        except ValidationError as error:
            key = str(error.errors()[0]["loc"][0])
            level = next((name for name in reversed(levels) if key in levels[name]), "defaults")
            raise ValueError(explained(error, Step, level)) from None


def load_cluster(path: Path) -> Cluster:
    """Read and check a cluster.yaml.

    Raises:
        TwintrainError: it cannot be read, is not YAML, has an unknown key or a value that cannot
            be.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = f"{path} cannot be read: {error.strerror}."
        raise TwintrainError(
            problem, "Name another with --cluster; kubeflow/cluster.yaml is a start."
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise TwintrainError(f"{path} is not YAML: {error}", "Mend the line it names.") from error
    try:
        return Cluster.model_validate({} if tree is None else tree)
    except ValidationError as error:
        raise TwintrainError(
            explained(error, Cluster, str(path)), "kubeflow/cluster.yaml explains every key."
        ) from None


def gigabytes(quantity: str) -> float:
    """A Kubernetes quantity of memory in units of 10^9 bytes."""
    number, unit = re.fullmatch(r"([\d.]+)([a-zA-Z]*)", quantity).groups()  # type: ignore[union-attr]
    binary = unit.endswith("i")
    power = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}[unit.rstrip("i")]
    return float(number) * (1024 if binary else 1000) ** power / 1e9


def cores(quantity: str) -> float:
    """A Kubernetes quantity of CPU in cores."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
