"""Synfire trains deep spiking neural networks with BPSTA, fast on CPUs.

    import synfire
    net = synfire.Network("32C3-64C3-MP2-128C3-AP2-LI10", input_shape=(1, 8, 8), classes=10, time_steps=4)
    net.fit(X, y, epochs=10)          # X [N, C, H, W] float32, y [N] integers
    net.predict(X)

- `Network`: a network from a layer string; `SpikingClassifier`: the same as scikit-learn wants it.
- `events`: recordings of event cameras, read, written, made into frames, simulated.
- `data`: data sets, in batches.
- `callbacks`: what follows training: `Progress`, `LiveCurve`.
- `devices`: where networks can compute.
- `torch`: modules for PyTorch that run Synfire's kernels.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from . import callbacks, data, events
from ._devices import Device, devices
from ._synfire import __version__
from .network import Network

if TYPE_CHECKING:
    from . import torch
    from .classifier import SpikingClassifier

__all__ = ["Device", "Network", "SpikingClassifier", "__version__", "callbacks", "data", "devices", "events", "torch"]
if find_spec("torch") is None:
    __all__.remove("torch")


def __getattr__(name: str) -> Any:
    # scikit-learn and PyTorch take seconds to import and need not be there.
    if name == "SpikingClassifier":
        from .classifier import SpikingClassifier

        return SpikingClassifier
    if name == "torch":
        import importlib

        try:
            return importlib.import_module(".torch", __name__)
        except ModuleNotFoundError as error:
            raise AttributeError("synfire.torch needs PyTorch: pip install torch") from error
    raise AttributeError(f"module 'synfire' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
