"""The process a local run happens in: `python -m pipelines.local.engine REQUEST.json DESCRIPTOR`.

The command line starts it as a child, so that TensorFlow's and Beam's chatter goes to a log file,
the terminal stays readable, and Ctrl-C ends everything; the descriptor is that of a `lifeline`. TFX
is imported inside `main`: each training has a process of its own, which imports this module again,
and must not pay for TFX.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from twintrain.errors import TwintrainError, refused_by_system
from twintrain.processes.isolated import expect_isolated, hide_gpus
from twintrain.processes.lifeline import hold_on_to
from twintrain.processes.progress import report_progress
from twintrain.processes.worker_group import SEEDS_AT_A_TIME

PREPARED = "prepared.json"  # below the root of a run that only prepares data


def main(request: Path) -> int:
    """Run what the request, a `RunConfig` in JSON, asks for.

    Returns:
        0 when the run went through, 2 for a foreseen problem, 1 for any other.
    """
    hide_gpus()
    expect_isolated(("components.training_job", "twintrain.diagnosis.twins"))
    from google.protobuf import text_format

    from components.curated_schema import count_labels, load_rules
    from components.table_columns import plan_of
    from pipelines.config import RunConfig
    from pipelines.local.runner import ProgressDagRunner
    from pipelines.twin_pipeline import create_pipeline
    from twintrain.data.example_spec import labelled_images
    from twintrain.problems.find import find_problem, statement_of
    from twintrain.problems.user_problem import read_module

    try:
        config = RunConfig.model_validate_json(request.read_text(encoding="utf-8"))
        os.environ[SEEDS_AT_A_TIME] = str(config.seeds_at_a_time)
        statement = statement_of(config.recipe)
        rules = load_rules(config.schema_file, statement.raw_columns, statement)
        if config.recipe.problem.module is None:
            classes = count_labels(rules, statement.target)
            find_problem(config.recipe, labelled_images(config.recipe.data.image_shape, classes))
        else:
            plan_of(read_module(config.recipe.problem.module), text_format.MessageToString(rules))
        runner = ProgressDagRunner()
        runner.run(create_pipeline(config))
        if config.only_data:
            leave_prepared(runner.outputs, config.root)
            return 0
        (report,) = runner.outputs["Report"]["report"]
        publish(Path(report), config.report)
    except Exception as error:
        known = foreseen(error)
        # On a disk that is full not even this can be written; the status says what kind it is.
        with suppress(OSError):
            traceback.print_exc()
            _report(error, known)
        return 1 if known is None else 2
    return 0


def leave_prepared(outputs: dict[str, dict[str, list[str]]], root: Path) -> None:
    """Say where the preprocessed examples are, and what could not be read of the data."""
    from components.table_example_gen import rows_left_out
    from twintrain.data.table_unreadable import as_told
    from twintrain.processes.replacing import replace_text

    made, (raw,) = outputs["Transform"], outputs["ExampleGen"]["examples"]
    places = {
        "examples": made["transformed_examples"][0],
        "transform_graph": made["transform_graph"][0],
        "unreadable": as_told(rows_left_out(raw)),
    }
    replace_text(root / PREPARED, json.dumps(places, indent=1))


def _report(error: Exception, known: TwintrainError | None) -> None:
    """Tell the command what went wrong."""
    if known is None:
        problem = f"{type(error).__name__}: {error}"
        report_progress("failed", problem=problem, remedy="", foreseen=False)
    else:
        report_progress("failed", problem=known.problem, remedy=known.remedy, foreseen=True)


def publish(report: Path, target: Path) -> None:
    """Put the newest comparison.json and report.html where a person looks for them."""
    from twintrain.processes.replacing import replace_text
    from twintrain.report.render import FILES

    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        replace_text(target / name, (report / name).read_text(encoding="utf-8"))


def foreseen(error: BaseException | None) -> TwintrainError | None:
    """The `TwintrainError` or refusal of the system behind an exception: Beam and TFX wrap what a
    worker raised.
    """
    while error is not None:
        if isinstance(error, TwintrainError):
            return error
        refused = refused_by_system(error)
        if refused is not None:
            return refused
        error = error.__cause__ or error.__context__
    return None


if __name__ == "__main__":
    hold_on_to(int(sys.argv[2]))
    sys.exit(main(Path(sys.argv[1])))
