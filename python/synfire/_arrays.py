"""What users give, as arrays that the compiled part takes."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]


def as_array(values: Any) -> NDArray[Any]:
    """An array of what `values` is, without a copy where it shares its memory (NumPy, DLPack)."""
    if not isinstance(values, np.ndarray) and hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
        return np.from_dlpack(values)
    if hasattr(values, "detach"):  # A tensor of PyTorch that is part of a graph, or of a kind that NumPy does not have.
        values = values.detach()
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
    return np.asarray(values)


def floats(values: Any, what: str, dims: tuple[int, ...]) -> Floats:
    """Contiguous `float32` of one of these numbers of dimensions; other numbers are converted.

    Raises TypeError if the values are no real numbers, ValueError if there are none or the dimensions differ.
    """
    array = as_array(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{what} is an array of {array.dtype}, expected real numbers")
    if array.ndim not in dims:
        expected = " or ".join(str(n) for n in dims)
        raise ValueError(f"{what} has shape {array.shape}, expected {expected} dimensions")
    if array.size == 0:
        raise ValueError(f"{what} is empty: its shape is {array.shape}")
    return np.require(array, np.float32, ["C_CONTIGUOUS", "ALIGNED"])


def labels(values: ArrayLike, n: int) -> NDArray[np.int64]:
    """`n` whole numbers."""
    array = as_array(values)
    if array.dtype.kind not in "iub":
        raise TypeError(f"labels are an array of {array.dtype}, expected whole numbers")
    if array.shape != (n,):
        raise ValueError(f"labels have shape {array.shape}, expected ({n},): one for each sample")
    if array.size and int(array.max()) >= 2**63:
        raise ValueError(f"a label of {array.max()} is too large")
    return np.require(array, np.int64, ["C_CONTIGUOUS", "ALIGNED"])


def settings(given: dict[str, Any]) -> dict[str, Any]:
    """Python's names of settings as files have them, without those that are None.

    Raises ValueError if one is a number that is NaN or infinite.
    """
    plain: dict[str, Any] = {}
    for key, value in given.items():
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key} = {value}: expected a finite number")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError(f"{key} = {value}: expected a smaller number")
        if value is not None:
            plain[key.replace("_", "-")] = value
    return plain


def frame_size(size: str | Sequence[int]) -> str:
    """`(width, height)` as the text that settings have; a text as it is."""
    return size if isinstance(size, str) else "x".join(str(number(side, "a side of the frames")) for side in size)


def number(value: Any, what: str, least: int = 1, most: int = 2**48) -> int:
    """A whole number in this range.

    Raises TypeError if it is none, ValueError if it is outside.
    """
    found = operator.index(value)
    if not least <= found <= most:
        raise ValueError(f"{what} = {found}: expected a whole number from {least} to {most}")
    return found
