import numpy as np
import pytest

import synfire
from synfire import Network, SpikingClassifier

USABLE = [device.name for device in synfire.devices() if device.problem is None and device.name != "cpu"]


def small(**more):
    return Network("8C3-AP2-LI2", (1, 8, 8), 10, precision="f32", **more)


def test_the_cpu_is_there_and_every_way_is_told():
    listed = synfire.devices()
    assert listed[0].name == "cpu" and listed[0].problem is None
    assert {"cuda", "vulkan", "metal", "webgpu"} == {device.name.split(":")[0] for device in listed[1:]}
    assert all(device.problem or device.description for device in listed[1:])


def test_networks_are_on_the_cpu_unless_told_otherwise(trained):
    assert small().device == "cpu" and trained.device == "cpu"
    assert trained.to("cpu") is trained


@pytest.mark.parametrize("name", ["gpu", "CUDA", "cuda:x", "cpu:0", ""])
def test_unknown_devices(name, trained, tmp_path):
    trained.save(tmp_path / "net.safetensors")
    for make in (
        lambda: small(device=name),
        lambda: small().to(name),
        lambda: Network.load(tmp_path / "net.safetensors", name),
        lambda: SpikingClassifier(device=name).fit(np.zeros((4, 1, 8, 8)), [0, 1, 0, 1]),
    ):
        with pytest.raises(ValueError, match=f"unknown device `{name}`"):
            make()


@pytest.mark.parametrize("name", ["cuda", "vulkan", "metal", "webgpu"])
def test_devices_that_are_not_there(name):
    network = small()
    # No machine has so many. A package without the way to them says how to build it in.
    with pytest.raises((ValueError, RuntimeError), match=f"no {name} device|no device {name}:999|--features"):
        network.to(f"{name}:999")
    assert network.device == "cpu"


@pytest.mark.skipif(not USABLE, reason="no GPU, or a package that was built without")
def test_a_device_answers_and_learns_as_the_cpu_does(digits, tmp_path):
    X, y = digits
    there, here = small(device=USABLE[0], seed=3), small(seed=3)
    assert there.device == (USABLE[0] if ":" in USABLE[0] else f"{USABLE[0]}:0")
    np.testing.assert_allclose(there.readout(X[:50]), here.readout(X[:50]), atol=1e-4)
    spikes = there.spikes(X[:5])
    assert all(np.array_equal(spikes[name], values) for name, values in here.spikes(X[:5]).items())
    for network in (there, here):
        network.fit(X[:600], y[:600], epochs=2, batch_size=32)
    assert there.device != "cpu"
    losses = [network.history_[0]["train_loss"] for network in (there, here)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
    there.save(tmp_path / "net.safetensors")
    back = Network.load(tmp_path / "net.safetensors")
    np.testing.assert_allclose(back.readout(X[:50]), there.readout(X[:50]), atol=1e-4)
    assert there.evaluate(X[600:], y[600:]).accuracy == pytest.approx(back.evaluate(X[600:], y[600:]).accuracy, abs=0.01)
    assert np.array_equal(there.to("cpu").readout(X[:50]), back.readout(X[:50])) and there.device == "cpu"
