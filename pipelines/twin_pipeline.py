"""The pipeline, from files to verdict. Read this first, then the components in the order they appear here."""

from __future__ import annotations

from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2
from tfx.v1.components import ExampleValidator, ImportSchemaGen, Pusher, StatisticsGen, Trainer, Transform

from components.data_gate import DataGate
from components.evaluator import twin_evaluator
from components.example_gen import IdxExampleGen
from components.report import Report
from components.transformed import training_config, tuning_config
from components.tuner import TwinTuner
from components.twin_check import TwinCheck
from pipelines.config import PIPELINE_NAME, RunConfig, code_digest
from twintrain.recipe import TWINS


def create_pipeline(config: RunConfig) -> Pipeline:
    """The whole pipeline of one run, for any orchestrator."""
    return Pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root=str(config.root / "artifacts"),
        components=_nodes(config),
        enable_cache=config.cache,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(config.metadata_db)),
        beam_pipeline_args=config.beam_arguments,
    )


def _nodes(config: RunConfig) -> list[BaseNode]:
    recipe = config.recipe
    code = code_digest(recipe)

    # Data: ingested, described, held to the schema.
    ingest = IdxExampleGen(config.data, recipe.data.image_shape, recipe.data.limit, config.span, code)
    examples = ingest.outputs["examples"]
    schema = ImportSchemaGen(schema_file=str(config.schema_file))
    statistics = StatisticsGen(examples=examples, schema=schema.outputs["schema"])
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"])
    gate = DataGate(
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
        anomalies=validator.outputs["anomalies"],
        code=code,
    )

    # One preprocessing for both twins.
    transform = Transform(
        examples=examples,
        schema=schema.outputs["schema"],
        preprocessing_fn="components.preprocessing.preprocessing_fn",
        custom_config={"image_shape": list(recipe.data.image_shape), "code": code},
        disable_statistics=True,
    )
    transform.add_upstream_node(gate)

    # The twins.
    tuners = {twin: _tuner(config, transform, twin, code) for twin in TWINS}
    trainers = {twin: _trainer(config, transform, tuners[twin], twin, code) for twin in TWINS}
    check = TwinCheck(
        fit_run=trainers["fit"].outputs["model_run"],
        loop_run=trainers["loop"].outputs["model_run"],
        must_agree=int(recipe.twins_agree and not recipe.tuning.apply),
        code=code,
    )

    # The verdict.
    evaluator = twin_evaluator(
        examples=examples,
        schema=schema.outputs["schema"],
        candidate=trainers["loop"].outputs["model"],
        baseline=trainers["fit"].outputs["model"],
        comparison=recipe.comparison,
    )
    evaluator.add_upstream_node(check)
    report = Report(
        data=gate.outputs["summary"],
        transformed_examples=transform.outputs["transformed_examples"],
        fit_run=trainers["fit"].outputs["model_run"],
        loop_run=trainers["loop"].outputs["model_run"],
        fit_trials=tuners["fit"].outputs["tuner_results"],
        loop_trials=tuners["loop"].outputs["tuner_results"],
        agreement=check.outputs["agreement"],
        evaluation=evaluator.outputs["evaluation"],
        blessing=evaluator.outputs["blessing"],
        recipe=recipe.model_dump_json(),
        code=code_digest(recipe, report=True),
    )
    pusher = Pusher(
        model=trainers["loop"].outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(config.root / "pushed"))
        ),
    )
    return [
        *(ingest, schema, statistics, validator, gate, transform),
        *tuners.values(),
        *trainers.values(),
        *(check, evaluator, report, pusher),
    ]


def _tuner(config: RunConfig, transform: Transform, twin: str, code: str) -> TwinTuner:
    return TwinTuner(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        custom_config=tuning_config(config.recipe, twin, str(config.state / code[:16])) | {"code": code},
    ).with_id(f"Tuner.{twin}")


def _trainer(config: RunConfig, transform: Transform, tuner: TwinTuner, twin: str, code: str) -> Trainer:
    trainer = Trainer(
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        hyperparameters=tuner.outputs["best_hyperparameters"] if config.recipe.tuning.apply else None,
        run_fn="components.trainer.run_fn",
        custom_config=training_config(config.recipe, twin, str(config.state / code[:16])) | {"code": code},
    ).with_id(f"Trainer.{twin}")
    trainer.add_upstream_node(tuner)
    return trainer
