"""Data sets: built in, fetched with `synfire data fetch`, or folders of your own."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator, Sequence
from os import PathLike, fspath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _synfire
from ._arrays import Floats, frame_size, number, settings

__all__ = ["Samples", "load", "names"]


def names() -> dict[str, str]:
    """The names of the data sets, and what each is."""
    return dict(_synfire.data_sets())


def load(
    name: str | PathLike[str],
    part: str = "train",
    *,
    data_dir: str | PathLike[str] | None = None,
    batch_size: int = 64,
    shuffle: bool = False,
    seed: int = 0,
    time_steps: int | None = None,
    **how: Any,
) -> Samples:
    """A part (`train` or `test`) of a data set.

    `name` is one of `names()` or the path of a folder with a subfolder for each class. Sets are looked for in `data_dir`, in the
    environment's `SYNFIRE_DATA`, then in the user's cache folder. Iterating gives batches `(x, y)`: x float32 `[B, C, H, W]` of images from
    0 to 1, or `[B, T, C, H, W]` of recordings; y int64 `[B]`. With `shuffle` each iteration is another epoch, in an order that `seed`
    decides, with the augmentation that was asked for.

    `how` are settings of a run: `framing`, `frame_size`, `polarities`, `frame_values`, `downsampling` of recordings, as
    `framing`, `size`, `polarities`, `values` and `downsampling` of `synfire.events.to_frames`; `shift` (pixels), `flip`, `rotate` (degrees),
    `event_drop`, `jitter` (pixels), `event_mix` for augmentation.

    Raises ValueError if there is no such set, folder or setting, or a file is damaged, OSError if a file cannot be read.
    """
    plain = {"shift": 0, "flip": False, "rotate": 0.0, "event_drop": False, "jitter": 0.0, "event_mix": 0.0}
    name = fspath(name)
    if how.get("frame_size") is not None:
        how["frame_size"] = frame_size(how["frame_size"])
    given = settings({"dataset": name, **plain, "time_steps": time_steps, **how})
    folder = None if data_dir is None else fspath(data_dir)
    core = _synfire.Samples(name, part, folder, json.dumps(given))
    return Samples(core, part, folder, given, batch_size, shuffle, seed)


class Samples:
    """A part of a data set, from `load`. Iterating gives batches, of which there are `len(samples) / batch_size`, rounded up; `len` and `samples[i]`
    are of samples.
    """

    def __init__(
        self,
        core: _synfire.Samples,
        part: str,
        folder: str | None,
        given: dict[str, Any],
        batch_size: int,
        shuffle: bool,
        seed: int,
    ) -> None:
        batch_size, seed = number(batch_size, "batch_size"), number(seed, "seed", 0, 2**63 - 1)
        self._core = core
        self._folder = folder
        #: `train` or `test`.
        self.part = part
        self._settings = given
        self._epoch = 0
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed

    @property
    def name(self) -> str:
        """The name of the set."""
        return self._core.name

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, in the order of the labels."""
        return self._core.class_names

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a sample: `(C, H, W)` of images, `(T, C, H, W)` of recordings."""
        return tuple(self._core.shape)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The labels of all samples, `[N]`."""
        return self._core.labels()

    @property
    def notes(self) -> list[str]:
        """What is to be known of it: that it is a part of the published set, or simulated."""
        return self._core.notes

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._core)

    def __getitem__(self, i: int) -> tuple[Floats, int]:
        """A sample and its label.

        Raises IndexError if there is none.
        """
        i = operator.index(i)
        if not -len(self) <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        return self._core.sample(i % len(self))

    def __reduce__(self) -> Any:
        return _again, (self.name, self.part, self._folder, self._settings, self.batch_size, self.shuffle, self.seed)

    def arrays(self, indices: Sequence[int] | None = None) -> tuple[Floats, NDArray[np.int64]]:
        """Samples `[N, ...]` and labels `[N]`: all of them, or those of these indices."""
        chosen = None if indices is None else [number(i, "an index", 0, len(self) - 1) for i in indices]
        batches = list(self._core.batches(self.batch_size, None, chosen))
        if not batches:
            return np.empty((0, *self.shape), np.float32), np.empty(0, np.int64)
        return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])

    def __iter__(self) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
        """The batches of an epoch."""
        order = None
        if self.shuffle:
            order = (self.seed, self._epoch)
            self._epoch += 1
        return self._core.batches(self.batch_size, order, None)

    def __repr__(self) -> str:
        return f"Samples({self.name}: {len(self)} of shape {self.shape}, {len(self.class_names)} classes)"


def _again(name: str, part: str, folder: str | None, given: dict[str, Any], *rest: Any) -> Samples:
    """What was pickled."""
    return Samples(_synfire.Samples(given.get("dataset", name), part, folder, json.dumps(given)), part, folder, given, *rest)
