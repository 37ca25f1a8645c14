"""The preprocessing of a problem of the user's own: its function's, or one usual for each column;
beside it the target, the slices and the id.

    number      standardized by the training split's mean and deviation; 0 where it is missing, and
                NAME_missing then says so
    category    its place in the training split's vocabulary; one further code for what is missing
                or was not seen there
    text        the places of its first words in a vocabulary of the most frequent ones; 0 is no
                word, and one code is for all unknown ones
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import schema_inference

from components.table_columns import MISSING_SUFFIX, ColumnKind, TablePlan, plan_of
from components.table_vocabularies import apply_vocabularies
from twintrain.data.example_spec import EXAMPLE_ID, TARGET, WEIGHT
from twintrain.errors import TwintrainError
from twintrain.problems.user_problem import SLICE, read_module

Tensors = dict[str, Any]
BUCKETS = 4
_NOTHING = "missing"
_NO_WORD = r"[^\p{L}\p{N}']+"


def preprocessing_fn(inputs: Tensors, custom_config: dict[str, Any]) -> Tensors:
    """Make model inputs, target and slices of raw columns.

    Args:
        inputs: the schema's columns, sparse [batch, 1].
        custom_config: 'problem' (module), 'schema' (text).

    Returns:
        dense columns; those of the model, `TARGET`, `slice_of_*`, `example_weight` where the
        problem has one, `example_id`.
    """
    stated = read_module(custom_config["problem"])
    plan = plan_of(stated, custom_config["schema"])
    own = stated.functions.get("preprocessing_fn")
    raw = {name: inputs[name] for name in plan.kinds}
    made = usual(raw, plan) if own is None else _checked(own(dict(raw)), stated.name)
    sliced = {f"{SLICE}{key}": slice_of(inputs[key], key, plan) for key in plan.slice_keys}
    weight = {WEIGHT: weight_of(inputs[plan.weight])} if plan.weight is not None else {}
    return {
        **made,
        **sliced,
        **weight,
        TARGET: target_of(inputs[plan.label], plan),
        EXAMPLE_ID: dense(inputs[EXAMPLE_ID], b""),
    }


def _checked(made: Any, module: str) -> Tensors:
    """What the user's function returned, as dense columns."""
    if not isinstance(made, dict) or not made:
        raise TwintrainError(
            f"preprocessing_fn of {module} returns {type(made).__name__}.",
            "Return a dictionary of tensors by name.",
        )
    for name, tensor in made.items():
        if isinstance(tensor, (tf.SparseTensor, tf.RaggedTensor)):
            raise TwintrainError(
                f"preprocessing_fn of {module} leaves {name!r} "
                f"{'sparse' if isinstance(tensor, tf.SparseTensor) else 'ragged'}.",
                "Make it dense: tf.sparse.to_dense, RaggedTensor.to_tensor(shape=[None, LENGTH]).",
            )
        if name in (TARGET, WEIGHT, EXAMPLE_ID) or name.startswith(SLICE):
            raise TwintrainError(
                f"preprocessing_fn of {module} makes {name!r}, a name that is taken.",
                "Use another.",
            )
    return made


def dense(column: Any, default: Any) -> tf.Tensor:
    """A raw column as [batch], `default` where it is missing."""
    if not isinstance(column, tf.SparseTensor):
        return tf.reshape(column, [-1])
    one_wide = tf.SparseTensor(column.indices, column.values, [column.dense_shape[0], 1])
    return tf.reshape(tf.sparse.to_dense(one_wide, default), [-1])


def usual(raw: Tensors, plan: TablePlan) -> Tensors:
    """What is usual for each column, in the order of the plan."""
    of_kind: dict[ColumnKind, Tensors] = {kind: {} for kind in ColumnKind}
    for name, kind in plan.kinds.items():
        of_kind[kind][name] = raw[name]
    categories = of_kind[ColumnKind.CATEGORY]
    found = {
        **_numbers(of_kind[ColumnKind.NUMBER], plan),
        **apply_vocabularies({name: _texts(column, b"") for name, column in categories.items()}),
    }
    for name, column in of_kind[ColumnKind.TEXT].items():
        found[name] = _words(name, column, plan.words, plan.length)
    made: Tensors = {}
    for name in plan.kinds:
        made[name] = found[name]
        if f"{name}{MISSING_SUFFIX}" in found:
            made[f"{name}{MISSING_SUFFIX}"] = found[f"{name}{MISSING_SUFFIX}"]
    return made


def _numbers(columns: Tensors, plan: TablePlan) -> Tensors:
    """Numbers, standardized in one matrix: each analyzer costs Beam seconds."""
    if not columns:
        return {}
    floats = {name: tf.cast(column, tf.float32) for name, column in columns.items()}
    # What is not a number counts for no mean and no deviation.
    matrix = tf.stack([dense(column, float("nan")) for column in floats.values()], axis=1)
    scaled = tf.unstack(tft.scale_to_z_score(matrix, elementwise=True), axis=1)
    made: Tensors = {}
    for (name, column), values in zip(floats.items(), scaled, strict=True):
        there = _there(column)
        made[name] = tf.where(there > 0, values, 0.0)
        if name in plan.with_gaps:
            made[f"{name}{MISSING_SUFFIX}"] = 1.0 - there
    return made


