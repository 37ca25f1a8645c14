"""Everything one run is started with, as one value that can be handed to another process."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from pipelines.shipped import Shipped
from twintrain.data import idx
from twintrain.data.spans import choose_span, span_folder
from twintrain.data.table_files import find_tables
from twintrain.errors import TwintrainError
from twintrain.processes.replacing import replacing
from twintrain.recipe.recipe import Recipe

REPOSITORY = Path(__file__).resolve().parent.parent
PIPELINE_NAME = "twintrain"
# Below these a Beam stage ends sooner in one process. Each worker of each stage imports TFX and
# TensorFlow, 10 to 25 seconds; MNIST (11 MB, 70,000 images) took 42 s to ingest with two workers on
# two cores and 17 s in one process, and 39 and 20 s to describe.
SMALL_COUNT = 20_000  # examples
SMALL_FILES = 64 << 20  # bytes as they lie on the disk, compressed or not


class RunConfig(BaseModel):
    """One run of the pipeline.

    Attributes:
        recipe: every training decision.
        data: directory of IDX files or of `span-N` sub-directories.
        schema_file: the curated schema.
        root: everything the run writes goes below it.
        span: the span to use; None for the newest.
        cache: reuse results of earlier runs on this root whose inputs are the same.
        workers: processes for Beam stages; 0 takes as many as there are cores, or one where the
            data is so small that starting workers costs more than they save.
        seeds_at_a_time: how many seeds of a twin are trained side by side, each in a process (and
            on a GPU) of its own.
        records: directory or URL that keeps one record per span, recipe and name; None for
            `records` below the root.
        only_data: end once the examples are preprocessed and looked through.
        shipped: files of the user's that travel with a compiled pipeline; None for a run on the
            machine where they are.
        ingest_later: do not look at the data while the pipeline is put together: only the step that
            ingests can see it, and puts the pipeline together again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    data: Path
    schema_file: Path
    root: Path
    span: int | None = None
    cache: bool = True
    workers: int = Field(0, ge=0)
    seeds_at_a_time: int = Field(1, ge=1)
    records: str | None = None
    only_data: bool = False
    shipped: Shipped | None = None
    ingest_later: bool = False

    @property
    def metadata_db(self) -> Path:
        """The SQLite file of ML Metadata."""
        return self.root / "metadata.sqlite"

    @property
    def report(self) -> Path:
        """Where the newest comparison.json and report.html always stand."""
        return self.root / "report"

    @property
    def pushed(self) -> Path:
        """Where blessed twins are pushed to."""
        return self.root / "pushed"

    @property
    def record_place(self) -> str:
        """Where this comparison's record goes."""
        return self.records or str(self.root / "records")

    @property
    def state(self) -> Path:
        """Where unfinished trainings keep their state."""
        return self.root / "state"

    @property
    def beam_arguments(self) -> list[str]:
        """Arguments of every Beam stage on this machine."""
        return self.beam_on(len(os.sched_getaffinity(0)))

    def beam_on(self, cores: int) -> list[str]:
        """Arguments of a Beam stage on a machine with that many cores."""
        workers = self.workers or (1 if self._small() else cores)
        mode = "in_memory" if workers == 1 else "multi_processing"
        return [
            "--runner=DirectRunner",
            f"--direct_running_mode={mode}",
            f"--direct_num_workers={workers}",
            *workers_have_tfx("this-machine"),
        ]

    def _small(self) -> bool:
        """Whether the data is known to be small; not where only a later step can see it."""
        limit = self.recipe.data.limit
        if limit is not None and limit <= SMALL_COUNT:
            return True
        seen = not self.ingest_later and self.data.exists()
        return seen and size_of(self) <= SMALL_FILES

    def with_pinned_schema(self) -> RunConfig:
        """The same run with the schema copied below the root, under a name made from its content.

        TFX decides by the path alone whether an imported schema is the one of an earlier run.
        """
        text = self.schema_file.read_bytes()
        pinned = self.root / "schemas" / hashlib.sha256(text).hexdigest()[:16] / "schema.pbtxt"
        if not pinned.exists() or pinned.read_bytes() != text:
            pinned.parent.mkdir(parents=True, exist_ok=True)
            with replacing(pinned) as partial:
                partial.write_bytes(text)
        return self.model_copy(update={"schema_file": pinned})


def size_of(config: RunConfig, databases: bool = True) -> int:
    """Bytes of the files that a run reads, as they lie on the disk; 0 where there are none, which
    whoever reads them says.

    Args:
        config: of the run.
        databases: with those that queries ask, of which they may want little.
    """
    try:
        if config.recipe.problem.module is not None:
            found = find_tables(config.data, config.span)
            files = found.sources() if databases else found.files()
        else:
            folder = span_folder(config.data, choose_span(config.data, config.span)[0])
            pairs = [idx.find_pair(folder, split) for split in idx.SPLIT_PREFIXES]
            files = [path for pair in pairs for path in (pair.images, pair.labels)]
        return sum(path.stat().st_size for path in files)
    except (TwintrainError, OSError):
        return 0


def workers_have_tfx(image: str) -> list[str]:
    """Arguments of a Beam stage whose workers run in that image, with all packages there."""
    return [
        # A worker must import tfx before tensorflow_data_validation: TFX stands in for a module
        # (tfx_bsl.arrow.sql_util) that TFDV 1.16 asks for and tfx-bsl 1.21 no longer has.
        "--beam_plugin=tfx",
        # Where no image is named, TFX packs a copy of itself for the workers in every Beam step:
        # three seconds, and 52 MB in the temporary directory that nobody removes.
        f"--sdk_container_image={image}",
    ]
