"""LeakCheck: stops the run where test examples were trained on."""

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, TransformGraph

from components.artifacts import OverlapRecord, write_json
from components.transformed import transformed_data
from twintrain.data.overlap import check_overlap, overlap
from twintrain.recipe.recipe import Recipe


@component
def LeakCheck(  # noqa: N802 - TFX names components like classes
    transformed_examples: InputArtifact[Examples],
    transform_graph: InputArtifact[TransformGraph],
    found: OutputArtifact[OverlapRecord],
    recipe: Parameter[str],
    code: Parameter[str],
) -> None:
    """Count the test examples that are, or nearly are, training examples, as a model is given them.

    `code` is not read: it keeps a result of other code from being taken for this one's.

    Raises:
        TwintrainError: there are more than the recipe allows (`comparison.overlap_limit`).
    """
    wanted = Recipe.model_validate_json(recipe)
    data = transformed_data(transformed_examples.uri, transform_graph.uri, wanted)
    limit = wanted.data.memory_limit_mb
    shared = overlap(data.store("train", limit), data.store("eval", limit))
    check_overlap(shared, wanted.comparison.overlap_limit)
    write_json(found, shared.model_dump(mode="json"))
