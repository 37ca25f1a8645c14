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

from collections.abc import Sequence
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
        TARGET: target_of([inputs[name] for name in plan.labels], plan),
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
    found = {
        **_numbers(of_kind[ColumnKind.NUMBER], plan),
        **_categories(of_kind[ColumnKind.CATEGORY]),
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
    """Numbers, standardized together: each analyzer of its own would cost Beam seconds."""
    if not columns:
        return {}
    together = _side_by_side([tf.cast(column, tf.float32) for column in columns.values()])
    # What is not a number counts for no mean and no deviation.
    matrix = _matrix(together, float("nan"), len(columns))
    there = _matrix(tf.sparse.map_values(tf.ones_like, together), 0.0, len(columns))
    scaled = tft.scale_to_z_score(matrix, elementwise=True)
    # A column that had no value in training has neither mean nor deviation: it stays as it is.
    scaled = tf.where(tf.math.is_nan(scaled), matrix, scaled)
    filled = tf.where(there > 0, scaled, 0.0)
    made = dict(zip(columns, tf.unstack(filled, axis=1), strict=True))
    missing = zip(columns, tf.unstack(1.0 - there, axis=1), strict=True)
    return made | {
        f"{name}{MISSING_SUFFIX}": one for name, one in missing if name in plan.with_gaps
    }


def _categories(columns: Tensors) -> Tensors:
    """Categories as places in their vocabularies."""
    if not columns:
        return {}
    together = _side_by_side([_as_texts(column) for column in columns.values()])
    return apply_vocabularies(list(columns), _matrix(together, b"", len(columns)))


def _side_by_side(columns: Sequence[Any]) -> tf.SparseTensor:
    """Raw columns of one kind as [batch, columns], in a few operations for all of them: Transform
    traces each operation several times.
    """
    rows = tf.shape(columns[0], tf.int64)[0]
    narrow = [_one_wide(column, rows) for column in columns]
    places = tf.concat([column.indices for column in narrow], axis=0)[:, 1]
    single = tf.debugging.assert_equal(
        places, tf.zeros_like(places), "A column has more than one value in a row."
    )
    with tf.control_dependencies([single]):
        return tf.sparse.concat(1, narrow)


def _one_wide(column: Any, rows: tf.Tensor) -> tf.SparseTensor:
    """A raw column as [rows, 1], also where no row of a batch has a value."""
    shape = tf.stack([rows, 1])
    if isinstance(column, tf.SparseTensor):
        return tf.SparseTensor(column.indices, column.values, shape)
    places = tf.stack([tf.range(rows), tf.zeros_like(tf.range(rows))], axis=1)
    return tf.SparseTensor(places, tf.reshape(column, [-1]), shape)


def _matrix(together: tf.SparseTensor, default: Any, width: int) -> tf.Tensor:
    return tf.ensure_shape(tf.sparse.to_dense(together, default), [None, width])


def _there(column: Any) -> tf.Tensor:
    """1 where a row has a number, else 0, [batch]."""
    if not isinstance(column, tf.SparseTensor):
        return tf.ones_like(dense(column, 0.0))
    return dense(tf.sparse.map_values(tf.ones_like, column), 0.0)


def _as_texts(column: Any) -> Any:
    """A raw column of texts or whole numbers as texts."""
    if column.dtype == tf.string:
        return column
    if not isinstance(column, tf.SparseTensor):
        return tf.strings.as_string(column)
    return tf.sparse.map_values(tf.strings.as_string, column)


def _texts(column: Any, default: bytes) -> tf.Tensor:
    """A column of texts or whole numbers as texts, [batch]."""
    return dense(_as_texts(column), default)


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


def target_of(columns: Sequence[Any], plan: TablePlan) -> tf.Tensor:
    """The target: a number, the place of a class among the schema's, or 0 or 1 for each of several
    labels.
    """
    if len(columns) > 1:
        return tf.stack([dense(column, tf.constant(0, column.dtype)) for column in columns], axis=1)
    (column,) = columns
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