def _there(column: Any) -> tf.Tensor:
    """1 where a row has a number, else 0, [batch]."""
    if not isinstance(column, tf.SparseTensor):
        return tf.ones_like(dense(column, 0.0))
    return dense(tf.sparse.map_values(tf.ones_like, column), 0.0)


def _texts(column: Any, default: bytes) -> tf.Tensor:
    """A column of texts or whole numbers as texts, [batch]."""
    if column.dtype == tf.string:
        return dense(column, default)
    values = tf.strings.as_string(column.values)
    return dense(tf.SparseTensor(column.indices, values, column.dense_shape), default)


def _words(name: str, column: Any, words: int, length: int) -> tf.Tensor:
    split = _split(dense(column, b""))
    codes = tft.compute_and_apply_vocabulary(
        split.to_sparse(), top_k=words, num_oov_buckets=1, vocab_filename=name
    )
    # Sparse, and by one higher: 0 is where a text has ended.
    places = tf.sparse.slice(
        tf.SparseTensor(codes.indices, codes.values + 1, codes.dense_shape),
        [0, 0],
        [codes.dense_shape[0], length],
    )
    padded = tf.sparse.to_dense(places, 0)
    padded = tf.pad(padded, [[0, 0], [0, length - tf.shape(padded)[1]]])
    padded = tf.ensure_shape(padded, [None, length])
    # A text without words is one unknown word: nothing at all cannot be averaged.
    unknown = tf.cast(tft.get_num_buckets_for_transformed_feature(codes), tf.int64)
    first = tf.where(tf.reduce_all(padded == 0, axis=1), unknown, padded[:, 0])
    found = tf.concat([first[:, None], padded[:, 1:]], axis=1)
    # How many codes there are goes into the transformed schema, as it does for a vocabulary's own.
    schema_inference.set_tensor_schema_override(found, tf.constant(0, tf.int64), unknown)
    return found


def _split(texts: tf.Tensor) -> tf.RaggedTensor:
    lower = tf.strings.lower(texts, encoding="utf-8")
    return tf.strings.split(tf.strings.regex_replace(lower, _NO_WORD, " "))


def target_of(column: Any, plan: TablePlan) -> tf.Tensor:
    """The target: a number, or the place of a class among the schema's."""
    if not plan.classes:
        return tf.cast(dense(column, _zero(column.dtype)), tf.float32)
    texts = _texts(column, b"")
    keys = tf.constant([str(name) for name in plan.classes])
    places = tf.range(len(plan.classes), dtype=tf.int64)
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, places), -1)
    return table.lookup(texts)


def weight_of(column: Any) -> tf.Tensor:
    """How much each row counts, as it stands; NaN where it is missing, which no store takes."""
    return dense(tf.cast(column, tf.float32), float("nan"))


def _zero(dtype: tf.DType) -> Any:
    return b"" if dtype == tf.string else tf.constant(0, dtype)


def slice_of(column: Any, name: str, plan: TablePlan) -> tf.Tensor:
    """What test examples are sliced by, as a text: a category, or a quarter of the numbers."""
    kind = plan.kind_of(name)
    if kind == ColumnKind.CATEGORY:
        return _texts(column, _NOTHING.encode())
    if kind == ColumnKind.TEXT:
        lengths = _split(dense(column, b"")).row_lengths()
        return _bucket(tf.cast(lengths, tf.float32), tf.ones_like(lengths, tf.bool), " words")
    values = dense(tf.cast(column, tf.float32), 0.0)
    return _bucket(values, _there(tf.cast(column, tf.float32)) > 0, "")


def _bucket(values: tf.Tensor, there: tf.Tensor, unit: str) -> tf.Tensor:
    """The quarter of the training split's values that each belongs to, by its bounds."""
    # A small epsilon, so that the bounds do not depend on how Beam bundled the examples.
    bounds = tft.quantiles(tf.boolean_mask(values, there), BUCKETS, epsilon=1e-4)
    places = tft.apply_buckets(values, bounds)
    ends = tf.strings.as_string(tf.reshape(bounds, [-1]), shortest=True)
    # A value that is a bound belongs to what is above it.
    first = tf.strings.join(["below ", ends[:1]])
    between = tf.strings.join([ends[:-1], " to below ", ends[1:]])
    last = tf.strings.join([ends[-1:], " or more"])
    names = tf.strings.join([tf.concat([first, between, last], axis=0), unit])
    return tf.where(there, tf.gather(names, places), _NOTHING)
