"""From two recipes to shares of the gap between them.

    explanation = explain(Question(start, end, data, cache_folder))

First what costs nothing is settled: practices that change no bit, or only the rounding, are found
by short trainings and take no part in the experiment. Then the estimate is made, cut to the budget,
and shown; trainings are done seed by seed, so that every finished seed is a whole experiment; what
was trained before is not trained again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from twintrain.attribution import analysis, trainer_process
from twintrain.attribution.cost_estimate import CostEstimate, Listener, Silent
from twintrain.attribution.design import Design, designs
from twintrain.attribution.practices import PER_STEP, Practice, mixed, practices_between
from twintrain.attribution.result import Combination, Explanation, Share
from twintrain.attribution.training_cache import Cache, Outcome, Training
from twintrain.data.source import DataSource
from twintrain.errors import TwintrainError
from twintrain.problems.find import statement_of
from twintrain.recipe.recipe import Recipe, TwinName
from twintrain.training.provenance import training_digest

# Largest change of a weight that counts as rounding, as a share of the largest weight: some hundred
# units in the last place of a float32 after twenty steps. Mixed precision moves weights by a
# thousand times as much.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Question:
    """What is to be explained.

    Attributes:
        start: the first recipe; its fit twin is where the gap is counted from.
        end: the second recipe, taken as its loop twin obeys it.
        data: the examples; both recipes must be about the same.
        cache: folder of finished trainings.
        budget_seconds: for trainings still to be done; None for as long as it takes.
        include_idle: vary also what was found to change nothing but the rounding.
        known: finished trainings of the pipeline, (twin, seed) -> folder of the record.
    """

    start: Recipe
    end: Recipe
    data: DataSource
    cache: Path
    budget_seconds: float | None = None
    include_idle: bool = False
    known: Mapping[tuple[TwinName, int], Path] = field(default_factory=dict)


def explain(question: Question, listener: Listener | None = None) -> Explanation:
    """Find the share of every practice.

    Raises:
        TwintrainError: the recipes are the same or about different data, the loop is one's own, the
            budget is too small for any design, or a training failed.
    """
    started, listener = time.monotonic(), listener or Silent()
    for recipe in (question.start, question.end):
        if recipe.twins.own:
            raise TwintrainError(
                f"twins.loop is your own ({recipe.twins.loop}): practices are fields of a recipe, "
                "and it has none that could be varied.",
                "`twintrain compare --loop FILE` names what it does otherwise and what that costs.",
            )
    if not (question.start.tuning.apply or question.end.tuning.apply):
        _differences(
            question, question.start.for_twin("fit"), question.end.for_twin("loop")
        )  # fails before it costs
    at = [0, 0]

    def report(text: str) -> None:
        listener.training(at[0], at[1], text)

    with trainer_process.TrainerProcess(
        question.data, question.cache / "log.txt", report
    ) as trainer:
        report("reading the data, checking which practices change anything, timing an epoch")
        experiment = _Experiment.prepare(question, trainer)
        estimate = experiment.estimate()
        listener.estimate(estimate)
        at[1] = estimate.trainings
        scores, seeds, seconds = experiment.run(estimate, at, report, started)
    return experiment.conclude(estimate, scores, seeds, seconds, time.monotonic() - started)


@dataclass(frozen=True)
class _Experiment:
    """The experiment once its process has looked at data and practices."""

    question: Question
    start: Recipe
    end: Recipe
    practices: list[Practice]
    idle: dict[str, str]
    prepared: trainer_process.Prepared
    cache: Cache
    trainer: trainer_process.TrainerProcess

    @classmethod
    def prepare(cls, question: Question, trainer: trainer_process.TrainerProcess) -> _Experiment:
        start, end = question.start.for_twin("fit"), question.end.for_twin("loop")
        start = (
            trainer.call(trainer_process.tuned, start, question.cache)
            if start.tuning.apply
            else start
        )
        end = trainer.call(trainer_process.tuned, end, question.cache) if end.tuning.apply else end
        practices = _differences(question, start, end)
        checked = [practice for practice in practices if practice.name in PER_STEP]
        pairs = [
            pair for practice in checked for pair in _toggled(start, end, practices, practice.name)
        ]
        ends = [start, mixed(start, practices, {p.name for p in practices} - {"graph execution"})]
        prepared = trainer.call(trainer_process.prepare, start, pairs, ends, start.seeds[0])
        moved = {p.name: max(prepared.moved[2 * i : 2 * i + 2]) for i, p in enumerate(checked)}
        idle = (
            {}
            if question.include_idle
            else {n: _why_idle(size) for n, size in moved.items() if size < ROUNDING}
        )
        code = " ".join(training_digest(recipe) for recipe in (start, end))
        cache = Cache(question.cache, f"{prepared.data_digest} {code}")
        experiment = cls(question, start, end, practices, idle, prepared, cache, trainer)
        experiment._adopt()
        return experiment

    @property
    def varied(self) -> list[Practice]:
        return [practice for practice in self.practices if practice.name not in self.idle]

    def training(self, row: Any, seed: int) -> Training:
        """The training of one combination: the first recipe with nothing switched is trained by fit
        itself.
        """
        switched = {p.name for p, on in zip(self.varied, row, strict=True) if on}
        # What was found idle stays as the first recipe has it.
        recipe = mixed(self.start, self.practices, switched)
        return Training("loop" if switched else "fit", recipe, seed)

    def estimate(self) -> CostEstimate:
        """The best design that the budget allows, all seeds first, then fewer."""
        seeds, budget = self.start.seeds, self.question.budget_seconds
        choices = designs(len(self.varied)) if self.varied else (_nothing(),)
        fewest = min(2, len(seeds))
        offers = [
            self._offer(design, seeds[:count])
            for design, count in product(choices, range(len(seeds), fewest - 1, -1))
        ]
        fitting = [offer for offer in offers if budget is None or offer.seconds <= budget]
        if not fitting:
            cheapest = min(offers, key=lambda offer: offer.seconds)
            raise TwintrainError(
                f"The budget of {budget:.0f} s is too small: the smallest experiment "
                f"({cheapest.trainings} trainings) "
                f"takes about {cheapest.seconds:.0f} s.",
                "Raise --budget, shorten the trainings (--set training.epochs=…) or use fewer "
                "examples "
                "(--set data.limit=…).",
            )
        # A design that assumes less is worth more than a seed beyond the third.
        best = min(fitting, key=lambda o: (len(o.seeds) < min(3, len(seeds)), offers.index(o)))
        first = offers[0]
        cut = ""
        if best is not first:
            cut = (
                f"the budget allows {best.trainings} of the {first.trainings} trainings of the "
                "whole experiment"
            )
        return CostEstimate(
            best.design, best.practices, best.idle, best.seeds, best.done, best.seconds, cut
        )

    def _offer(self, design: Design, seeds: tuple[int, ...]) -> CostEstimate:
        trainings = [self.training(row, seed) for seed in seeds for row in design.runs]
        missing = sum(not self.cache.has(training) for training in trainings)
        each = sum(self.prepared.seconds) / len(self.prepared.seconds)
        return CostEstimate(
            design, self.varied, self.idle, seeds, len(trainings) - missing, missing * each, ""
        )

    def run(
        self, estimate: CostEstimate, at: list[int], report: Callable[[str], None], started: float
    ) -> tuple[list[list[Outcome]], tuple[int, ...], float]:
        """Train what is missing, seed by seed; the outcomes per seed and combination, and what they
        took.
        """
        budget = self.question.budget_seconds
        outcomes: list[list[Outcome]] = []
        spent: list[float] = []
        for seed in estimate.seeds:
            begun = time.monotonic()
            late = (
                budget is not None
                and len(spent) >= 2
                and begun - started + max(spent) > 1.1 * budget
            )
            if late and any(
                not self.cache.has(self.training(row, seed)) for row in estimate.design.runs
            ):
                break
            row_outcomes = []
            for row in estimate.design.runs:
                training = self.training(row, seed)
                if not self.cache.has(training):
                    report(f"seed {seed}: {self._name(row)}")
                    self.trainer.call(trainer_process.train, training, self.cache)
                at[0] += 1
                row_outcomes.append(
                    self.trainer.call(trainer_process.outcome, training, self.cache)
                )
            outcomes.append(row_outcomes)
            spent.append(time.monotonic() - begun)
        seconds = sum(outcome.seconds for row in outcomes for outcome in row)
        return outcomes, estimate.seeds[: len(outcomes)], seconds

    def conclude(
        self,
        estimate: CostEstimate,
        outcomes: list[list[Outcome]],
        seeds: tuple[int, ...],
        training_seconds: float,
        wall: float,
    ) -> Explanation:
        scores = np.stack(
            [[one.scores for one in row] for row in outcomes], axis=1
        )  # [combinations, seeds, examples]
        metric = statement_of(self.question.start).task.metric
        measured = analysis.Measured(metric, scores)
        shares = (
            analysis.estimate_shares(measured, estimate.design, estimate.practices)
            if self.varied
            else []
        )
        ends = np.zeros(len(estimate.design.runs))
        ends[0] -= 1
        ends[1 if self.varied else 0] += 1
        gap, interval = measured.in_its_unit(measured.weighed(ends))
        interval = interval if self.varied else (0.0, 0.0)
        means = scores.mean(axis=2)
        names = [practice.name for practice in estimate.practices]
        return Explanation(
            sentence=analysis.sentence(measured, gap, interval, shares),
            metric=metric,
            start=self.question.start.name,
            end=self.question.end.name,
            gap=gap,
            gap_ci95=interval,
            start_scores=means[0].tolist(),
            end_scores=means[1 if self.varied else 0].tolist(),
            shares=[*shares, *self._idle_shares()],
            interactions=analysis.estimate_interactions(
                measured, estimate.design, estimate.practices
            )
            if self.varied
            else [],
            restored=analysis.restore(measured, estimate.design, shares) if self.varied else None,
            design=estimate.design.kind,
            combinations=[
                Combination(
                    switched=[n for n, on in zip(names, row, strict=True) if on],
                    scores=per_seed.tolist(),
                )
                for row, per_seed in zip(estimate.design.runs, means, strict=True)
            ],
            seeds=list(seeds),
            test_examples=scores.shape[2],
            trainings=len(estimate.design.runs) * len(seeds),
            reused=min(estimate.done, len(estimate.design.runs) * len(seeds)),
            seconds=wall,
            training_seconds=training_seconds,
            framework=self.prepared.framework,
            notes=self._notes(estimate, seeds),
        )

    def _idle_shares(self) -> list[Share]:
        return [
            Share(
                practice=p.name,
                worth=0.0,
                ci95=(0.0, 0.0),
                p_value=1.0,
                named=False,
                changes=p.changes,
                idle=self.idle[p.name],
            )
            for p in self.practices
            if p.name in self.idle
        ]

    def _notes(self, estimate: CostEstimate, seeds: tuple[int, ...]) -> list[str]:
        notes = [estimate.cut] if estimate.cut else []
        if len(seeds) < len(estimate.seeds):
            notes.append(f"the budget ran out after {len(seeds)} of {len(estimate.seeds)} seeds")
        if self.prepared.framework:
            size = f"{self.prepared.framework:.0e} of the largest weight"
            notes.append(
                f"fit and the loop, both obeying the first recipe, differ by {size}: it is counted "
                "to the shares"
            )
        if len(seeds) == 1:
            notes.append("seeds were not varied: intervals hold for these models only")
        if estimate.design.kind == "mains":
            notes.append(
                "this small design takes the practices to add up; interactions would be counted to "
                "others"
            )
        if estimate.design.kind == "pairs":
            notes.append(
                "a fraction of all combinations: interactions of three or more practices are taken "
                "to be none"
            )
        return notes

    def _name(self, row: Any) -> str:
        names = [p.name for p, on in zip(self.varied, row, strict=True) if on]
        return (
            f"{self.question.start.name} with {', '.join(names)} of {self.question.end.name}"
            if names
            else (self.question.start.name)
        )

    def _adopt(self) -> None:
        """Take over the pipeline's trainings: fit by the first recipe, the loop by the second."""
        for (twin, seed), record in self.question.known.items():
            if twin == "fit":
                self.cache.adopt(Training("fit", self.start, seed), record)
            elif not self.idle:
                self.cache.adopt(
                    Training(
                        "loop",
                        mixed(self.start, self.practices, [p.name for p in self.practices]),
                        seed,
                    ),
                    record,
                )


def _differences(question: Question, start: Recipe, end: Recipe) -> list[Practice]:
    practices = practices_between(start, end)
    if not practices:
        raise TwintrainError(
            f"Nothing to explain: {question.start.name} and {question.end.name} ask for the same "
            "training.",
            "Name two recipes that differ, or let the loop deviate: --to bare",
        )
    return practices


def _toggled(
    start: Recipe, end: Recipe, practices: list[Practice], name: str
) -> list[tuple[Recipe, Recipe]]:
    """The practice switched alone, and switched back alone: twice (without, with)."""
    names = {practice.name for practice in practices}
    return [
        (mixed(start, practices, ()), mixed(start, practices, {name})),
        (mixed(start, practices, names - {name}), mixed(start, practices, names)),
    ]


def _why_idle(size: float) -> str:
    if size == 0:
        return "changes no bit of any weight in short trainings under either recipe"
    return (
        f"only moves the rounding: {size:.0e} of the largest weight after short trainings under "
        "either recipe"
    )


def _nothing() -> Design:
    """The design when no practice is left to vary."""
    empty = np.empty((0, 1))
    return Design("full", np.zeros((1, 0), bool), empty, empty)
