"""Attribution: which practice is worth how many points between the two twins; a node of its own,
only when asked for.
"""

from pathlib import Path
from typing import get_args

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, HyperParameters, ModelRun, TransformGraph

from components.artifacts import AttributionRecord, write_json
from components.transformed import read_best, transformed_data, with_best
from twintrain.attribution.cost_estimate import CostEstimate
from twintrain.attribution.experiment import Question, explain
from twintrain.processes.progress import report_progress
from twintrain.recipe.recipe import Recipe, TwinName

NODE = "Attribution"


class _Progress:
    """Hands the experiment's progress on to whoever watches the run."""

    def __init__(self) -> None:
        self._last: tuple[int, str] = (-1, "")

    def estimate(self, estimate: CostEstimate) -> None:
        text = (
            f"{estimate.trainings} trainings, {estimate.done} of them done, about "
            f"{estimate.seconds:.0f} s"
        )
        report_progress("progress", node=NODE, done=0, total=estimate.trainings, text=text)

    def training(self, done: int, total: int, text: str) -> None:
        if text and (done, text) != self._last:
            self._last = (done, text)
            report_progress("progress", node=NODE, done=done, total=max(total, 1), text=text)


@component
def Attribution(  # noqa: N802 - TFX names components like classes
    transformed_examples: InputArtifact[Examples],
    transform_graph: InputArtifact[TransformGraph],
    fit_run: InputArtifact[ModelRun],
    loop_run: InputArtifact[ModelRun],
    attribution: OutputArtifact[AttributionRecord],
    recipe: Parameter[str],
    state: Parameter[str],
    code: Parameter[str],
    fit_best: InputArtifact[HyperParameters] = None,  # type: ignore[assignment]
    loop_best: InputArtifact[HyperParameters] = None,  # type: ignore[assignment]
) -> None:
    """Vary the practices in which the loop deviates, and find each one's share of the gap.

    Args:
        transformed_examples: what the twins were trained on.
        transform_graph: its schema.
        fit_run: records of the fit twin; its trainings are not done again.
        loop_run: records of the loop twin, likewise.
        attribution: where the shares go.
        recipe: of the comparison, as JSON.
        state: folder for the experiment's trainings, so that an interrupted one goes on.
        code: not read; it keeps a result of other code from being taken for this one's.
        fit_best: what the fit twin's tuner found, where the recipe applies it.
        loop_best: likewise.
    """
    wanted = Recipe.model_validate_json(recipe)
    minutes = wanted.attribution.budget_minutes
    folders = {"fit": Path(fit_run.uri), "loop": Path(loop_run.uri)}
    question = Question(
        start=_tuned(wanted, "fit", fit_best),
        end=_tuned(wanted, "the loop", loop_best),
        data=transformed_data(transformed_examples.uri, transform_graph.uri, wanted),
        cache=Path(state),
        budget_seconds=None if minutes is None else 60 * minutes,
        known={
            (twin, seed): folders[twin] / f"seed-{seed}"
            for twin in get_args(TwinName)
            for seed in wanted.seeds
        },
    )
    write_json(attribution, explain(question, _Progress()).model_dump(mode="json"))


def _tuned(recipe: Recipe, name: str, best: HyperParameters | None) -> Recipe:
    """The recipe with the tuner's values in place; nothing is left to be searched."""
    values = read_best(best.uri) if best else None
    tuning = recipe.tuning.model_copy(update={"apply": False})
    return with_best(recipe, values).model_copy(update={"name": name, "tuning": tuning})
