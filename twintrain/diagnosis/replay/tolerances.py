"""What counts as equal, each with its reason: every threshold of the diagnosis stands here.

A replay does the arithmetic of the side it replays, in another order at most. So these stand above
what rounding makes of float32 (6e-8 of a value, more after many operations), and below what a
mistake makes.
"""

from __future__ import annotations

from typing import NamedTuple


class Tolerance(NamedTuple):
    """How far two values may be apart: `floor + rel * size`.

    Attributes:
        rel: share of the values' size.
        floor: what is allowed also where the values are near zero.
    """

    rel: float
    floor: float


# Sums of some hundred products round in another order in a graph than op by op.
FORWARD = Tolerance(2e-5, 1e-7)
# Half precision rounds at 2^-11 (float16) or 2^-8 (bfloat16) of a value, a few times in a model.
HALF = {"float16": 4e-3, "bfloat16": 3e-2}

# The two sides: over two dozen steps, and over two epochs.

# What float32 rounding makes of two dozen steps; more, where the same code differs by more between
# two runs.
ROUNDING = 2e-5
# And of two epochs, where every stage was replayed and agrees: Adam turns the last digit of a
# gradient near zero into a step of full length.
GROWN = 1e-3
# The weights at the end have gone through more steps than those that are compared one by one.
END_FACTOR = 50
# Twice the same code: the two sides may each be as far off, in opposite directions.
REPEAT_FACTOR = 2
# The same code differs by more between two runs only where it draws random numbers of its own.
UNSEEDED = 1e-3

# Two longer runs, epoch by epoch.

# By what share of the way they came weights are apart before rounding is looked at as the reason;
# below the second, a few units in the last place, it is in any case.
PARTED, PARTED_FLOOR = 1e-3, 1e-6
# What rounding grows to is measured by a run whose weights were moved at the start by this share of
# themselves (a tenth of what a forward pass may be off), times this.
NUDGE_OF_FORWARD, ABOVE_NOISE = 0.1, 10.0
# The share where that run could not be had: rounding does not make a twentieth of the way.
PARTED_UNMEASURED = 0.05

# Weights after an epoch that give the same figures, but for rounding, on rows to validate on.
COURSE = Tolerance(1e-4, 1e-6)

# Weights and settings before the first step.

# Copied weights are equal to the bit; this leaves room for a cast on their way.
SAME_WEIGHTS = 1e-6
# Rates are written in decimals: 1 - 0.8 is not 0.2.
SAME_RATE = 1e-6

# Batches.

# Equal rows went through the same few operations of preprocessing.
SAME_ROW = Tolerance(1e-4, 1e-5)
# Rows that nothing was done to went through casts at most.
UNCHANGED = Tolerance(1e-6, 0.0)
# A scale and an offset are fitted to float32 values.
SAME_SCALE = Tolerance(1e-4, 1e-6)
# Largest residual of that fit, as a share of the largest value.
SCALED = 1e-4
# Decimals at which rows of two sides are the same row, and rows that were standardised by
# themselves; the second must swallow what 8-bit pixels lose.
ROW_DECIMALS = 4
STANDARDISED_DECIMALS = 2
# Share of rows that must be recognised: augmentation leaves some as they were, and some alike.
RECOGNISED = 0.9
# What was pulled from the data set explains the inputs better than they do themselves.
PULLED = 0.5
# Rows that a piece of the data may lack: equal rows cannot be told apart.
SCATTERED = 0.1
# Share of labels that would have to change for a part of the rows to be like all of them; chance
# makes this of a hundred rows or so.
UNREPRESENTATIVE = 0.05
# Share of inputs with another row's target that labels with some noise in them do not reach.
WRONG_PAIRS = 0.05
# Share of fed targets that must be targets of the data.
KNOWN_TARGETS = 0.95
# Targets this near, as a share of the largest, are the same: they may have been scaled.
SAME_TARGET = 1e-5
# Classes in the order of the data say which rows these are, where chance would hardly order them
# so: of a few rows of one class it often does.
BY_CHANCE = 1e-9
# By how many rows, as a share, the classes of fed targets may differ from those of the rows they
# were dealt out anew to: a shift loses the rows at the ends.
SAME_CLASSES = 0.02
# A full shuffle moves some row by nearly the whole length of the data; this is far from it.
SMALL_BUFFER = 0.6
# Factor between two buffers that is not the chance of the draw.
OTHER_BUFFER = 2
# Orders of magnitude: a factor of two in the scale of the inputs is a matter of taste.
OTHER_MAGNITUDE = 0.3

