"""Attribution: which practice is worth how many points between the two twins; a node of its own, only when asked for."""

from pathlib import Path
from typing import get_args

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, ModelRun, TransformGraph

from components.artifacts import AttributionRecord, write_json
from components.transformed import transformed_data
from twintrain.attribution.explain import Bill, Question, explain
from twintrain.progress import tell
from twintrain.recipe import Recipe, TwinName

NODE = "Attribution"


class _Teller:
    """Hands the experiment's progress on to whoever watches the run."""

    def __init__(self) -> None:
        self._last: tuple[int, str] = (-1, "")

    def bill(self, bill: Bill) -> None:
        text = f"{bill.trainings} trainings, {bill.done} of them done, about {bill.seconds:.0f} s"
        tell("progress", node=NODE, done=0, total=bill.trainings, text=text)

    def training(self, done: int, total: int, text: str) -> None:
        if text and (done, text) != self._last:
            self._last = (done, text)
            tell("progress", node=NODE, done=done, total=max(total, 1), text=text)


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
    """
    wanted = Recipe.model_validate_json(recipe)
    minutes = wanted.attribution.budget_minutes
    folders = {"fit": Path(fit_run.uri), "loop": Path(loop_run.uri)}
    question = Question(
        start=wanted.model_copy(update={"name": "fit"}),
        end=wanted.model_copy(update={"name": "the loop"}),
        data=transformed_data(transformed_examples.uri, transform_graph.uri),
        cache=Path(state),
        budget_seconds=None if minutes is None else 60 * minutes,
        known={(twin, seed): folders[twin] / f"seed-{seed}" for twin in get_args(TwinName) for seed in wanted.seeds},
    )
    write_json(attribution, explain(question, _Teller()).model_dump(mode="json"))
