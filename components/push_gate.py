"""PushGate: the loop twin is pushed only when the recipe's thresholds hold, also against the twin
pushed last.

A component and not a Resolver: open-source Kubeflow Pipelines cannot run Resolver nodes.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing, ModelRun
from tfx.utils import path_utils

from components.serving import OUTPUTS
from twintrain.comparison.predictions import load_predictions
from twintrain.comparison.push_decision import Limits, PushDecision, decide, pushed_versions
from twintrain.data.example_spec import EXAMPLE_ID
from twintrain.data.tfrecord_source import split_files
from twintrain.errors import TwintrainError
from twintrain.problems.find import statement_of
from twintrain.processes.progress import report_progress
from twintrain.recipe.recipe import Recipe
from twintrain.training.identity import Identity

FILE = "push.json"


@component
def PushGate(  # noqa: N802 - TFX names components like classes
    examples: InputArtifact[Examples],
    candidate: InputArtifact[Model],
    fit_run: InputArtifact[ModelRun],
    loop_run: InputArtifact[ModelRun],
    blessing: InputArtifact[ModelBlessing],
    decision: OutputArtifact[ModelBlessing],
    destination: Parameter[str],
    in_place: Parameter[str],
    recipe: Parameter[str],
    code: Parameter[str],
) -> None:
    """Decide about the push, and write why.

    Args:
        examples: raw, as ingested.
        candidate: the loop twin of the first seed.
        fit_run: records of the fit twin.
        loop_run: records of the loop twin.
        blessing: the Evaluator's.
        decision: what the Pusher obeys; push.json in it has the reasons.
        destination: where twins are pushed to; the newest there whose files were not changed since
            is the one to hold against.
        in_place: not read; the version pushed last, so that a decision made when another one stood
            there, or none, is not taken for this one.
        recipe: as JSON; its thresholds decide.
        code: not read; it keeps a result of other code from being taken for this one's.
    """
    wanted = Recipe.model_validate_json(recipe)
    statement = statement_of(wanted)
    one_seed = wanted.model_copy(update={"seeds": wanted.seeds[:1]})
    predictions = load_predictions(
        one_seed, statement.task, {"fit": Path(fit_run.uri), "loop": Path(loop_run.uri)}
    )
    newest, nothing = _intact(Path(destination))
    standing = newest is not None and _same(
        newest, Path(path_utils.serving_model_path(candidate.uri))
    )
    found = decide(
        Limits(statement.task.metric, statement.margin_of(wanted), wanted.comparison.threshold),
        loop=predictions.scores["loop"][0],
        fit=predictions.scores["fit"][0],
        last=None
        if newest is None or standing
        else statement.task.scores(
            predictions.targets, outputs_of(newest, split_files(examples.uri, "eval"))
        ),
        blessed=(Path(blessing.uri) / "BLESSED").exists(),
        standing=newest.name if newest is not None and standing else None,
        nothing=nothing,
    )
    _write(decision, candidate, found, push=found.pushed and not standing)


def _intact(destination: Path) -> tuple[Path | None, str]:
    """The newest pushed twin whose files are still what was pushed, and why there is none."""
    nothing = "nothing has been pushed before"
    for version in pushed_versions(destination):
        if not Identity.altered(version):
            return version, nothing
        text = f"{version} was changed after it was pushed, and counts no more."
        report_progress("note", text=text)
        nothing = f"version {version.name} was changed after it was pushed and counts no more"
    return None, nothing


def _same(model: Path, other: Path) -> bool:
    """Whether two exported models are one twin."""
    known, candidate = Identity.beside(model), Identity.beside(other)
    return known is not None and candidate is not None and known.same_twin(candidate)


def outputs_of(model: Path, files: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """What an exported twin gives for each raw example, float32 [examples, *output shape], in
    canonical order (by example id).
    """
    serve = tf.saved_model.load(str(model)).signatures["serving_default"]
    spec = {EXAMPLE_ID: tf.io.FixedLenFeature([], tf.string)}
    ids, found = [], []
    for batch in tf.data.TFRecordDataset(list(files), compression_type="GZIP").batch(500):
        parsed = tf.io.parse_example(batch, spec)
        try:
            found.append(serve(examples=batch)[OUTPUTS].numpy())
        except tf.errors.InvalidArgumentError as error:
            raise TwintrainError(
                f"The twin pushed last ({model}) does not take these examples, so that the new one "
                "cannot be held against it.",
                "If the data is another on purpose, give this run a root of its own (--root), or "
                "move that twin away.",
            ) from error
        ids.append(parsed[EXAMPLE_ID].numpy().astype(np.bytes_))
    return np.concatenate(found)[np.argsort(np.concatenate(ids), kind="stable")]


def _write(decision: ModelBlessing, candidate: Model, found: PushDecision, push: bool) -> None:
    folder = Path(decision.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(
        json.dumps(found.model_dump(mode="json"), indent=1), encoding="utf-8"
    )
    # A twin that lies there already keeps its place, but the Pusher must not put it there again.
    (folder / ("BLESSED" if push else "NOT_BLESSED")).touch()
    # What TFX's own Evaluator sets, and its Pusher reads.
    decision.set_int_custom_property("blessed", int(push))
    decision.set_string_custom_property("current_model", candidate.uri)
    decision.set_int_custom_property("current_model_id", candidate.id)
