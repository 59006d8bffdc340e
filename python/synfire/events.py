"""Recordings of event cameras.

Events are arrays of `DTYPE`: time `t` in microseconds, column `x`, row `y`, polarity `p` (1: brighter, 0: darker), by which Tonic and
Expelliarmus know them. `Events` is such an array that remembers its sensor.
"""

from __future__ import annotations

import warnings
from os import PathLike, fspath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _synfire
from ._arrays import Floats, as_array, floats, frame_size, number

#: An event: time in microseconds, column from the left, row from the top, polarity.
DTYPE = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])

__all__ = ["DTYPE", "Events", "Info", "info", "problems", "read", "simulate", "to_frames", "write"]


class Events(np.ndarray[Any, np.dtype[np.void]]):
    """An array of events, `[N]` of `DTYPE`, with the size of the sensor that saw them."""

    #: Width and height of the sensor, in pixels; None if it is not known.
    sensor_size: tuple[int, int] | None
    #: No camera made it.
    simulated: bool

    def __new__(cls, events: ArrayLike, sensor_size: tuple[int, int] | None = None, simulated: bool = False) -> Events:
        array = _events(events).view(cls)
        array.sensor_size = sensor_size
        array.simulated = simulated
        return array

    def __array_finalize__(self, other: Any) -> None:
        self.sensor_size = getattr(other, "sensor_size", None)
        self.simulated = getattr(other, "simulated", False)

    def __getitem__(self, key: Any) -> Any:
        """Events, or an array of one of their fields."""
        found = super().__getitem__(key)
        return found.view(np.ndarray) if isinstance(found, Events) and found.dtype != DTYPE else found

    def __reduce__(self) -> Any:
        # NumPy's own would forget the sensor.
        return Events, (self.view(np.ndarray), self.sensor_size, self.simulated)

    def to_frames(
        self,
        time_steps: int = 16,
        *,
        framing: str = "count",
        size: str | tuple[int, int] = "sensor",
        downsampling: str = "nearest",
        polarities: str = "both",
        values: str = "counts",
    ) -> Floats:
        """Frames `[T, C, H, W]`: see `synfire.events.to_frames`."""
        return to_frames(
            self,
            self.sensor_size,
            time_steps,
            framing=framing,
            size=size,
            downsampling=downsampling,
            polarities=polarities,
            values=values,
        )

    def write(self, path: str | PathLike[str], format: str | None = None) -> None:
        """Writes them to a file: see `synfire.events.write`."""
        write(path, self, self.sensor_size, format)


class Info(NamedTuple):
    """What a recording is.

    - `format`: name of the format.
    - `width`, `height`: of the sensor, in pixels.
    - `events`: how many there are.
    - `first_us`, `last_us`: times of the first and the last of them, in microseconds; None without events.
    - `simulated`: no camera made it.
    """

    format: str
    width: int
    height: int
    events: int
    first_us: int | None
    last_us: int | None
    simulated: bool


def read(path: str | PathLike[str], format: str | None = None) -> Events:
    """The events of a recording, `[N]` of `DTYPE`.

    Formats are told by content: AEDAT 2.0, 3.1 and 4.0, EVT 2.0 and 3.0, DAT, N-MNIST's `.bin`, `.npy`, `.npz` and tables of text.
    `format` names one that is not.

    Raises OSError if the file cannot be read, ValueError if it is damaged or of no known format.
    """
    return _wrapped(*_synfire.read_events(fspath(path), format))


def info(path: str | PathLike[str]) -> Info:
    """Format, sensor, number and times of the events of a recording, without keeping them.

    Raises what `read` does.
    """
    return Info(*_synfire.recording_info(fspath(path)))


def write(
    path: str | PathLike[str],
    events: ArrayLike,
    sensor_size: tuple[int, int] | None = None,
    format: str | None = None,
) -> None:
    """Writes events `[N]` to a file, whole or not at all.

    `sensor_size` is `(width, height)`, by default that of the events or as much as they need; `format` is told by the ending of the name
    where it is not given. A UserWarning tells what files of the format do not say: the sensor, or that the events are simulated.

    Raises OSError if the file cannot be written, ValueError if a format cannot hold the events.
    """
    array = _events(events)
    simulated = bool(getattr(events, "simulated", False))
    size = _size(events, array, sensor_size)
    for note in _synfire.write_events(fspath(path), array.view(np.uint8), size, format, simulated):
        warnings.warn(note, UserWarning, stacklevel=2)


