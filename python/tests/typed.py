"""Uses the whole interface, for `mypy --strict`; tests/test_types.py checks it, and pytest runs what is cheap of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import synfire
from synfire import Device, Network, SpikingClassifier, callbacks, data, devices, events


def recordings(path: Path) -> NDArray[np.float32]:
    made: events.Events = events.simulate(np.tile([[0.0, 1.0]], (8, 4)), seed=1, threshold_on=0.3)
    made.write(path)
    told: events.Info = events.info(path)
    read: events.Events = events.read(path)
    size: tuple[int, int] | None = read.sensor_size
    problems: list[str] = events.problems(read)
    assert told.width > 0 and size is not None and isinstance(problems, list)
    events.write(path, read, (34, 34), format="npz")
    return events.to_frames(read, (34, 34), 4, framing="time", polarities="merged")


def sets() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    known: dict[str, str] = data.names()
    samples: data.Samples = data.load("digits", "train", batch_size=10, shuffle=True)
    assert "digits" in known and len(samples) > 0
    for x, y in samples:
        return x, y
    return samples.arrays([0, 1])


def networks(folder: Path) -> float:
    x, y = sets()
    net: Network = Network("4C3-LI1", (1, 8, 8), 10, time_steps=2, method="bpsta", threshold=0.5)

    def follow(record: dict[str, Any]) -> None:
        assert record["epoch"] == 1

    net.fit(x, y, epochs=1, validation=2, callbacks=[follow, callbacks.Progress(1)])
    classes: NDArray[np.int64] = net.predict(x)
    certain: NDArray[np.float32] = net.predict_proba(x)
    layers: dict[str, NDArray[np.float32]] = net.spikes(x)
    net.save(folder / "net.safetensors")
    again: Network = Network.load(folder / "net.safetensors")
    again.load_state_dict({name: values for name, values in net.state_dict().items()})
    again.export_safetensors(folder / "weights.safetensors")
    modules: list[tuple[str, str]] = again.import_pytorch(folder / "weights.safetensors")
    plain = Network("4C3-LI1", (1, 8, 8), ["a", "b"], relu=False)
    plain.export_nir(folder / "net.nir", dt=1e-3)
    graph: Network = Network.import_nir(folder / "net.nir", dt=1e-3, time_steps=3)
    assert classes.shape == (len(x),) and certain.shape == (len(x), 10) and layers and modules and graph.parameters
    return net.evaluate(x, y).accuracy


def first() -> Network:
    samples = data.load("digits")
    net: Network = Network("4C3-LI1", samples.shape, len(samples.class_names), time_steps=2)
    return net.fit(samples, epochs=1, progress=False)


def places(net: Network, folder: Path) -> str:
    listed: list[Device] = devices()
    usable: list[str] = [device.name for device in listed if device.problem is None]
    back: Network = Network.load(folder / "net.safetensors", device=usable[0])
    moved: Network = back.to("cpu")
    SpikingClassifier(device="cpu")
    return moved.device + net.device


def curves() -> callbacks.Callback:
    return callbacks.LiveCurve()


def scores(net: Network, x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return net.decision_function(x), net.readout(x, batch_size=8)


def modules() -> Any:
    import torch

    from synfire import torch as st

    block: st.SpikingConvBlock = st.spiking_conv_block(1, 4, pool=("max", 2), method="bpsa", spikes_in=False)
    out: torch.Tensor = st.Lif()(block(torch.rand(2, 1, 1, 8, 8)))
    return st.lif(out, "stbp", 0.5)


def classifiers() -> NDArray[np.float32]:
    x, y = sets()
    classifier: SpikingClassifier = SpikingClassifier("4C3-LI1", epochs=1, random_state=1).fit(x, y)
    assert 0 <= classifier.score(x, y) <= 1
    return classifier.predict_proba(x)


def version() -> str:
    return synfire.__version__
