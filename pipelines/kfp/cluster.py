"""cluster.yaml: where and on what the pipeline's steps run on Kubeflow Pipelines, in one validated
object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipelines.kfp.beam_files import runs_elsewhere
from pipelines.kfp.kubernetes_rules import (
    LabelKey,
    LabelValue,
    ObjectName,
    Quantity,
    ResourceName,
    SecretKey,
    VariableName,
    VolumeName,
    amount,
)
from pipelines.nodes import BY_ID, TRAINING_NODES
from twintrain.errors import TwintrainError, explained
from twintrain.parsing.addresses import refuse_credentials
from twintrain.parsing.yaml_text import load_yaml

EXIT = "alert"  # the step after all others, of which `nodes` knows nothing
SHARED_MEMORY, SHARED_MEMORY_MOUNT = "shared-memory", "/dev/shm"  # noqa: S108 - a mount
_DIGEST = r"sha256:[0-9a-f]{64}"
_ROOTS = ("gs://", "s3://", "minio://")
# What is in a step's pod already: KFP's volumes (compiler/argocompiler/container.go and argo.go of
# 2.17) and our own for shared memory.
_TAKEN_VOLUMES = (
    *("kfp-launcher", "ca-bundle", "custom-ca", "kfp-workspace", SHARED_MEMORY),
    *("gcs-scratch", "s3-scratch", "minio-scratch"),
    *("dot-local-scratch", "dot-cache-scratch", "dot-config-scratch"),
)
_TAKEN_MOUNTS = (
    *("/gcs", "/s3", "/minio", "/.local", "/.cache", "/.config"),
    *("/kfp-launcher", "/kfp-workspace", "/kfp/certs", SHARED_MEMORY_MOUNT),
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gpu(_Part):
    """GPUs of one step."""

    type: ResourceName = Field(
        "nvidia.com/gpu", description="The Kubernetes resource that stands for it."
    )
    count: int = Field(1, ge=1, le=64)


class Toleration(_Part):
    """A taint that a step may be scheduled onto; the fields are Kubernetes's."""

    key: str = ""
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    toleration_seconds: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _fields_agree(self) -> Toleration:
        if self.operator == "Exists" and self.value:
            raise ValueError("value must be left out where operator is Exists")
        if self.operator == "Equal" and not self.key:
            raise ValueError("operator must be Exists where there is no key")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("toleration_seconds needs effect: NoExecute")
        return self


class Volume(_Part):
    """A PersistentVolumeClaim that every step mounts; several steps write to it, so it must be
    ReadWriteMany.
    """

    claim: VolumeName
    mount: PurePosixPath

    @field_validator("claim")
    @classmethod
    def _claim_is_free(cls, claim: str) -> str:
        if claim in _TAKEN_VOLUMES:
            raise ValueError("is the name of a volume that a step's pod has already")
        return claim

    @field_validator("mount")
    @classmethod
    def _mount_is_free(cls, mount: PurePosixPath) -> PurePosixPath:
        if not mount.is_absolute() or mount == PurePosixPath("/"):
            raise ValueError("must be an absolute path below /")
        if ":" in str(mount) or ".." in mount.parts:
            raise ValueError("must be without : and without ..")
        if str(mount) in _TAKEN_MOUNTS:
            raise ValueError("is where a step's pod has a volume already")
        return mount


class Secret(_Part):
    """Keys of a Kubernetes Secret, as environment variables of every step. Only names are written
    down here.
    """

    secret: ObjectName
    env: dict[VariableName, SecretKey] = Field(
        min_length=1, description="environment variable: key in the Secret"
    )


class Retry(_Part):
    """What happens when a step fails. The n-th wait is backoff_seconds * factor ** (n - 1)."""

    count: int = Field(0, ge=0, le=20)
    backoff_seconds: int = Field(30, ge=1, le=3600)
    factor: int = Field(
        2, ge=1, le=10, description="A whole number: Argo takes no other, and then never retries."
    )
    max_duration_hours: int = Field(
        28 * 24,
        ge=1,
        le=10_000,
        description="From the start of the first attempt: then a retry is killed where it is, and "
        "none begins.",
    )

    @model_validator(mode="after")
    def _retries_come_in_time(self) -> Retry:
        waits = sum(self.backoff_seconds * self.factor**number for number in range(self.count))
        if waits >= self.max_duration_hours * 3600:
            raise ValueError(
                f"the {self.count} waits alone take {waits / 3600:.0f} hours, and "
                f"max_duration_hours is {self.max_duration_hours}"
            )
        return self


