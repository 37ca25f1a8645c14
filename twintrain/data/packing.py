"""One column of many examples, held small.

Inputs that went through preprocessing are floats, but many of them carry no more than 256 distinct
values (a scaled 8-bit image does). Those are held as one byte per value plus the table of the
distinct values, which gives every float back bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PackedColumn:
    """One column of every example, in canonical order.

    Attributes:
        held: [n, *shape], uint8 codes into `palette`, or the values themselves where `palette` is
            None. A memory map when spooled.
        palette: float32 [256], the value each code stands for; None when `held` are the values.
    """

    held: np.ndarray = field(repr=False)
    palette: npt.NDArray[np.float32] | None = field(repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example's values."""
        return tuple(self.held.shape[1:])

    def values(self, indices: npt.NDArray[np.integer]) -> np.ndarray:
        """The values at `indices`, [len(indices), *shape]."""
        chosen = self.held[indices]
        return chosen if self.palette is None else self.palette[chosen]


class Packer:
    """Turns float32 values into codes while no more than 256 distinct ones have been seen."""

    def __init__(self) -> None:
        self._values: npt.NDArray[np.uint32] = np.empty(0, np.uint32)
        self.fits = True
        self.dtype = np.dtype(np.float32)

    def pack(self, values: np.ndarray) -> np.ndarray:
        """Codes of the values, uint8, or the values as they are."""
        values = np.ascontiguousarray(values)
        self.dtype = values.dtype
        if self.dtype != np.float32:
            self.fits = False  # integers are as small as they were made
        if not self.fits:
            return values
        # Bit patterns rather than values: -0.0 and 0.0 are different, and NaN must not vanish.
        bits = values.view(np.uint32)
        new = np.setdiff1d(np.unique(bits), self._values)
        if len(self._values) + len(new) > 256:
            self.fits = False
            return values
        self._values = np.concatenate([self._values, new])  # appended: earlier codes stay valid
        order = np.argsort(self._values)
        return order[np.searchsorted(self._values, bits, sorter=order)].astype(np.uint8)

    @property
    def palette(self) -> npt.NDArray[np.float32] | None:
        """The value each code stands for, float32 [256]; None where there are no codes."""
        if not self.fits:
            return None
        table = np.zeros(256, np.float32)
        table[: len(self._values)] = self._values.view(np.float32)
        return table

    def unify(self, part: np.ndarray) -> np.ndarray:
        """A part as all parts are held in the end: codes given before the values became too many
        are floats again.
        """
        if self.fits or part.dtype == self.dtype:
            return part
        return self._values.view(np.float32)[part]

    @property
    def held_dtype(self) -> np.dtype:
        """Type of what is held in the end."""
        return np.dtype(np.uint8) if self.fits else self.dtype
