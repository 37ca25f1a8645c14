"""What the losses take outputs for, and what these are: probabilities or logits."""

from __future__ import annotations

from dataclasses import replace

import keras

from twintrain.diagnosis.replay.compare import each_close
from twintrain.diagnosis.replay.heads import gives_probabilities
from twintrain.diagnosis.replay.losses import LossPractice, LossReading
from twintrain.diagnosis.replay.model_calls import outputs_of
from twintrain.diagnosis.replay.tolerances import FORWARD
from twintrain.diagnosis.stages.pair import Pair, Side
from twintrain.diagnosis.watch.trace import FIT, LOOP


def each_as_it_ends(pair: Pair, fit: LossReading, loop: LossReading) -> bool:
    """Whether both losses take the outputs of their own model for what they are, probabilities or
    logits. Whether the models are the same but for that is another question.
    """
    return all(
        _probabilities_taken(reading) == probabilities_given(side, reading) is not None
        for side, reading in ((pair.fit, fit), (pair.loop, loop))
    )


def _probabilities_taken(reading: LossReading) -> bool | None:
    """Whether a loss takes outputs for probabilities; None where that would not show."""
    forms = [form for form in ("logits", "probabilities") if _takes(reading, form)]
    return forms == ["probabilities"] if len(forms) == 1 else None


def _takes(reading: LossReading, form: str) -> bool:
    """Whether a loss that takes outputs so would have been the same in all steps."""
    other = replace(reading.practice, form=form)
    try:
        again = [reading.replay(number, other) for number in reading.batches]
    except Exception:  # it cannot be taken so: TensorFlow may say that in ways of its own
        return False
    return each_close(list(map(reading.replay, reading.batches)), again, FORWARD)


def probabilities_given(side: Side, reading: LossReading) -> bool | None:
    """Whether a side's outputs are probabilities; None where that cannot be told. Of several
    outputs those count whose losses are of classes.
    """
    which = _of_classes(reading)
    outputs = [
        outputs_of(batch.p)[number] for batch in reading.batches.values() for number in which
    ]
    return gives_probabilities(side.steps[0].model, outputs, which)


def _of_classes(reading: LossReading) -> list[int]:
    """The numbers of the outputs whose losses are of classes; of all where none is."""
    nest, declared = next(iter(reading.batches.values())).p, reading.declared
    flat = keras.tree.flatten(nest)
    picked = zip(declared.pick(nest), declared.kinds, strict=False)
    chosen = {id(part) for part, kind in picked if kind != "other"}
    return [n for n, part in enumerate(flat) if id(part) in chosen] or list(range(len(flat)))


def form_of_figures(pair: Pair) -> str | None:
    """How the loss that `fit` is declared with takes the outputs of the loop's model, as for
    figures of its own; None where the loop's loss takes them for what they may not be, so that what
    it judges itself by is not known.
    """
    fit, loop = pair.losses.get(FIT), pair.losses.get(LOOP)
    if fit is None or loop is None:
        return LossPractice().form
    if fit.practice.form == loop.practice.form or each_as_it_ends(pair, fit, loop):
        return loop.practice.form
    return None