def to_frames(
    events: ArrayLike,
    sensor_size: tuple[int, int] | None = None,
    time_steps: int = 16,
    *,
    framing: str = "count",
    size: str | tuple[int, int] = "sensor",
    downsampling: str = "nearest",
    polarities: str = "both",
    values: str = "counts",
) -> Floats:
    """Counts events `[N]` into frames `[T, C, H, W]`, float32; channel 0 counts the darker, channel 1 the brighter ones.

    - `sensor_size`: `(width, height)`, by default that of the events or as much as they need.
    - `framing`: `count` (equally many events a frame), `time` (equally long frames) or a duration such as `10ms`.
    - `size`: `sensor`, or `(width, height)` or a text such as `64x64` for smaller frames, made by `downsampling`: `nearest`, `area` or `sum`.
    - `polarities`: `both` or `merged` (one channel).
    - `values`: `counts` or `binary`.

    Raises ValueError if there are no events, one lies outside the sensor, or a choice is none of these.
    """
    array = _events(events)
    time_steps = number(time_steps, "time_steps")
    sensor = _size(events, array, sensor_size)
    return _synfire.events_to_frames(
        array.view(np.uint8), sensor, time_steps, framing, frame_size(size), downsampling, polarities, values
    )


def simulate(
    scene: ArrayLike | str,
    *,
    seed: int = 0,
    protocol: str = "saccades",
    fps: float = 100.0,
    threshold_on: float | None = None,
    threshold_off: float | None = None,
    mismatch: float | None = None,
    refractory_us: int | None = None,
    noise_hz: float | None = None,
    dark: float | None = None,
) -> Events:
    """What a simulated event camera sees of `scene`; the same seed gives the same events.

    - an image `[H, W]` with values from 0 (black) to 1 (white) moves in front of the camera: `protocol` `saccades` as N-MNIST was
      recorded (34x34), `loop` as CIFAR10-DVS (128x128);
    - frames of a video `[N, H, W]`, `fps` of them in a second;
    - the name of a gesture, such as `clockwise`.

    The camera: `threshold_on` and `threshold_off` (change of the logarithm of the brightness that makes an event), their `mismatch` over
    pixels, `refractory_us` (microseconds that a pixel is blind after an event), `noise_hz` (events of a pixel for no reason, per second),
    `dark` (added to the brightness in front of the logarithm).

    Raises ValueError if the scene or the camera is none.
    """
    seed = number(seed, "seed", 0, 2**63 - 1)
    camera = (threshold_on, threshold_off, mismatch, refractory_us, noise_hz, dark)
    if isinstance(scene, str):
        return _wrapped(*_synfire.simulate_gesture(scene, camera, seed))
    pixels = floats(scene, "the scene", (2, 3))
    if not (pixels.min() >= 0.0 and pixels.max() <= 1.0):
        raise ValueError("the scene has values outside 0 (black) to 1 (white)")
    if pixels.ndim == 2:
        return _wrapped(*_synfire.simulate_image(pixels, protocol, camera, seed))
    return _wrapped(*_synfire.simulate_video(pixels, fps, camera, seed))


def problems(events: ArrayLike, sensor_size: tuple[int, int] | None = None) -> list[str]:
    """What may be wrong with events: times that fall, pixels outside the sensor or that fire far more than others."""
    array = _events(events)
    return _synfire.events_problems(array.view(np.uint8), _size(events, array, sensor_size))


def _wrapped(data: NDArray[np.uint8], sensor: tuple[int, int], simulated: bool) -> Events:
    return Events(data.view(DTYPE), sensor, simulated)


def _events(events: ArrayLike) -> NDArray[np.void]:
    """A contiguous array of DTYPE; other arrays with fields t, x, y and p are converted."""
    array = as_array(events)
    names = array.dtype.names
    if names is None or not {"t", "x", "y", "p"} <= set(names):
        raise TypeError(f"events are an array of {array.dtype}, expected one with the fields t, x, y and p")
    if array.ndim != 1:
        raise ValueError(f"events have shape {array.shape}, expected one dimension")
    if array.dtype != DTYPE:
        for name in ("t", "x", "y", "p"):
            if array.dtype[name].kind not in "iub":
                raise TypeError(f"events have {name} of {array.dtype[name]}, expected whole numbers")
        if array.size and int(array["t"].max()) >= 2**63:
            raise ValueError("events have t above 2**63 - 1")
        for name in ("x", "y"):
            if array.size and not (0 <= array[name].min() and array[name].max() <= 32767):
                raise ValueError(f"events have {name} outside 0 to 32767")
        converted = np.empty(array.shape, DTYPE)
        for name in ("t", "x", "y"):
            converted[name] = array[name]
        converted["p"] = array["p"] > 0
        array = converted
    return np.ascontiguousarray(array).view(np.ndarray)


def _size(events: Any, array: NDArray[np.void], given: tuple[int, int] | None) -> tuple[int, int]:
    size = given if given is not None else getattr(events, "sensor_size", None)
    if size is None:
        if not array.size:
            raise ValueError("there are no events to tell the sensor by: give sensor_size=(width, height)")
        size = (int(array["x"].max()) + 1, int(array["y"].max()) + 1)
    if isinstance(size, str) or len(size) != 2:
        raise TypeError(f"sensor_size = {size!r}: expected (width, height)")
    width, height = (int(side) for side in size)
    if not (1 <= width <= 32768 and 1 <= height <= 32768):
        raise ValueError(f"sensor_size = {(width, height)}: expected a width and a height from 1 to 32768")
    return width, height
