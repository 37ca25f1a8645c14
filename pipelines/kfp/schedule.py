"""schedule.yaml: when the pipeline runs by itself."""

from __future__ import annotations

import datetime
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from pipelines.kfp.cron import parse_cron
from twintrain.errors import TwintrainError, explained
from twintrain.parsing.yaml_text import load_yaml

KNOWN_PARAMETERS = {"data": "a path", "span": "a whole number", "overrides": "a list of KEY=VALUE"}


class Schedule(BaseModel):
    """A recurring run. Runs never overlap; of missed ones KFP starts the newest alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        min_length=1, max_length=100, description="Unique; there is one schedule of a name."
    )
    cron: str = Field(
        description="Five fields, or six with seconds first, as KFP reads them: see cron.py."
    )
    timezone: str = Field(description="In which zone cron is meant, 'UTC' or 'Europe/Berlin'.")
    experiment: str = "twintrain"
    namespace: str | None = Field(None, description="Of the user, on a multi-user installation.")
    parameters: dict[str, Any] = Field(
        {}, description="data, span, overrides; as compiled where left out."
    )

    @field_validator("cron")
    @classmethod
    def _cron_is_valid(cls, cron: str) -> str:
        fields = cron.split()
        if len(fields) not in (5, 6):
            raise ValueError(
                f"has {len(fields)} fields; cron has 5 (minute first) or 6 (second first)"
            )
        parse_cron(_six(fields))
        return " ".join(fields)

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is no time zone; write 'UTC' or 'Europe/Berlin'") from None
        return name

    @field_validator("parameters")
    @classmethod
    def _parameters_exist(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        return {name: checked_parameter(name, value) for name, value in parameters.items()}

    @model_validator(mode="after")
    def _cron_fires(self) -> Schedule:
        if not self.next_runs(1):
            raise ValueError(
                f"cron: {self.cron!r} fires on no day of the next five years, and KFP's scheduler "
                "would hang on it"
            )
        return self

    @property
    def kfp_cron(self) -> str:
        """Six fields, as Kubeflow Pipelines wants it."""
        return _six(self.cron.split())

    def next_runs(
        self, count: int, after: datetime.datetime | None = None
    ) -> list[datetime.datetime]:
        """The next times, in the schedule's own zone; fewer where KFP looks no further."""
        start = after or datetime.datetime.now(ZoneInfo(self.timezone))
        return list(islice(parse_cron(self.kfp_cron).after(start), count))


def _six(fields: list[str]) -> str:
    return " ".join(fields if len(fields) == 6 else ["0", *fields])


def checked_parameter(name: str, value: Any) -> Any:
    """The value of a parameter of the compiled pipeline.

    Raises:
        ValueError: there is no such parameter, or its value is of another kind.
    """
    if name not in KNOWN_PARAMETERS:
        raise ValueError(
            f"{name!r} is no parameter of the pipeline; it has {', '.join(KNOWN_PARAMETERS)}"
        )
    kinds = {"data": str, "span": int, "overrides": list}
    texts = not isinstance(value, list) or all(isinstance(entry, str) for entry in value)
    if type(value) is not kinds[name] or not texts:
        raise ValueError(f"{name} must be {KNOWN_PARAMETERS[name]}, not {value!r}")
    return value


def load_schedule(path: Path) -> Schedule:
    """Read and check a schedule.yaml.

    Raises:
        TwintrainError: it cannot be read, is not YAML, or has a key or value that cannot be.
    """
    try:
        tree = load_yaml(path.read_text(encoding="utf-8"))
        return Schedule.model_validate({} if tree is None else tree)
    except OSError as error:
        raise TwintrainError(
            f"{path} cannot be read: {error.strerror}.", "Name another with --schedule."
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise TwintrainError(f"{path} is not YAML: {error}", "Mend the line it names.") from error
    except ValidationError as error:
        problem = explained(error, Schedule, str(path)).replace("\n  as a whole: ", "\n  ")
        raise TwintrainError(problem, "kubeflow/schedule.yaml explains every key.") from None
