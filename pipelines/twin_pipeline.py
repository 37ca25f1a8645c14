"""The pipeline, from files to verdict. Read this first, then the components in the order they
appear here.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, NamedTuple

# Not from tfx.v1: that takes in Google Cloud's AI Platform too, a fifth of what TFX takes to start.
from tfx.components import ExampleValidator, Pusher, StatisticsGen, Trainer, Transform
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2

from components.attribution import Attribution
from components.curated_schema import load_rules
from components.data_gate import DataGate
from components.evaluator import twin_evaluator
from components.example_gen import IdxExampleGen
from components.leak_check import LeakCheck
from components.parity_check import ParityCheck
from components.push_gate import PushGate
from components.report import Report
from components.table_columns import types_of
from components.table_example_gen import TableExampleGen
from components.transformed import training_config, tuning_config
from components.trend_record import TrendRecord
from components.tuner import TwinTuner
from components.twin_check import TwinCheck
from pipelines.config import PIPELINE_NAME, RunConfig
from pipelines.nodes import INGEST, trainer_of, tuner_of
from pipelines.provenance import code_digest
from twintrain.comparison.push_decision import last_pushed
from twintrain.problems.user_problem import read_module
from twintrain.recipe.recipe import TWINS, TwinName
from twintrain.training.identity import Identity


def create_pipeline(config: RunConfig) -> Pipeline:
    """The pipeline of one run, for any orchestrator."""
    return Pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root=str(config.root / "artifacts"),
        components=_nodes(config),
        enable_cache=config.cache,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            str(config.metadata_db)
        ),
        beam_pipeline_args=config.beam_arguments,
    )


class _Data(NamedTuple):
    """The nodes from files to preprocessed examples."""

    ingest: FileBasedExampleGen
    schema: ImportSchemaGen
    statistics: StatisticsGen
    validator: ExampleValidator
    gate: BaseNode
    transform: Transform
    leaks: BaseNode


class _Twins(NamedTuple):
    """The nodes that tune and train, per twin, and the check that they were fed the same."""

    tuners: dict[TwinName, TwinTuner]
    trainers: dict[TwinName, Trainer]
    parity: BaseNode
    check: BaseNode


def _nodes(config: RunConfig) -> list[BaseNode]:
    data = _data(config)
    if config.only_data:
        return list(data)
    twins = _twins(config, data.transform, data.leaks)
    twins.parity.add_upstream_node(data.leaks)
    return [
        *data,
        twins.parity,
        *twins.tuners.values(),
        *twins.trainers.values(),
        twins.check,
        *_verdict(config, data, twins),
    ]


def _data(config: RunConfig) -> _Data:
    """Ingested, described, held to the schema; then one preprocessing for both twins."""
    recipe = config.recipe
    ingest = _ingest(config).with_id(INGEST)
    examples = ingest.outputs["examples"]
    schema = ImportSchemaGen(schema_file=str(config.schema_file))
    statistics = StatisticsGen(examples=examples, schema=schema.outputs["schema"])
    validator = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    gate = DataGate(
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
        anomalies=validator.outputs["anomalies"],
        recipe=recipe.for_data().model_dump_json(),
        code=code_digest(recipe, "DataGate"),
    )
    transform = Transform(
        examples=examples,
        schema=schema.outputs["schema"],
        **_preprocessing(config),
        disable_statistics=True,
    )
    transform.add_upstream_node(gate)
    leaks = LeakCheck(
        transformed_examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        recipe=recipe.for_overlap().model_dump_json(),
        code=code_digest(recipe, "LeakCheck"),
    )
    return _Data(ingest, schema, statistics, validator, gate, transform, leaks)


def _ingest(config: RunConfig) -> FileBasedExampleGen:
    """Images from IDX files; of a problem of the user's own, tables."""
    recipe, code = config.recipe, code_digest(config.recipe, INGEST)
    if recipe.problem.module is None:
        return IdxExampleGen(
            config.data,
            recipe.data.image_shape,
            recipe.data.limit,
            config.span,
            code,
            look=not config.ingest_later,
        )
    stated = read_module(recipe.problem.module)
    rules = load_rules(config.schema_file, stated.statement.raw_columns, stated.statement)
    types = types_of(rules)
    return TableExampleGen(
        config.data,
        types,
        stated.columns.key,
        recipe.data.limit,
        config.span,
        code,
        recipe.data.unreadable_rows,
        look=not config.ingest_later,
    )


def _preprocessing(config: RunConfig) -> dict[str, Any]:
    """What Transform runs, and what that is told."""
    recipe, code = config.recipe, code_digest(config.recipe, "Transform")
    if recipe.problem.module is None:
        shape = list(recipe.data.image_shape)
        return {
            "preprocessing_fn": "components.preprocessing.preprocessing_fn",
            "custom_config": {"image_shape": shape, "code": code},
        }
    schema = config.schema_file.read_text(encoding="utf-8")
    told = {"problem": recipe.problem.module, "schema": schema, "code": code}
    return {
        "preprocessing_fn": "components.table_preprocessing.preprocessing_fn",
        "custom_config": told,
    }


