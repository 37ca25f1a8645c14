"""Causes read off single steps, taken back where the weights contradict them: the steps of the two
sides are not one another's (several models take turns, or one side calls its model in parts), and
what they look like beside each other tells nothing.
"""

from __future__ import annotations

from twintrain.diagnosis.replay.compare import weight_positions
from twintrain.diagnosis.stages.accumulated import end_alike
from twintrain.diagnosis.stages.lockstep_tables import same_batches
from twintrain.diagnosis.stages.pair import Pair

# What acts in every epoch, also with nothing shuffled: with any of these, other weights come of it
# soon.
_IN_EVERY_EPOCH = frozenset(
    {
        "augmentation_one_sided",
        "batch_size_differs",
        "epoch_truncated",
        "epochs_differ",
        "gradient_accumulation",
        "gradients_rescaled",
        "label_encoding_differs",
        "last_batch_dropped",
        "loss_reduction",
        "preprocessing_differs",
        "targets_misaligned",
        "trainable_flags",
    }
)
# Epochs that have to end alike.
_FEWEST = 2


def acquit_steps(pair: Pair, epochs: int, kept: frozenset[str]) -> None:
    """Take back what was read off steps that do not belong together, where both sides end all
    epochs with the same weights.

    Args:
        pair: watched with nothing shuffled; its findings are changed.
        epochs: of the longer runs, after all of which the weights of both sides are the same.
        kept: ids that were found by other means.
    """
    findings = pair.findings
    named = {cause.id for cause in findings.causes} - kept
    if not named or not named <= _IN_EVERY_EPOCH or epochs < _FEWEST or same_batches(pair):
        return
    if not pair.complete or not end_alike(pair, weight_positions):
        return
    findings.causes[:] = [cause for cause in findings.causes if cause.id not in named]
    findings.ruled_out |= named
    findings.notes.append(
        "Single steps of the two sides do not belong together, and what they look like beside each "
        f"other ({', '.join(sorted(named))}) is no cause: from the same start both end each of "
        f"{epochs} epochs with the same weights of the {pair.fit.steps[0].model.name}."
    )
