"""Networks."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from os import PathLike, fspath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _synfire, callbacks as following
from ._arrays import Floats, floats, labels, number, settings
from .data import Samples, load

__all__ = ["Evaluation", "Network"]

#: Settings that make a network what it is.
OWN = {"net", "dataset", "recipe", "method", "time-steps", "threshold", "decay", "alpha", "relu", "encoding", "voter-method"}
#: Settings of a network of arrays: nothing is changed about samples unless it is asked for.
PLAIN = {"dataset": "arrays", "shift": 0, "flip": False, "rotate": 0.0, "event-drop": False, "jitter": 0.0, "event-mix": 0.0}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a network got right.

    - `samples`: how many there were.
    - `accuracy`: share of them whose class was right, 0 to 1.
    - `loss`: the mean.
    - `confusion`: samples by class and answer, `[classes, classes]`.
    - `firing_rates`: mean spikes per neuron and time step of each layer of neurons, by its name.
    - `accuracy_after`: share right if the answer is taken after each time step, `[T]`.
    """

    samples: int
    accuracy: float
    loss: float
    confusion: NDArray[np.int64]
    firing_rates: dict[str, float]
    accuracy_after: NDArray[np.float64]


class Network:
    """A spiking network from a layer string.

    `layers` such as `"32C3-MP2-64C3-MP2-128C3-AP2-LI10"`, or the name of a published network such as `"nmnist"`, `"cifar10"`, `"dvs"`: `nCk` is a
    convolution with n channels and a kernel of k, with batch norm, ReLU and neurons; `nRB` a residual block; `MPk` and `APk` pooling; `DP` dropout;
    `nFC` fully connected; last `VOTEn`, n voting neurons for each class, or `LIn`, n leaky integrators.

    `input_shape` is `(C, H, W)` (of recordings the last three of a sample's shape), `classes` a number or the names of the classes, `method` `bpsta`,
    `bpsa`, `stbp` or `ann`, which has ReLUs in place of neurons and one time step. Further settings, and what they are by default:

    - `threshold` 0.5, `decay` 0.9, `alpha` 0.2 (weight of the error across a spike back in time), `relu` True (in front of neurons),
      `voter_method` "same" or a method for the voters alone;
    - `norm`: statistics of batch norm over all time steps, "joint", or of each, "per-step";
    - `encoding` of images: "direct" (the image at every step), "rate", "latency" or "phase";
    - `precision`: "auto", "f32" or "bf16", what convolutions multiply; `loss`: "cross-entropy", "mse" (on rates) or "tet".

    Samples are float32 `[N, C, H, W]`, shown at every time step, or frames `[N, T, C, H, W]`. Other numbers are converted. A network may be used by
    several threads.

    `device` is where it computes: "cpu", or in a package that was built for GPUs "cuda", "cuda:1", "webgpu" …, see `synfire.devices`.

    Raises ValueError if the layers or a setting make no network or the package has no such device, RuntimeError if the device cannot be used.
    """

    _core: _synfire.Core

    def __init__(
        self,
        layers: str,
        input_shape: Sequence[int],
        classes: int | Sequence[str],
        time_steps: int = 4,
        method: str = "bpsta",
        *,
        seed: int = 0,
        device: str = "cpu",
        **more: Any,
    ) -> None:
        if len(input_shape) != 3:
            raise ValueError(f"input_shape = {tuple(input_shape)}: expected (channels, height, width), of frames without the time steps")
        if "net" in more:
            raise TypeError("net: the layers are given once, as the first argument")
        if isinstance(classes, (str, bool)):
            raise TypeError(f"classes = {classes!r}: expected a number or a list of names")
        if isinstance(classes, Integral):
            names = [str(i) for i in range(number(classes, "classes", most=65_536))]
        else:
            names = [str(name) for name in classes]  # type: ignore[union-attr]
        given = {"net": layers, "time_steps": time_steps, "method": method, "seed": seed, **more}
        #: What a training starts from, whatever an earlier one was given.
        self._settings: dict[str, Any] = {**PLAIN, **settings(given)}
        sides = [number(side, "a side of input_shape", most=65_536) for side in input_shape]
        self._core = _synfire.Core(sides, names, json.dumps(self._settings), device)

    @classmethod
    def _of(cls, core: _synfire.Core) -> Network:
        network = cls.__new__(cls)
        network._core = core
        network._settings = {**network.config, **PLAIN}
        return network

    def __reduce__(self) -> Any:
        described = self._described
        made = (described["net"], described["input"], described["class_names"], described["config"])
        return _again, (*made, self.state_dict(), {name: getattr(self, name) for name in ("history_", "summary_") if hasattr(self, name)})

    @classmethod
    def load(cls, path: str | PathLike[str], device: str = "cpu") -> Network:
        """The network of a checkpoint, or of a run's best one, whatever device that was trained on.

        Raises OSError if the file cannot be read, ValueError if it is damaged or the package has no such device, RuntimeError if that cannot be used.
        """
        return cls._of(_synfire.Core.load(fspath(path), device))

    @property
    def device(self) -> str:
        """Where it computes."""
        return self._core.device

    def to(self, device: str) -> Network:
        """Moves it to another device, and returns it. What is pickled comes back on the CPU. Not to be called while another thread trains it.

        Raises ValueError if there is no such device in this package, RuntimeError if it cannot be used.
        """
        self._core.to(device)
        return self

    def save(self, path: str | PathLike[str]) -> None:
        """Writes a checkpoint, whole or not at all; `load` and every command of `synfire` read it.

        Raises OSError if it cannot be written.
        """
        self._core.save(fspath(path))

    @property
    def config(self) -> dict[str, Any]:
        """Its settings, with the names that files have."""
        config: dict[str, Any] = self._described["config"]
        return config

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a sample."""
        c, h, w = self._described["input"]
        return c, h, w

    @property
    def class_names(self) -> list[str]:
        """The names of the classes."""
        names: list[str] = self._described["class_names"]
        return names

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Each layer: `module`, `layer`, `input`, `output`, `parameters`, `macs` (multiply-accumulates of a time step)."""
        layers: list[dict[str, Any]] = self._described["layers"]
        return layers

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return int(self._described["parameters"])

    @property
    def time_steps(self) -> int:
        """Time steps for which it sees a sample."""
        return int(self.config["time-steps"])

    @property
    def _described(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads(self._core.describe())
        return described

    def fit(
        self,
        data: ArrayLike | Samples | str,
        y: ArrayLike | None = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        validation: int | float | None = None,
        seed: int | None = None,
        callbacks: Iterable[following.Callback] = (),
        progress: bool | None = None,
        out: str | PathLike[str] | None = None,
        **more: Any,
    ) -> Network:
        """Trains anew and keeps the weights of the epoch with the best validation accuracy.

        - `data`: samples `[N, C, H, W]` or `[N, T, C, H, W]` with labels `y` `[N]` from 0; what `synfire.data.load` gave; or the name of a data set.
        - `epochs`, `batch_size`, and `more`: `lr` (learning rate), `optimizer` ("adamw", "sgd"), `weight_decay`, `schedule` ("warmup-cosine", "cosine", "constant"),
          `clip_norm` (largest norm of the gradients), `patience` (epochs without a better one before training ends), and for augmentation `shift`
          (pixels), `flip`, `rotate` (degrees), `event_drop`, `jitter`, `event_mix`.
        - `validation`: how many samples, or which share of them, are held back to choose the epoch by; a tenth by default. There has to be one.
        - `callbacks`: called after each epoch, see `synfire.callbacks`. `progress`: a bar; by default where somebody looks.
        - `out`: a folder for the run, with its settings, curves and checkpoints, as `synfire train` makes them. It must not hold a run.

        Each training starts from the network's own settings, not from those of an earlier one. Ctrl-C ends it with KeyboardInterrupt; the network is
        then as it was before. `history_` and `summary_` tell what was measured.

        Raises ValueError if samples, labels or settings do not fit, FloatingPointError if numbers get out of hand, MemoryError if the machine or the device is too small.
        """
        given = settings({"epochs": epochs, "batch_size": batch_size, "seed": seed, **more})
        for key in OWN & given.keys():
            raise ValueError(f"{key} belongs to the network: give it to Network, not to fit")
        listeners = list(callbacks)
        for listener in listeners:
            if not callable(listener):
                raise TypeError(f"a callback is a {type(listener).__name__}, expected something to call after each epoch")
        if isinstance(data, str):
            data = load(data, time_steps=self.time_steps)
        samples: Any
        if isinstance(data, Samples):
            _without_labels(y)
            if data.part != "train":
                raise ValueError(f"these are samples to {data.part} on; load the part 'train'")
            samples = data._core
            given = {**data._settings, "time-steps": self.time_steps, **given}
            n = len(data)
        else:
            if y is None:
                raise TypeError("labels are missing: fit(X, y)")
            x = floats(data, "X", (4, 5))
            n = len(x)
            samples = (x, labels(y, n))
        if validation is not None:
            share = not isinstance(validation, Integral)
            if share and not 0.0 < validation < 1.0:
                raise ValueError(f"validation = {validation}: expected a share above 0 and below 1, or a number of samples")
            held = max(1, round(float(validation) * n)) if share else int(validation)
            if not 1 <= held < n:
                raise ValueError(f"validation = {validation}: expected a share below 1 or a number below the {n} samples")
            given["validation"] = held
        history: list[dict[str, Any]] = []
        bar = None
        if following.is_watched() if progress is None else progress:
            bar = following.Progress(int({**self.config, **given}["epochs"]))
            listeners.insert(0, bar)

        def heard(kind: str, text: str) -> None:
            if kind == "epoch":
                record = json.loads(text)
                history.append(record)
                for listener in listeners:
                    listener(record)
            elif kind == "batch":
                told = [listener for listener in listeners if isinstance(listener, following.OnBatch)]
                for listener in told:
                    listener.on_batch(json.loads(text))
            elif kind == "warning":
                    warnings.warn(text, RuntimeWarning, stacklevel=3)

        try:
            everything = json.dumps({**self._settings, **given})
            summary = self._core.fit(samples, everything, heard, None if out is None else fspath(out))
        finally:
            if bar is not None:
                bar.close()
        #: What was measured after each epoch.
        self.history_ = history
        #: What came of training.
        self.summary_: dict[str, Any] = json.loads(summary)
        return self

    def decision_function(self, x: ArrayLike, batch_size: int = 256) -> Floats:
        """The mean of the readout over time, `[N, classes]`, for samples `[N, C, H, W]` or `[N, T, C, H, W]`: rates of voters, or potentials."""
        mean: Floats = self.readout(x, batch_size).mean(axis=0)
        return mean

    def readout(self, x: ArrayLike, batch_size: int = 256) -> Floats:
        """What each class gets at each time step, `[T, N, classes]`, for samples `[N, C, H, W]` or `[N, T, C, H, W]`.

        Raises ValueError if samples do not fit the network or hold NaN.
        """
        return self._core.forward(floats(x, "X", (4, 5)), number(batch_size, "batch_size"))

    def predict(self, x: ArrayLike, batch_size: int = 256) -> NDArray[np.int64]:
        """The class of each sample, `[N]`, from 0, for samples `[N, C, H, W]` or `[N, T, C, H, W]`."""
        classes: NDArray[np.int64] = self.decision_function(x, batch_size).argmax(axis=1).astype(np.int64)
        return classes

    def predict_proba(self, x: ArrayLike, batch_size: int = 256) -> Floats:
        """How certain each class is, `[N, classes]`, for samples `[N, C, H, W]` or `[N, T, C, H, W]`; a row sums to 1.

        Of integrators it is the softmax of their mean potential. Of voters it is a class's share of the votes, with one more for every class.
        """
        mean = self.decision_function(x, batch_size)
        described = self._described
        last, config = str(described["layers"][-1]["layer"]), described["config"]
        if last.startswith("VOTE") and config["method"] != "ann":
            weights = mean * (int(last[4:]) * config["time-steps"]) + 1.0
        else:
            weights = np.exp(mean - mean.max(axis=1, keepdims=True))
        certain: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        return certain

    def evaluate(self, data: ArrayLike | Samples | str, y: ArrayLike | None = None, batch_size: int = 256) -> Evaluation:
        """How right it is on samples `[N, C, H, W]` or `[N, T, C, H, W]` and labels `[N]`, on what `synfire.data.load` gave, or on the test samples of a
        data set by its name.

        Raises ValueError if they do not fit the network.
        """
        batch_size = number(batch_size, "batch_size")
        if isinstance(data, str):
            data = load(data, "test", time_steps=self.time_steps)
        samples: Any
        if isinstance(data, Samples):
            _without_labels(y)
            samples = data._core
        elif y is None:
            raise TypeError("labels are missing: evaluate(X, y)")
        else:
            x = floats(data, "X", (4, 5))
            samples = (x, labels(y, len(x)))
        found = json.loads(self._core.evaluate(samples, batch_size))
        return Evaluation(
            samples=found["samples"],
            accuracy=found["accuracy"],
            loss=found["loss"],
            confusion=np.asarray(found["confusion"], np.int64),
            firing_rates=found["firing_rates"],
            accuracy_after=np.asarray(found["anytime"]["accuracy"]),
        )

    def spikes(self, x: ArrayLike, batch_size: int = 64) -> dict[str, Floats]:
        """The spikes, 0 or 1, of each layer of neurons by its name, `[T, N, C, H, W]`, or `[T, N, units]` of flat layers, for samples `[N, C, H, W]` or
        `[N, T, C, H, W]`.

        Raises ValueError if samples do not fit the network or hold NaN, MemoryError if there is no room for all these spikes.
        """
        return self._core.spikes(floats(x, "X", (4, 5)), number(batch_size, "batch_size"))

    def state_dict(self) -> dict[str, Floats]:
        """Weights and running statistics by the names that PyTorch gives them."""
        return self._core.state_dict()

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Takes weights and running statistics.

        Raises KeyError if one is missing or unknown, ValueError if it is of another shape or not finite; the network is then as it was.
        """
        if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
            raise TypeError("a state dict is a mapping of names to arrays")
        self._core.load_state_dict(
            {name: floats(values, name, (1, 2, 4)) for name, values in state.items() if not name.endswith("num_batches_tracked")}
        )

    def export_safetensors(self, path: str | PathLike[str]) -> None:
        """Writes weights and running statistics (safetensors) by the names of a PyTorch module whose `layers` is a Sequential of the network's modules."""
        self._core.export_safetensors(fspath(path))

    def import_pytorch(self, path: str | PathLike[str], prefix: str | None = None) -> list[tuple[str, str]]:
        """Takes the weights of a state dict of PyTorch (`.pt`, `.pth`, `.safetensors`), read as data: no code in it is run. Returns which module came
        from which.

        Tensors are found by the names of the released BPSTA networks or of Synfire, else by their shapes and the numbers in their names, of which a
        UserWarning tells. `prefix` is what stands in front of the names, where a file holds several networks.

        Raises ValueError if the file is damaged or holds another network, with another threshold or decay too.
        """
        modules, by_shape = self._core.import_pytorch(fspath(path), prefix)
        if by_shape:
            warnings.warn("modules were told apart by their shapes, and by numbers in their names", UserWarning, stacklevel=2)
        return modules

    def export_nir(
        self,
        path: str | PathLike[str],
        *,
        dt: float = 1e-4,
        fold_resistance: bool = False,
        sum_pool: bool = False,
    ) -> None:
        """Writes a NIR graph (HDF5), for other simulators and neuromorphic chips.

        - `dt`: the time step that its neurons are made for, in seconds: 1e-4 in SpikingJelly and snnTorch.
        - `fold_resistance`: the neurons' resistance 1/(1 - decay) goes into the weights in front of them, for simulators that know no other than 1
          (Norse).
        - `sum_pool`: means over windows become sums, and the next weights are divided, for simulators without means (Sinabs).

        A UserWarning tells of an encoding that other programs have to do themselves.

        Raises ValueError if the network has what NIR cannot say: a ReLU in front of neurons (train with `relu=False`), or max pooling.
        """
        note = self._core.export_nir(fspath(path), dt, fold_resistance, sum_pool)
        if note is not None:
            warnings.warn(note, UserWarning, stacklevel=2)

    @classmethod
    def import_nir(
        cls,
        path: str | PathLike[str],
        *,
        dt: float | None = None,
        time_steps: int | None = None,
        input_shape: tuple[int, int, int] | None = None,
    ) -> Network:
        """The network of a NIR graph; what is to be known of it is warned of.

        - `dt`: the time step that its neurons are made for, in seconds; by default that of the graph's metadata, else 1e-4.
        - `time_steps`: for how many the network sees a sample; by default those of the metadata, else 4.
        - `input_shape`: `(C, H, W)` where the graph takes a row of values.

        Raises ValueError if the graph is none that a layer string could say; the error names the node.
        """
        shape = None if input_shape is None else tuple(number(side, "a side of input_shape") for side in input_shape)
        steps = None if time_steps is None else number(time_steps, "time_steps")
        core, notes = _synfire.Core.import_nir(fspath(path), dt, steps, shape)
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        return cls._of(core)

    def __repr__(self) -> str:
        described = self._described
        return f"Network({described['net']!r}, {described['parameters']} parameters, T = {described['config']['time-steps']})"


def _without_labels(y: Any) -> None:
    if y is not None:
        raise TypeError("these samples have labels of their own: leave y out")


def _again(
    layers: str, shape: list[int], names: list[str], config: dict[str, Any], state: dict[str, Floats], told: dict[str, Any]
) -> Network:
    """What was pickled."""
    network = Network._of(_synfire.Core(shape, names, json.dumps({**config, "net": layers}), "cpu"))
    network.load_state_dict(state)
    for name, value in told.items():
        setattr(network, name, value)
    return network
