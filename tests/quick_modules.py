"""The modules of `tests/cases` and `tests/correct` that are diagnosed in the suite: one of most
kinds, those that take some ten seconds each. All of them in `benchmarks/diagnosis.py`.
"""

from __future__ import annotations

CASES = (
    "k19341_rebuilt_from_config",
    "tf33898_fit_on_ordered_dataset",
    "tf45923_strategy_leftover_sum",
    "k17260_two_heads_plain_sum",
    "tf29108_clip_by_global_norm",
    "tf37862_decay_once_per_epoch",
    "k18883_sgd_by_hand",
    "ray34293_coefficient_frozen",
    "tf47906_unfreeze_in_callback",
    "k7804_resumed_with_the_epochs_left",
    "tacotron7_clipped_but_not_used",
    "kio48_last_batch_in_the_logs",
)
CORRECT = (
    "accumulation_by_hand",
    "clipnorm_by_hand",
    "early_stopping_val_accuracy",
    "epoch_in_graph",
    "frozen_batch_norm_backbone",
    "mirrored_strategy",
    "rows_a_multiple_of_the_batch",
    "sample_weight_mean_reduction",
    "scheduler_callback_assignment",
    "shuffle_different_seeds",
    "subclassed_model_lazy",
    "two_inputs_tuple",
)
