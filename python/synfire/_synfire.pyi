"""
The compiled part of synfire.
"""

from _typeshed import SupportsGetItem, SupportsLenAndGetItem
from collections.abc import Callable
from numpy import float32, int64, uint8
from numpy.typing import NDArray
from os import PathLike
from typing import Final, SupportsFloat, SupportsIndex, final

__all__ = ["__version__", "BatchIterator", "Core", "Samples", "block_backward", "block_forward", "block_statistics", "conv_backward", "conv_forward", "data_sets", "devices", "events_problems", "events_to_frames", "lif_backward", "lif_forward", "read_events", "recording_info", "simulate_gesture", "simulate_image", "simulate_video", "write_events"]

__version__: Final[str]

@final
class BatchIterator:
    """
    Batches that are made ahead on other threads.
    """
    def __iter__(self, /) -> BatchIterator: ...
    def __length_hint__(self, /) -> int: ...
    def __next__(self, /) -> tuple[NDArray[float32], NDArray[int64]]: ...

@final
class Core:
    """
    A network. Whoever works with it takes a copy, which shares the weights, so that the lock is never held for long, nor while Python
    runs: a thread that waits for the interpreter would otherwise keep it from the one that waits for the lock.
    """
    def __new__(cls, /, input: SupportsLenAndGetItem[SupportsIndex], class_names: SupportsGetItem[int, str], settings: str, device: str) -> Core:
        """
        A fresh network; `settings` are those of a run, as JSON.
        """
    def describe(self, /) -> str:
        """
        Settings, sizes and layers, as JSON.
        """
    @property
    def device(self, /) -> str:
        """
        The name of the device that it is on.
        """
    def evaluate(self, /, given: Samples | tuple[NDArray[float32], NDArray[int64]], batch: SupportsIndex) -> str:
        """
        Accuracy, loss, confusion and firing rates, as JSON.
        """
    def export_nir(self, /, path: str | PathLike[str], dt: SupportsFloat | SupportsIndex, fold_resistance: bool, sum_pool: bool) -> str | None:
        """
        Writes a NIR graph. Returns what is left to other programs.
        """
    def export_safetensors(self, /, path: str | PathLike[str]) -> None: ...
    def fit(self, /, given: Samples | tuple[NDArray[float32], NDArray[int64]], settings: str, heard: Callable[[str, str], None], out: str | PathLike[str] | None) -> str:
        """
        Trains anew with these settings and keeps the epoch with the best validation. `heard` is called with the kind of what
        happened and a text of JSON; an exception in it ends the run. Returns the summary as JSON.
        """
    def forward(self, /, x: NDArray[float32], batch: SupportsIndex) -> NDArray[float32]:
        """
        What each class gets at each time step, `[T, N, classes]`.
        """
    @staticmethod
    def import_nir(path: str | PathLike[str], dt: SupportsFloat | SupportsIndex | None, time_steps: SupportsIndex | None, input: SupportsLenAndGetItem[SupportsIndex] | None) -> tuple[Core, list[str]]:
        """
        The network of a NIR graph, and notes about it.
        """
    def import_pytorch(self, /, path: str | PathLike[str], prefix: str | None) -> tuple[list[tuple[str, str]], bool]:
        """
        Takes the weights of a state dict of PyTorch; returns which module came from which, and whether by shapes and numbers alone.
        """
    @staticmethod
    def load(path: str | PathLike[str], device: str) -> Core:
        """
        A run's best checkpoint, or a checkpoint.
        """
    def load_state_dict(self, /, state: dict[str, NDArray[float32]]) -> None: ...
    def save(self, /, path: str | PathLike[str]) -> None: ...
    def spikes(self, /, x: NDArray[float32], batch: SupportsIndex) -> dict[str, NDArray[float32]]:
        """
        Spikes of every layer of neurons by its name, `[T, N, C, H, W]` or `[T, N, units]`, as 0 and 1.
        """
    def state_dict(self, /) -> dict[str, NDArray[float32]]:
        """
        Parameters and running statistics, by PyTorch's names.
        """
    def to(self, /, device: str) -> None:
        """
        Moves it to another device.
        """

@final
class Samples:
    """
    A part of a data set, with how recordings become frames.
    """
    def __len__(self, /) -> int: ...
    def __new__(cls, /, name: str, part: str, data_dir: str | PathLike[str] | None, settings: str) -> Samples:
        """
        Opens the `part` of a set; `settings` are those of a run, as JSON.
        """
    def batches(self, /, batch_size: SupportsIndex, shuffle: tuple[SupportsIndex, SupportsIndex] | None, indices: SupportsGetItem[int, SupportsIndex] | None) -> BatchIterator:
        """
        Batches of an epoch: shuffled by a seed and an epoch, and augmented, or in the order of the files.
        """
    @property
    def class_names(self, /) -> list[str]: ...
    def labels(self, /) -> NDArray[int64]: ...
    @property
    def name(self, /) -> str: ...
    @property
    def notes(self, /) -> list[str]: ...
    def sample(self, /, i: SupportsIndex) -> tuple[NDArray[float32], int]:
        """
        A sample and its label.
        """
    @property
    def shape(self, /) -> list[int]:
        """
        The shape of a sample: `(C, H, W)`, or `(T, C, H, W)` of recordings.
        """

