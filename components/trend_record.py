"""TrendRecord: keeps this span's comparison beside those of the spans before, and holds it against
them.
"""

from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Schema

from components.artifacts import ComparisonReport, TrendEntry, write_json
from components.curated_schema import load_rules
from components.schema_features import feature_named
from components.staging import unstaged
from twintrain.comparison.comparison import Comparison
from twintrain.problems.find import statement_of
from twintrain.processes.progress import report_progress
from twintrain.recipe.recipe import Recipe
from twintrain.trend.monitor import look_at
from twintrain.trend.record_store import RecordStore
from twintrain.trend.span_record import record_from


@component
def TrendRecord(  # noqa: N802 - TFX names components like classes
    report: InputArtifact[ComparisonReport],
    examples: InputArtifact[Examples],
    schema: InputArtifact[Schema],
    entry: OutputArtifact[TrendEntry],
    destination: Parameter[str],
    moment: Parameter[str],
) -> None:
    """Write the record; one of the same span and recipe is replaced. Then say what is alarming: a
    gap, a drop, drift.

    Args:
        report: holds comparison.json.
        examples: knows its span.
        schema: says how far a label's share may move from span to span.
        entry: a copy of the record, where it is kept, and how it stands to the spans before.
        destination: a directory or a URL that fsspec knows.
        moment: not read; a new one in each run, so that none takes this step from an earlier one:
            the record may have been removed since.

    Raises:
        TwintrainError: the record cannot be written, or another cannot be read; then this one has
            been kept.
    """
    text = (Path(report.uri) / ComparisonReport.FILE).read_text(encoding="utf-8")
    comparison = Comparison.model_validate_json(text)
    statement = statement_of(Recipe.model_validate(comparison.recipe))
    rules = load_rules(next(Path(schema.uri).glob("*.pbtxt")), statement.targets, statement)
    label = feature_named(rules, statement.targets[0])
    # A schema without a comparator means that no change of a share is drift; numbers have none.
    allowed = label.drift_comparator.infinity_norm.threshold or 1.0
    threshold = allowed if statement.task.CLASSIFIES else None
    # TFX's driver for file-based ExampleGen notes the span as a custom property, not as the type's
    # own.
    span = examples.get_int_custom_property("span")
    found = record_from(comparison, span, threshold, unstaged(report.uri))
    store = RecordStore(destination)
    place = store.put(found)
    look = look_at(found, store.all())
    for alert in look.alerts:
        print(f"Span {span}: {alert.text}", flush=True)  # into the step's log
        report_progress("progress", node="TrendRecord", done=1, total=1, text=alert.text)
    write_json(entry, {"place": place, **look.model_dump(mode="json")})
