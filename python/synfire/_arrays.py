"""What users give, as arrays that the compiled part takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]


def as_array(values: Any) -> NDArray[Any]:
    """An array of what `values` is, without a copy where it shares its memory (NumPy, DLPack)."""
    if not isinstance(values, np.ndarray) and hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
        return np.from_dlpack(values)
    if hasattr(values, "detach"):  # A tensor of PyTorch that is part of a graph.
        values = values.detach()
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
    return np.ascontiguousarray(array, dtype=np.float32)


def labels(values: ArrayLike, n: int) -> NDArray[np.int64]:
    """`n` whole numbers."""
    array = as_array(values)
    if array.dtype.kind not in "iub":
        raise TypeError(f"labels are an array of {array.dtype}, expected whole numbers")
    if array.shape != (n,):
        raise ValueError(f"labels have shape {array.shape}, expected ({n},): one for each sample")
    return np.ascontiguousarray(array, dtype=np.int64)


def settings(given: dict[str, Any]) -> dict[str, Any]:
    """Python's names of settings as files have them, without those that are None.

    Raises ValueError if one is a number that is NaN or infinite.
    """
    for key, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key} = {value}: expected a finite number")
    return {key.replace("_", "-"): value for key, value in given.items() if value is not None}
