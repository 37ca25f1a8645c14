"""LeakCheck: stops the run where test examples were trained on, and notes what is trained on."""

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, TransformGraph

from components.artifacts import OverlapRecord, write_json
from components.transformed import transformed_data
from twintrain.data.overlap import check_overlap, overlap
from twintrain.data.target_leak import target_leaks
from twintrain.problems.find import statement_of
from twintrain.processes.progress import report_progress
from twintrain.recipe.recipe import Recipe
from twintrain.training.seeds import Splits

OVERLAP, TARGET_LEAKS, TO_TRAIN_ON = "overlap", "target_leaks", "to_train_on"


@component
def LeakCheck(  # noqa: N802 - TFX names components like classes
    transformed_examples: InputArtifact[Examples],
    transform_graph: InputArtifact[TransformGraph],
    found: OutputArtifact[OverlapRecord],
    recipe: Parameter[str],
    code: Parameter[str],
) -> None:
    """Count the test examples that are, or nearly are, training examples, as a model is given them;
    find columns that give the target away; note the digest of what is to be trained on.

    `code` is not read: it keeps a result of other code from being taken for this one's.

    Raises:
        TwintrainError: there are more than the recipe allows (`comparison.overlap_limit`).
    """
    wanted = Recipe.model_validate_json(recipe)
    data = transformed_data(transformed_examples.uri, transform_graph.uri, wanted)
    limit = wanted.data.memory_limit_mb
    train, test = data.store("train", limit), data.store("eval", limit)
    shared = overlap(train, test)
    check_overlap(shared, wanted.comparison.overlap_limit)
    stated = statement_of(wanted)
    leaks = target_leaks(train, stated.task.CLASSIFIES, stated.labels)
    for leak in leaks:
        report_progress("note", text=leak.text)
    content = {
        OVERLAP: shared.model_dump(mode="json"),
        TARGET_LEAKS: [leak.model_dump(mode="json") for leak in leaks],
        TO_TRAIN_ON: Splits.of(wanted, train, test).trained_on,
    }
    write_json(found, content)
