"""What an example holds, as values that need no TensorFlow: its columns with the shape and type of
one example.
"""

from __future__ import annotations

from dataclasses import dataclass

EXAMPLE_ID = "example_id"  # the column that every example has beside those of its problem
IMAGE, LABEL = "image", "label"
WEIGHT = "example_weight"  # the column that says how much an example counts in training
TARGET = "target"  # what preprocessing calls the column that is learned, where it makes one


@dataclass(frozen=True)
class Column:
    """One tensor of every example.

    Attributes:
        name: under which records hold it.
        shape: of one example; () for a number.
        dtype: NumPy's name of its type.
        size: number of different values where they are codes, 0 to size - 1; None elsewhere.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    size: int | None = None


@dataclass(frozen=True)
class ExampleSpec:
    """The columns of a data set.

    Attributes:
        inputs: what the model is given, in the order of their names.
        target: what it is to predict.
        classes: number of classes, targets being 0 to classes - 1; None where targets are no
            classes.
        named: whether the model is given a dictionary of columns; without, the only one is handed
            to it as it is.
        class_names: what the classes are called; empty where they are only numbered.
        weighted: whether records say, in `WEIGHT`, how much an example counts in training.
    """

    inputs: tuple[Column, ...]
    target: Column
    classes: int | None = None
    named: bool = True
    class_names: tuple[str, ...] = ()
    weighted: bool = False

    @property
    def only(self) -> Column:
        """The only input, where there is one without a name."""
        (column,) = self.inputs
        return column


def labelled_images(shape: tuple[int, ...], classes: int) -> ExampleSpec:
    """Images with one class each, as every source of images here holds them.

    Args:
        shape: (height, width, channels).
        classes: number of labels.
    """
    image, label = Column(IMAGE, shape, "float32"), Column(LABEL, (), "int64", classes)
    return ExampleSpec((image,), label, classes, named=False)