def _twins(config: RunConfig, transform: Transform, leaks: BaseNode) -> _Twins:
    """A few steps side by side, two tuners, two trainers, and what they must agree in."""
    recipe = config.recipe
    parity = ParityCheck(
        transformed_examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        recipe=recipe.for_training().model_dump_json(),
        code=code_digest(recipe, "ParityCheck"),
    )
    tuners = {twin: _tuner(config, transform, twin) for twin in TWINS}
    for tuner in tuners.values():
        tuner.add_upstream_node(parity)
    trainers = {twin: _trainer(config, transform, tuners[twin], twin) for twin in TWINS}
    check = TwinCheck(
        fit_run=trainers["fit"].outputs["model_run"],
        loop_run=trainers["loop"].outputs["model_run"],
        overlap=leaks.outputs["found"],
        must_agree=int(recipe.twins_agree and not recipe.tuning.apply),
        code=code_digest(recipe, "TwinCheck"),
    )
    return _Twins(tuners, trainers, parity, check)


def _verdict(config: RunConfig, data: _Data, twins: _Twins) -> list[BaseNode]:
    """Compared, reported, and the blessed twin pushed."""
    recipe = config.recipe
    fit, loop = twins.trainers["fit"], twins.trainers["loop"]
    evaluator = twin_evaluator(
        examples=data.ingest.outputs["examples"],
        schema=data.schema.outputs["schema"],
        candidate=loop.outputs["model"],
        baseline=fit.outputs["model"],
        recipe=recipe,
    )
    evaluator.add_upstream_node(twins.check)
    gate = PushGate(
        examples=data.ingest.outputs["examples"],
        candidate=loop.outputs["model"],
        fit_run=fit.outputs["model_run"],
        loop_run=loop.outputs["model_run"],
        blessing=evaluator.outputs["blessing"],
        destination=str(config.pushed),
        in_place=_in_place(config.pushed),
        recipe=recipe.model_dump_json(),
        code=code_digest(recipe, "PushGate"),
    )
    explained = _attribution(config, data, twins)
    report = Report(
        data=data.gate.outputs["summary"],
        overlap=data.leaks.outputs["found"],
        examples=data.ingest.outputs["examples"],
        transformed_examples=data.transform.outputs["transformed_examples"],
        transform_graph=data.transform.outputs["transform_graph"],
        fit_run=fit.outputs["model_run"],
        loop_run=loop.outputs["model_run"],
        fit_trials=twins.tuners["fit"].outputs["tuner_results"],
        loop_trials=twins.tuners["loop"].outputs["tuner_results"],
        agreement=twins.check.outputs["agreement"],
        parity=twins.parity.outputs["parity"],
        evaluation=evaluator.outputs["evaluation"],
        blessing=evaluator.outputs["blessing"],
        decision=gate.outputs["decision"],
        recipe=recipe.model_dump_json(),
        code=code_digest(recipe, "Report"),
        **({} if explained is None else {"attribution": explained.outputs["attribution"]}),
    )
    record = TrendRecord(
        report=report.outputs["report"],
        examples=data.ingest.outputs["examples"],
        schema=data.schema.outputs["schema"],
        destination=config.record_place,
        moment=datetime.datetime.now(datetime.timezone.utc).isoformat(),
    )
    pusher = Pusher(
        model=loop.outputs["model"],
        model_blessing=gate.outputs["decision"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(config.pushed))
        ),
    )
    return [evaluator, gate, *([] if explained is None else [explained]), report, record, pusher]


def _in_place(pushed: Path) -> str:
    """Which twin was pushed last, and whether it is still what was pushed; empty where none was."""
    newest = last_pushed(pushed)
    if newest is None:
        return ""
    return f"{newest.name}, changed since" if Identity.altered(newest) else newest.name


def _attribution(config: RunConfig, data: _Data, twins: _Twins) -> BaseNode | None:
    """The experiment, where the recipe asks for it and the twins are told to differ."""
    recipe = config.recipe
    if not recipe.attribution.enabled or recipe.twins_agree:
        return None
    tuners = twins.tuners if recipe.tuning.apply else {}
    return Attribution(
        transformed_examples=data.transform.outputs["transformed_examples"],
        transform_graph=data.transform.outputs["transform_graph"],
        fit_run=twins.trainers["fit"].outputs["model_run"],
        loop_run=twins.trainers["loop"].outputs["model_run"],
        recipe=recipe.model_dump_json(),
        state=str(config.root / "attribution"),
        code=code_digest(recipe, "Attribution"),
        **{f"{twin}_best": tuner.outputs["best_hyperparameters"] for twin, tuner in tuners.items()},
    )


def _tuner(config: RunConfig, transform: Transform, twin: str) -> TwinTuner:
    code = code_digest(config.recipe, tuner_of(twin))
    return TwinTuner(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        custom_config=tuning_config(config.recipe, twin, _state(config, code)) | {"code": code},
    ).with_id(tuner_of(twin))


def _trainer(config: RunConfig, transform: Transform, tuner: TwinTuner, twin: str) -> Trainer:
    code, apply = code_digest(config.recipe, trainer_of(twin)), config.recipe.tuning.apply
    trainer = Trainer(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        hyperparameters=tuner.outputs["best_hyperparameters"] if apply else None,
        run_fn="components.trainer.run_fn",
        custom_config=training_config(config.recipe, twin, _state(config, code)) | {"code": code},
    ).with_id(trainer_of(twin))
    trainer.add_upstream_node(tuner)
    return trainer


def _state(config: RunConfig, code: str) -> str:
    """Where a node of that code keeps what is unfinished: none goes on from other code's state."""
    return str(config.state / code[:16])
