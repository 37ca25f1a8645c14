"""The pipeline's nodes, one row each, in the order in which they run on one machine: everything
that is said about a node anywhere follows from here.

Nothing of TFX is imported, so that the command line and cluster.yaml's checks may look things up.
"""

from __future__ import annotations

from dataclasses import dataclass

from twintrain.recipe.recipe import TWINS
from twintrain.training.provenance import TRAINING_ROOMS

INGEST, SCHEMA = "ExampleGen", "ImportSchemaGen"


def tuner_of(twin: str) -> str:
    """The id of a twin's Tuner."""
    return f"Tuner-{twin}"


def trainer_of(twin: str) -> str:
    """The id of a twin's Trainer."""
    return f"Trainer-{twin}"


def _rooms(*names: str) -> tuple[str, ...]:
    return tuple(f"twintrain/{name}/**/*.py" for name in names)


def _components(*names: str) -> tuple[str, ...]:
    return tuple(f"components/{name}.py" for name in names)


# What decides a result, as patterns below the repository. `twintrain/data/importing` does not
# count: what it has written is data. Nor does `twintrain/processes`: where work is done decides no
# figure.
_DATA = ("twintrain/data/*.py",)
_TRAINING = tuple(f"twintrain/{room}/*.py" for room in (*TRAINING_ROOMS, "tuning"))
_TABLE = ("table_columns", "schema_features")
_TUNER = (*_TRAINING, *_components("tuner", "transformed", *_TABLE))
_TRAINER = (
    *_TRAINING,
    "twintrain/parsing/sealed.py",
    *_components("trainer", "training_job", "transformed", "serving", *_TABLE),
)
EVERYTHING = (
    "twintrain/**/*.py",
    *(f"twintrain/**/*.{ending}" for ending in ("yaml", "html", "css", "md")),
    "components/*.py",
)


@dataclass(frozen=True)
class Node:
    """One node.

    Attributes:
        id: its name in the pipeline, in lineage and in cluster.yaml.
        caption: what it does, in the words of someone who has never seen TFX.
        code: patterns of the files, relative to the repository, that decide its result; none where
            nothing of ours runs in it.
        trains: it may own a GPU; all others are told to hide it.
        cached: on Kubeflow Pipelines its result may be taken from an earlier run. What depends on
            more than its inputs (what was pushed or recorded before) is not.
        reads: what it reads from outside, as the parameters of Kubeflow Pipelines' first step that
            it is looked up by.
        optional: there only where the recipe asks for it.
    """

    id: str
    caption: str
    code: tuple[str, ...] = ()
    trains: bool = False
    cached: bool = True
    reads: tuple[str, ...] = ()
    optional: bool = False


NODES = (
    Node(
        INGEST,
        "read the data",
        code=(*_DATA, *_components("example_gen", "table_example_gen")),
        reads=("span", "files"),
    ),
    Node(SCHEMA, "load the schema", reads=("schema",)),
    Node("StatisticsGen", "describe the data"),
    Node("ExampleValidator", "hold it to the schema"),
    Node(
        "DataGate",
        "let only clean data pass",
        code=(
            *_rooms("problems", "recipe", "parsing"),
            *_DATA,
            *_components("data_gate", "curated_schema", "schema_features", "artifacts"),
        ),
    ),
    Node(
        "Transform",
        "preprocess, once for both",
        code=(
            *_DATA,
            *_rooms("problems", "recipe"),
            *_components("preprocessing", "table_preprocessing", "table_vocabularies", *_TABLE),
        ),
    ),
    Node(
        "LeakCheck",
        "look for test examples in training",
        code=(
            *_TRAINING,  # of which it needs the part that reads examples
            *_components("leak_check", "transformed", "artifacts", *_TABLE),
        ),
    ),
    Node(
        "ParityCheck",
        "step both twins side by side",
        code=(
            *_TRAINING,
            *_rooms("parity", "diagnosis"),
            "twintrain/diagnosis/pitfalls/*.yaml",
            *_components("parity_check", "transformed", "artifacts", *_TABLE),
        ),
    ),
    *(Node(tuner_of(twin), f"tune the {twin} twin", code=_TUNER, trains=True) for twin in TWINS),
    *(
        Node(trainer_of(twin), f"train the {twin} twin", code=_TRAINER, trains=True)
        for twin in TWINS
    ),
    Node(
        "Attribution",
        "find what the gap comes from",
        code=(
            *_TRAINING,
            *_rooms("attribution", "statistics"),
            *_components("attribution", "transformed", "artifacts", *_TABLE),
        ),
        trains=True,
        optional=True,
    ),
    Node(
        "TwinCheck",
        "compare batches and weights",
        code=(
            *_TRAINING,
            *_rooms("parity"),
            *_components("twin_check", "leak_check", "transformed", "artifacts", *_TABLE),
        ),
    ),
    Node(
        "Evaluator",
        "compare slice by slice",
        code=(
            *_rooms("recipe", "problems", "statistics"),
            *_components("evaluator", "paired_metric", "judging"),
        ),
    ),
    Node("PushGate", "hold it to the thresholds", code=EVERYTHING, cached=False),
    Node("Pusher", "push the blessed twin", cached=False),
    Node("Report", "write the report", code=EVERYTHING),
    Node("TrendRecord", "keep it for the trend", code=EVERYTHING, cached=False),
)
BY_ID = {node.id: node for node in NODES}
TRAINING_NODES = tuple(node.id for node in NODES if node.trains)


def caption(node: str) -> str:
    """What a node does, for a person; empty for one that is not ours."""
    return BY_ID[node].caption if node in BY_ID else ""
