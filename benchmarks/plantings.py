"""What each pitfall of the catalogue asks of the task it is planted in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Trait(Enum):
    """What a task may have; the value says why a pitfall cannot show on a task without it."""

    PROBABILITIES = "needs class probabilities"
    TWO_MODES = "the model has neither dropout nor batch normalization"
    SCALE = "token numbers have no scale"
    ONE_OUTPUT = "needs one output per row"
    PADDING = "nothing is padded"


@dataclass(frozen=True)
class Planting:
    """What a pitfall asks of the task it is planted in.

    Attributes:
        needs: what the task must have; None for any task.
        not_beside: pitfalls that would be invisible or meaningless beside it, or it beside them.
        two_outputs: the model has a second output.
        half: mixed float16.
        weighted: the data has sample weights.
        constrained: a layer has a constraint, and the optimizer is SGD.
        scheduled: the learning rate follows a schedule.
        stopping: early stopping is on.
        warming: the loss has a weight that changes in the second epoch.
        stateful: the model has a stateful recurrent layer, and all batches are whole.
        optimizer: more arguments of the optimizer.
    """

    needs: Trait | None = None
    not_beside: frozenset[str] = frozenset()
    two_outputs: bool = False
    half: bool = False
    weighted: bool = False
    constrained: bool = False
    scheduled: bool = False
    stopping: bool = False
    warming: bool = False
    stateful: bool = False
    optimizer: dict[str, Any] = field(default_factory=dict)


PLANTINGS = {
    "different_initial_weights": Planting(),
    "shuffle_missing": Planting(),
    "shuffle_buffer_too_small": Planting(not_beside=frozenset({"shuffle_missing"})),
    "batch_size_differs": Planting(),
    "epoch_truncated": Planting(),
    "last_batch_dropped": Planting(not_beside=frozenset({"epoch_truncated"})),
    "validation_split_differs": Planting(
        not_beside=frozenset({"epoch_truncated", "last_batch_dropped", "evaluation_set_differs"})
    ),
    "targets_misaligned": Planting(),
    "preprocessing_differs": Planting(Trait.SCALE),
    "augmentation_one_sided": Planting(not_beside=frozenset({"preprocessing_differs"})),
    "training_flag_missing": Planting(Trait.TWO_MODES),
    "recurrent_state_not_reset": Planting(
        not_beside=frozenset(
            {"batch_size_differs", "last_batch_dropped", "metric_batch_average"}
            | {"loss_before_update"}
        ),
        stateful=True,
    ),
    "dropout_rate_inverted": Planting(Trait.TWO_MODES, frozenset({"training_flag_missing"})),
    "precision_differs": Planting(),
    "python_value_frozen_in_trace": Planting(warming=True),
    "target_broadcast": Planting(Trait.ONE_OUTPUT),
    "probabilities_as_logits": Planting(Trait.PROBABILITIES),
    "label_encoding_differs": Planting(Trait.PROBABILITIES, frozenset({"probabilities_as_logits"})),
    "loss_reduction": Planting(),
    "regularization_losses_missing": Planting(),
    "weights_ignored": Planting(weighted=True),
    "loss_weights_ignored": Planting(two_outputs=True),
    "weighted_mean_normalization": Planting(
        not_beside=frozenset({"weights_ignored"}), weighted=True
    ),
    "mask_ignored": Planting(Trait.PADDING),
    "loss_scale_not_applied": Planting(not_beside=frozenset({"precision_differs"}), half=True),
    "gradients_rescaled": Planting(),
    "clipping_missing": Planting(
        not_beside=frozenset({"clip_per_variable_vs_global", "gradients_rescaled"}),
        optimizer={"global_clipnorm": 0.05},
    ),
    "clip_per_variable_vs_global": Planting(
        not_beside=frozenset({"gradients_rescaled"}), optimizer={"global_clipnorm": 0.05}
    ),
    "optimizer_differs": Planting(
        not_beside=frozenset({"clip_per_variable_vs_global", "clipping_missing"})
    ),
    "optimizer_state_reset": Planting(
        not_beside=frozenset({"optimizer_differs", "gradient_accumulation"})
    ),
    "learning_rate_schedule": Planting(not_beside=frozenset({"optimizer_differs"}), scheduled=True),
    "gradient_accumulation": Planting(not_beside=frozenset({"gradients_rescaled"})),
    "constraints_not_applied": Planting(
        not_beside=frozenset(
            {"gradient_accumulation", "optimizer_differs", "gradients_rescaled"}
            | {"optimizer_state_reset"}
        ),
        constrained=True,
    ),
    "trainable_flags": Planting(),
    "metrics_not_reset": Planting(),
    "metric_batch_average": Planting(not_beside=frozenset({"last_batch_dropped"})),
    "loss_before_update": Planting(
        not_beside=frozenset({"metrics_not_reset", "metric_batch_average"})
    ),
    "last_batch_logged": Planting(
        not_beside=frozenset({"metrics_not_reset", "metric_batch_average", "loss_before_update"})
    ),
    "metric_definition_differs": Planting(
        not_beside=frozenset(
            {
                "regularization_losses_missing",
                "metrics_not_reset",
                "last_batch_logged",
                "loss_before_update",
            }
        )
    ),
    "ema_not_finalized": Planting(
        not_beside=frozenset({"optimizer_differs"}),
        optimizer={"use_ema": True, "ema_momentum": 0.9},
    ),
    "evaluation_set_differs": Planting(),
    "evaluation_training_mode": Planting(Trait.TWO_MODES),
    "epochs_differ": Planting(),
    "early_stopping_rule": Planting(stopping=True),
    "best_weights_not_restored": Planting(stopping=True),
}


def can_stand_together(ids: Iterable[str]) -> bool:
    """Whether each of some pitfalls shows beside the others."""
    chosen = set(ids)
    return not any(PLANTINGS[id_].not_beside & chosen for id_ in chosen)
