"""ParityCheck: before the long training, a few steps of both twins side by side on real transformed
batches.
"""

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, TransformGraph

from components.artifacts import ParityRecord, write_json
from components.transformed import transformed_data
from twintrain.diagnosis.twins import run_and_explain
from twintrain.errors import TwintrainError
from twintrain.parity.lockstep import LockstepJob
from twintrain.processes.isolated import run_isolated
from twintrain.recipe.recipe import Recipe

STEPS = 20


@component
def ParityCheck(  # noqa: N802 - TFX names components like classes
    transformed_examples: InputArtifact[Examples],
    transform_graph: InputArtifact[TransformGraph],
    parity: OutputArtifact[ParityRecord],
    recipe: Parameter[str],
    code: Parameter[str],
) -> None:
    """Step the twins side by side; stop the run where they part although they obey one recipe.

    `code` is not read: it keeps a result of other code from being taken for this one's.

    Raises:
        TwintrainError: the twins part; names the step, the stage and the tensor.
    """
    wanted = Recipe.model_validate_json(recipe)
    data = transformed_data(transformed_examples.uri, transform_graph.uri, wanted)
    result = run_isolated(run_and_explain, LockstepJob(wanted, data, STEPS))
    if wanted.twins_agree and result.first is not None:
        raise TwintrainError(
            f"The twins obey one recipe and yet part: {result.first.describe()}."
            + "".join(f" The {cause}." for cause in result.causes),
            "Their trainings would not be comparable. If model.name is your own, look for "
            "randomness or state in it "
            "that no seed governs.",
        )
    write_json(parity, result.model_dump(mode="json"))