# Losses.

# A loss below this is rounding of larger terms that cancel.
LOSS_FLOOR = 1e-3
# A ratio of two losses rounds as both do, and as their difference to the regularization.
RATIO_FACTOR = 5
# A constant factor shows only where the losses of the batches are not all one.
LOSSES_VARY = 1e-4
# The factors of both sides are medians of such ratios.
SAME_FACTOR = Tolerance(1e-3, 1e-8)
# Probabilities of half precision add up to one this far.
SUM_TO_ONE = Tolerance(1e-5, 1e-2)

# Gradients and updates.

# A backward pass is about twice a forward pass, and some of its terms cancel.
GRADIENT = 2e-4
# The same in half precision, times `HALF`.
GRADIENT_HALF_FACTOR = 5.0
# Sums of the gradients of several batches, in an order that is not known.
ACCUMULATED = Tolerance(1e-3, 1e-8)
# Gradients that were handed on as they were.
UNTOUCHED = Tolerance(1e-5, 1e-9)
# By how much a norm must have shrunk to have been clipped.
SHRUNK = 1e-5
# Clipped gradients: their norms are sums over all elements.
CLIPPED = Tolerance(1e-4, 1e-9)
# Limits of clipping, one of which was read from such norms.
SAME_LIMIT = Tolerance(1e-3, 1e-8)
# One update by an optimizer that was put back into its state.
UPDATE = Tolerance(1e-4, 1e-6)
# Two rules apart in what they change a weight by, even where that is little beside the weight: the
# first is a share of the change, the second of the weight, whose difference it is (float32).
CHANGE, CHANGE_OF_SIZE = 1e-4, 1e-6
# Plain descent: rate times gradient, as the difference of weights a thousand times as large.
DESCENT = Tolerance(1e-2, 1e-6)
# So the rates read from it agree this far.
DESCENT_RATE = Tolerance(1e-2, 1e-8)
# And their median this far with the rate of an optimizer.
MEDIAN_RATE = Tolerance(1e-3, 1e-8)
# A norm is brought to its limit by a division and a multiplication.
CONSTRAINT = Tolerance(1e-5, 1e-6)
# Learning rates are float32, or computed by a schedule from float32.
LEARNING_RATE = Tolerance(1e-4, 0.0)
# A rate that does not vary is the same float32 in every step.
RATE_VARIES = 1e-6
# Weights this near their moving average do not show which of the two was kept.
AVERAGE_APART = 1e-6

# Figures.

# Logs hold means over an epoch, often rounded to float32 in every step.
FIGURE = Tolerance(2e-4, 2e-6)
# People round what they log. Fewer decimals than this may be chance: 0.75 is a share of rows.
FEWEST_DECIMALS, MOST_DECIMALS = 3, 6
# A decimal number that went through float32.
SAME_DECIMAL = 1e-7

# Divisors that must not be zero.

# Of norms and squares of gradients, which may be very small.
TINY_NORM = 1e-30
# Of counts, weights and values of inputs.
TINY = 1e-12
# Of a magnitude whose logarithm is taken.
TINY_MAGNITUDE = 1e-9
# Keras's own epsilon: it keeps probabilities this far from 0 and 1.
EPSILON = 1e-7


def forward_tolerance(dtype: str) -> Tolerance:
    """Tolerance of a forward pass that computes in this type."""
    return Tolerance(HALF.get(dtype, FORWARD.rel), FORWARD.floor)


def gradient_rel(dtype: str) -> float:
    """Tolerance of a gradient, as a share of the largest element of all gradients."""
    return max(GRADIENT, HALF.get(dtype, 0.0) * GRADIENT_HALF_FACTOR)