class Step(_Part):
    """What one step asks of the cluster."""

    cpu: Quantity = "2"
    memory: Quantity = "8Gi"
    gpu: Gpu | None = None
    shared_memory: Quantity | None = Field(None, description="Size of /dev/shm; null keeps 64 MiB.")
    node_selector: dict[LabelKey, LabelValue] = {}
    tolerations: tuple[Toleration, ...] = ()
    retry: Retry = Retry()
    cache: bool = True
    beam: tuple[str, ...] = Field(
        (), description="Beam arguments (Flink, for instance); none: DirectRunner in the pod."
    )

    @field_validator("cpu", "memory", "shared_memory", mode="before")
    @classmethod
    def _number_is_text(cls, value: Any) -> Any:
        return (
            str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        )


class Cluster(_Part):
    """The whole of cluster.yaml. `kubeflow/cluster.yaml` explains every key."""

    image: str = Field(min_length=1, pattern=r"^\S+$")
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        None, description="null: Always for the tag `latest`, IfNotPresent for every other."
    )
    image_pull_secret: ObjectName | None = None
    pipeline_root: str
    service_account: ObjectName | None = None
    data: PurePosixPath = PurePosixPath("/opt/twintrain/data")
    data_schema: PurePosixPath = Field(
        PurePosixPath("/opt/twintrain/data/schema.pbtxt"), alias="schema"
    )
    work: PurePosixPath = PurePosixPath("/tmp/twintrain")  # noqa: S108 - the pod's own
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
    def _volumes_differ(self) -> Cluster:
        claims = [volume.claim for volume in self.volumes]
        mounts = [str(volume.mount) for volume in self.volumes]
        for what, names in (("claim", claims), ("mount", mounts)):
            for twice in _twice(names):
                raise ValueError(
                    f"volumes: {what} {twice} stands there twice, and a pod takes it once"
                )
        return self

    @model_validator(mode="after")
    def _variables_differ(self) -> Cluster:
        for twice in _twice([name for secret in self.secrets for name in secret.env]):
            raise ValueError(f"secrets: {twice} is given twice")
        return self

    @model_validator(mode="after")
    def _addresses_hold_no_secrets(self) -> Cluster:
        for name in ("pipeline_root", "records"):
            try:
                refuse_credentials(str(getattr(self, name) or ""), name)
            except TwintrainError as error:
                raise ValueError(f"{error.problem} {error.remedy}") from None
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
    def _alerts_reach_somebody(self) -> Cluster:
        if not self.alert_on_exit:
            return self
        from twintrain.trend.webhook import VARIABLE  # SciPy comes with it

        if not any(VARIABLE in secret.env for secret in self.secrets):
            raise ValueError(
                f"alert_on_exit: no entry of `secrets` gives {VARIABLE}, so nobody would be told"
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
        """What one step asks for: `nodes` over `training` (where it trains) over `defaults`; EXIT
        has the defaults alone.
        """
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
            (_, *lines) = explained(error, Step, level).splitlines()
            raise ValueError("\n  ".join(f"{level}.{line.strip()}" for line in lines)) from None

    def pinned(self, digest: str) -> Cluster:
        """The same, with the image's digest: every step of every run has that very image, whatever
        is pushed under its tag.

        Args:
            digest: `sha256:` and 64 hexadecimal digits.

        Raises:
            TwintrainError: it is no digest.
        """
        if not re.fullmatch(_DIGEST, digest, re.ASCII):
            raise TwintrainError(
                f"{digest!r} is no digest of an image.",
                "`twintrain kubeflow build --push` prints it: sha256: and 64 hexadecimal digits.",
            )
        name = self.image.partition("@")[0]
        return self.model_copy(update={"image": f"{name}@{digest}"})


def load_cluster(path: Path) -> Cluster:
    """Read and check a cluster.yaml.

    Raises:
        TwintrainError: it cannot be read, is not YAML, has an unknown key or a value that cannot
            be.
    """
    try:
        tree = load_yaml(path.read_text(encoding="utf-8"))
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
        # What is wrong with several keys at once names them itself.
        problem = explained(error, Cluster, str(path)).replace("\n  as a whole: ", "\n  ")
        raise TwintrainError(problem, "kubeflow/cluster.yaml explains every key.") from None


def gigabytes(quantity: str) -> float:
    """A Kubernetes quantity of memory in units of 10^9 bytes."""
    return float(amount(quantity)) / 1e9


def cores(quantity: str) -> float:
    """A Kubernetes quantity of CPU in cores."""
    return float(amount(quantity))


def _twice(names: list[str]) -> Iterator[str]:
    """Those that come again."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)
