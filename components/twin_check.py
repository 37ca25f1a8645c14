"""TwinCheck: after the trainings, before anything is concluded from them."""

from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import ModelRun

from components.artifacts import OverlapRecord, TwinAgreement, read_json, write_json
from components.leak_check import TO_TRAIN_ON
from twintrain.errors import TwintrainError
from twintrain.parity.run_agreement import compare_seed
from twintrain.training.seed_record import SeedRecord, records_below


@component
def TwinCheck(  # noqa: N802 - TFX names components like classes
    fit_run: InputArtifact[ModelRun],
    loop_run: InputArtifact[ModelRun],
    overlap: InputArtifact[OverlapRecord],
    agreement: OutputArtifact[TwinAgreement],
    must_agree: Parameter[int],
    code: Parameter[str],
) -> None:
    """Compare batches, weights and histories of the twins, seed by seed.

    Args:
        fit_run: records of the fit twin.
        loop_run: records of the loop twin.
        overlap: knows the digest of what Transform left to be trained on.
        agreement: where the findings go.
        must_agree: 1 where both twins obey the same recipe, so that different batches are an error;
            0 where the loop deviates on purpose.
        code: not read; it keeps a result of other code from being taken for this one's.

    Raises:
        TwintrainError: a training was made on other examples than Transform left; or the batches
            differ although the recipe is the same: names the first such batch.
    """
    loops = {record.figures.seed: record for record in records_below(Path(loop_run.uri))}
    fits = records_below(Path(fit_run.uri))
    _see_that_the_examples_are_ours([*fits, *loops.values()], read_json(overlap)[TO_TRAIN_ON])
    seeds = []
    for record in fits:
        found = compare_seed(record, loops[record.figures.seed])
        if must_agree and found.first_different_batch is not None:
            epoch, step = found.first_different_batch
            raise TwintrainError(
                f"The twins were not fed the same batches: with seed {found.seed} they first "
                "differ "
                f"in epoch {epoch + 1}, batch {step + 1}.",
                "Their figures cannot be compared. Check that data and recipe did not change "
                "during the run.",
            )
        seeds.append(found.model_dump())
    write_json(agreement, seeds)


def _see_that_the_examples_are_ours(records: list[SeedRecord], to_train_on: str) -> None:
    for record in records:
        figures = record.figures
        if figures.trained_on != to_train_on:
            raise TwintrainError(
                f"The {figures.twin} twin with seed {figures.seed} was not trained on the examples "
                "that Transform left: they were changed in between.",
                "Nothing can be concluded from it. Start the run again with --no-cache.",
            )