def block_backward(z: NDArray[float32], norm: tuple[NDArray[float32], NDArray[float32], NDArray[float32], NDArray[float32], SupportsFloat | SupportsIndex, bool], grad: NDArray[float32], shape: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, bool, str, SupportsIndex], neuron: tuple[str, SupportsFloat | SupportsIndex, SupportsFloat | SupportsIndex, SupportsFloat | SupportsIndex]) -> tuple[NDArray[float32], NDArray[float32], NDArray[float32]]:
    """
    The errors of the input, the scale and the shift.
    """

def block_forward(z: NDArray[float32], norm: tuple[NDArray[float32], NDArray[float32], NDArray[float32], NDArray[float32], SupportsFloat | SupportsIndex, bool], shape: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, bool, str, SupportsIndex], neuron: tuple[str, SupportsFloat | SupportsIndex, SupportsFloat | SupportsIndex, SupportsFloat | SupportsIndex]) -> NDArray[float32]:
    """
    Batch norm, ReLU, neurons and pooling.
    """

def block_statistics(z: NDArray[float32], shape: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, bool, str, SupportsIndex]) -> tuple[NDArray[float32], NDArray[float32]]:
    """
    Mean and biased variance of each channel, for each of the statistics that the block has.
    """

def conv_backward(x: NDArray[float32], weight: NDArray[float32], grad: NDArray[float32], shape: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, bool], input: bool, spikes: bool) -> tuple[NDArray[float32] | None, NDArray[float32], NDArray[float32]]:
    """
    The errors of the input, where wanted, of the weight and of the bias. Where the input is `spikes` of neurons that do not hear the
    error of a spike that they did not fire, that is left out.
    """

def conv_forward(x: NDArray[float32], weight: NDArray[float32], bias: NDArray[float32], shape: tuple[SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, SupportsIndex, bool]) -> NDArray[float32]: ...

def data_sets() -> list[tuple[str, str]]:
    """
    The names of all data sets and what each is.
    """

def devices() -> list[tuple[str, str | None, str | None]]:
    """
    Names of devices, what they call themselves, and why one cannot be used.
    """

def events_problems(events: NDArray[uint8], sensor: tuple[SupportsIndex, SupportsIndex]) -> list[str]:
    """
    What is wrong with a recording; nothing if it is sound.
    """

def events_to_frames(events: NDArray[uint8], sensor: tuple[SupportsIndex, SupportsIndex], steps: SupportsIndex, framing: str, size: str, downsampling: str, polarities: str, values: str) -> NDArray[float32]:
    """
    Frames `[T, C, H, W]`.
    """

def lif_backward(membrane: NDArray[float32], grad: NDArray[float32], out: NDArray[float32], steps: SupportsIndex, neuron: tuple[str, SupportsFloat | SupportsIndex, SupportsFloat | SupportsIndex, SupportsFloat | SupportsIndex]) -> None:
    """
    Writes the error of the current.
    """

def lif_forward(current: NDArray[float32], spikes: NDArray[float32], membrane: NDArray[float32], steps: SupportsIndex, neuron: tuple[str, SupportsFloat | SupportsIndex, SupportsFloat | SupportsIndex, SupportsFloat | SupportsIndex]) -> None:
    """
    Writes spikes and membrane potentials of all steps: where memory is all the work, it is not filled with zeros first.
    """

def read_events(path: str | PathLike[str], format: str | None) -> tuple[NDArray[uint8], tuple[int, int], bool]: ...

def recording_info(path: str | PathLike[str]) -> tuple[str, int, int, int, int | None, int | None, bool]:
    """
    Format, sensor, and what can be said of the events without keeping them.
    """

def simulate_gesture(name: str, settings: tuple[SupportsFloat | SupportsIndex | None, SupportsFloat | SupportsIndex | None, SupportsFloat | SupportsIndex | None, SupportsIndex | None, SupportsFloat | SupportsIndex | None, SupportsFloat | SupportsIndex | None], seed: SupportsIndex) -> tuple[NDArray[uint8], tuple[int, int], bool]: ...
def simulate_image(image: NDArray[float32], protocol: str, settings: tuple[SupportsFloat | SupportsIndex | None, SupportsFloat | SupportsIndex | None, SupportsFloat | SupportsIndex | None, SupportsIndex | None, SupportsFloat | SupportsIndex | None, SupportsFloat | SupportsIndex | None], seed: SupportsIndex) -> tuple[NDArray[uint8], tuple[int, int], bool]: ...
def simulate_video(frames: NDArray[float32], fps: SupportsFloat | SupportsIndex, settings: tuple[SupportsFloat | SupportsIndex | None, SupportsFloat | SupportsIndex | None, SupportsFloat | SupportsIndex | None, SupportsIndex | None, SupportsFloat | SupportsIndex | None, SupportsFloat | SupportsIndex | None], seed: SupportsIndex) -> tuple[NDArray[uint8], tuple[int, int], bool]: ...

def write_events(path: str | PathLike[str], events: NDArray[uint8], sensor: tuple[SupportsIndex, SupportsIndex], format: str | None, simulated: bool) -> list[str]:
    """
    Writes a recording. Returns what the file does not tell of it.
    """
