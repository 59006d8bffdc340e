"""PyTorch and NIR, with the real packages where they are installed."""

import os
from pathlib import Path

import numpy as np
import pytest

from synfire import Network

DATA = Path(__file__).parents[2] / "crates/synfire-interop/tests/data"


def network(layers="6C3-AP2-8C3-AP2-20FC-VOTE1", shape=(2, 8, 8), classes=4, time_steps=8):
    """A network without ReLUs, whose batch norms are not those of the beginning, and which fires."""
    net = Network(layers, shape, classes, time_steps=time_steps, relu=False, precision="f32", seed=5)
    state, rng = net.state_dict(), np.random.default_rng(5)
    for name, values in state.items():
        if name.endswith("running_mean"):
            values[:] = rng.normal(0, 0.1, values.shape)
        elif name.endswith("running_var"):
            values[:] = rng.uniform(0.05, 0.2, values.shape)
        elif values.ndim == 2:
            values *= 4
        elif name.endswith("bias"):
            values[:] = rng.uniform(0, 0.2, values.shape)
    net.load_state_dict(state)
    return net


FRAMES = np.random.default_rng(3).random((3, 8, 2, 8, 8)).astype(np.float32)  # [N, T, C, H, W]


def spikes_of(net):
    """Spikes of each layer, `[T, N, …]`."""
    spikes = net.spikes(FRAMES)
    assert all(0.02 < layer.mean() < 0.98 for layer in spikes.values()), {n: float(s.mean()) for n, s in spikes.items()}
    return spikes


def test_nir_graphs_are_what_the_package_reads(tmp_path):
    nir = pytest.importorskip("nir", minversion="1.0.7")
    net = network()
    net.export_nir(tmp_path / "net.nir")
    graph = nir.read(tmp_path / "net.nir")
    assert [type(graph.nodes[name]).__name__ for name in ("conv_0", "lif_2", "pool_3", "flatten_8", "linear_9")] == [
        "Conv2d", "LIF", "AvgPool2d", "Flatten", "Affine",
    ]
    np.testing.assert_allclose(1 - 1e-4 / graph.nodes["lif_2"].tau, 0.9, rtol=1e-6)
    assert graph.metadata["time_steps"] == 8
    # What the package writes comes back.
    nir.write(tmp_path / "again.nir", graph)
    again = Network.import_nir(tmp_path / "again.nir")
    assert again.time_steps == 8 and again.config["net"] == "6C3-AP2-8C3-AP2-20FC-VOTE1"
    assert np.array_equal(again.readout(FRAMES), Network.import_nir(tmp_path / "net.nir").readout(FRAMES))
    assert np.array_equal(again.readout(FRAMES), net.readout(FRAMES))


def run_graph(model, frames, names, stateful):
    """Spikes of a simulator's layers `[T, N, …]`, step by step."""
    import torch

    found = {name: [] for name in names}
    modules = dict(model.named_modules())
    for name in names:
        first = lambda out: out[0] if isinstance(out, tuple) else out
        modules[name].register_forward_hook(lambda _m, _i, out, name=name: found[name].append(first(out).detach().numpy().copy()))
    state = None
    with torch.no_grad():
        for t in range(frames.shape[1]):
            frame = torch.from_numpy(np.ascontiguousarray(frames[:, t]))
            if stateful:
                _, state = model(frame, state)
            else:
                model(frame)
    return {name: np.stack(steps) for name, steps in found.items()}


LAYERS = {"lif_2": "layers.2", "lif_6": "layers.6", "lif_10": "layers.10", "lif_12": "layers.12"}


def compare(found, net):
    for theirs, ours in LAYERS.items():
        assert np.array_equal(found[theirs], spikes_of(net)[ours]), theirs


def test_spikingjelly_fires_the_same_spikes(tmp_path):
    pytest.importorskip("nir", minversion="1.0.7")
    exchange = pytest.importorskip("spikingjelly.activation_based.nir_exchange")
    net = network()
    net.export_nir(tmp_path / "net.nir")
    model = exchange.import_from_nir(str(tmp_path / "net.nir"))
    compare(run_graph(model, FRAMES, LAYERS, stateful=True), net)


def test_snntorch_fires_the_same_spikes(tmp_path):
    nir = pytest.importorskip("nir", minversion="1.0.7")
    importer = pytest.importorskip("snntorch.import_nir")
    net = network()
    net.export_nir(tmp_path / "net.nir")
    ours = spikes_of(net)
    # Its Flatten takes the samples of a batch together: one at a time, each with a fresh state.
    for n in range(len(FRAMES)):
        model = importer.import_from_nir(nir.read(tmp_path / "net.nir"))
        found = run_graph(model, FRAMES[n : n + 1], LAYERS, stateful=True)
        for theirs, name in LAYERS.items():
            assert np.array_equal(found[theirs].ravel(), ours[name][:, n].ravel()), theirs


def test_graphs_of_spikingjelly_run_here(tmp_path):
    pytest.importorskip("nir", minversion="1.0.7")
    exchange = pytest.importorskip("spikingjelly.activation_based.nir_exchange")
    import torch
    from spikingjelly.activation_based import functional, layer, neuron

    torch.manual_seed(1)
    lif = lambda: neuron.LIFNode(tau=2.0, decay_input=False, v_threshold=0.7, v_reset=0.0)
    model = torch.nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1), lif(), layer.AvgPool2d(2), layer.Flatten(), layer.Linear(64, 3), lif()
    )
    with torch.no_grad():
        model[4].weight *= 4
    exchange.export_to_nir(model, torch.zeros(1, 2, 8, 8), save_path=tmp_path / "theirs.nir")
    ours = Network.import_nir(tmp_path / "theirs.nir", time_steps=8)
    assert ours.config["net"] == "4C3-AP2-VOTE1" and ours.config["decay"] == 0.5
    functional.reset_net(model)
    with torch.no_grad():
        expected = np.stack([model(torch.from_numpy(FRAMES[:, t])).numpy() for t in range(8)])
    assert 0 < expected.mean() < 1
    assert np.array_equal(ours.readout(FRAMES), expected)


def test_graphs_of_snntorch_run_here(tmp_path):
    nir = pytest.importorskip("nir", minversion="1.0.7")
    exporter = pytest.importorskip("snntorch.export_nir")
    import torch
    from snntorch import Leaky, utils

    torch.manual_seed(1)
    # Its exporter writes neurons with a constant for each, behind linear layers.
    lif = lambda n, **how: Leaky(
        beta=torch.full((n,), 0.9), threshold=torch.full((n,), 0.7), reset_mechanism="zero", init_hidden=True, **how
    )
    model = torch.nn.Sequential(torch.nn.Linear(128, 20), lif(20), torch.nn.Linear(20, 3), lif(3, output=True))
    frames = torch.from_numpy(FRAMES.reshape(3, 8, 128))
    with torch.no_grad():
        model[0].weight *= 4
        model[2].weight *= 6
        nir.write(tmp_path / "theirs.nir", exporter.export_to_nir(model, torch.zeros(128)))
        utils.reset(model)
        expected = np.stack([model(frames[:, t])[0].numpy() for t in range(8)])
    ours = Network.import_nir(tmp_path / "theirs.nir", time_steps=8)
    assert ours.config["net"] == "20FC-VOTE1" and 0.1 < expected.mean() < 0.9
    assert np.array_equal(ours.readout(FRAMES.reshape(3, 8, 128, 1, 1)), expected)


def test_weights_for_pytorch_and_back(tmp_path):
    pytest.importorskip("torch")
    st = pytest.importorskip("safetensors.torch")
    net = network("6C3-MP2-8C3-AP2-LI2")
    net.export_safetensors(tmp_path / "net.safetensors")
    loaded = st.load_file(tmp_path / "net.safetensors")
    assert loaded["layers.1.num_batches_tracked"].dtype.is_floating_point is False
    for name, values in net.state_dict().items():
        assert np.array_equal(loaded[name].numpy(), values)
    other = Network("6C3-MP2-8C3-AP2-LI2", (2, 8, 8), 4, time_steps=8, relu=False, precision="f32", seed=9)
    assert other.import_pytorch(tmp_path / "net.safetensors")[0] == ("layers.0", "layers.0")
    assert np.array_equal(other.readout(FRAMES), net.readout(FRAMES))


def test_the_reference_loads_what_is_exported(tmp_path):
    st = pytest.importorskip("safetensors.torch")
    folder = os.environ.get("SYNFIRE_DATA")
    reference = Path(folder).parent / "reference" if folder else None
    if reference is None or not (reference / "bpsta_torch.py").exists():
        pytest.skip("bpsta_torch.py is not there")
    import sys

    import torch

    sys.path.insert(0, str(reference))
    import bpsta_torch

    layers = "6C3-MP2-8C3-AP2-DP-LI2"
    net = Network(layers, (2, 8, 8), 4, time_steps=8, precision="f32", seed=3)
    net.export_safetensors(tmp_path / "net.safetensors")
    model = bpsta_torch.Net(layers, (2, 8, 8), 4, 8, method="bpsta")
    model.load_state_dict(st.load_file(tmp_path / "net.safetensors"))
    model.eval()
    with torch.no_grad():
        expected = model(torch.from_numpy(FRAMES)).numpy()
    np.testing.assert_allclose(net.decision_function(FRAMES), expected, atol=1e-5)
    torch.save(model.state_dict(), tmp_path / "net.pt")
    other = Network(layers, (2, 8, 8), 4, time_steps=8, precision="f32", seed=4)
    other.import_pytorch(tmp_path / "net.pt")
    assert np.array_equal(other.readout(FRAMES), net.readout(FRAMES))


def test_a_checkpoint_of_the_released_code():
    net = Network("6C3-MP2-5C3-AP2-DP-VOTE2", (2, 8, 8), 3, time_steps=5, threshold=0.6, decay=0.8, precision="f32")
    assert net.import_pytorch(DATA / "released.pt")[4] == ("layers.12", "network.fun.12")
    other = Network("6C3-MP2-5C3-AP2-DP-VOTE2", (2, 8, 8), 3, time_steps=5)
    with pytest.raises(ValueError, match="threshold is 0.6, this network's is 0.5"):
        other.import_pytorch(DATA / "released.pt")


def test_files_that_are_damaged_or_hostile(tmp_path):
    net = network()
    hostile = tmp_path / "hostile.pt"
    hostile.write_bytes(b"\x80\x02cos\nsystem\nq\x00X\x0d\x00\x00\x00touch runs.txtq\x01\x85q\x02Rq\x03.")
    with pytest.raises(ValueError, match="hostile.pt"):
        net.import_pytorch(hostile)
    assert not Path("runs.txt").exists()
    (tmp_path / "bad.nir").write_bytes(b"no graph")
    with pytest.raises(ValueError, match="bad.nir"):
        Network.import_nir(tmp_path / "bad.nir")
    with pytest.raises(FileNotFoundError):
        Network.import_nir(tmp_path / "absent.nir")
    relu = Network("4C3-LI1", (1, 8, 8), 2)
    with pytest.raises(ValueError, match="ReLU.*train with relu false"):
        relu.export_nir(tmp_path / "x.nir")
    assert not (tmp_path / "x.nir").exists()


def test_graphs_with_unknown_nodes_and_cycles(tmp_path):
    nir = pytest.importorskip("nir", minversion="1.0.7")
    lif = lambda n: nir.LIF(*(np.full(n, value) for value in (1e-3, 10.0, 0.0, 1.0)), v_reset=np.zeros(n))

    def graph(nodes, edges):
        nir.write(tmp_path / "graph.nir", nir.NIRGraph(nodes, edges, type_check=False))
        return tmp_path / "graph.nir"

    ends = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([2]))}
    affine = nir.Affine(np.ones((2, 3)), np.zeros(2))
    row = [("input", "a"), ("a", "b"), ("b", "output")]
    sound = graph({**ends, "a": affine, "b": lif(2)}, row)
    assert Network.import_nir(sound).config["net"] == "VOTE1"
    with pytest.raises(ValueError, match="Threshold"):
        Network.import_nir(graph({**ends, "a": affine, "b": nir.Threshold(np.ones(2))}, row))
    with pytest.raises(ValueError, match="edges lead to node"):
        Network.import_nir(graph({**ends, "a": affine, "b": lif(2)}, [*row, ("b", "a")]))
    with pytest.raises(ValueError, match="takes 3 values"):
        Network.import_nir(graph({**ends, "input": nir.Input(np.array([4])), "a": affine, "b": lif(2)}, row))


def test_the_encoding_goes_with_the_graph(tmp_path):
    from sklearn.datasets import load_digits

    X = (load_digits().images[:40, None] / 16).astype(np.float32)
    for encoding in ("direct", "rate", "latency", "phase"):
        net = Network("8C3-AP2-LI2", (1, 8, 8), 10, time_steps=8, relu=False, precision="f32", encoding=encoding, method="stbp")
        if encoding == "direct":
            net.export_nir(tmp_path / "net.nir")
        else:
            with pytest.warns(UserWarning, match=encoding):
                net.export_nir(tmp_path / "net.nir")
        again = Network.import_nir(tmp_path / "net.nir")
        assert again.config["encoding"] == encoding and again.config["method"] == "stbp"
        np.testing.assert_allclose(again.readout(X), net.readout(X), atol=1e-4)
    for dt in (1e300, 1e-320):
        with pytest.raises(ValueError, match="time step"):
            net.export_nir(tmp_path / "far.nir", dt=dt)
    assert not (tmp_path / "far.nir").exists()


def test_a_residual_network_there_and_back(tmp_path):
    pytest.importorskip("nir", minversion="1.0.7")
    net = Network("4C3-4RB-6RBS2-VOTE2", (2, 8, 8), 3, time_steps=8, relu=False, precision="f32")
    net.export_nir(tmp_path / "net.nir")
    again = Network.import_nir(tmp_path / "net.nir")
    assert again.config["net"] == net.config["net"] and np.array_equal(again.readout(FRAMES), net.readout(FRAMES))


def test_weights_of_another_network_are_refused(tmp_path):
    Network("4C3-AP2-LI2", (1, 8, 8), 10).export_safetensors(tmp_path / "a.safetensors")
    for layers, classes in [("4C3-AP2-VOTE5", 4), ("4C3-AP2-VOTE2", 10), ("4C3-MP2-LI2", 10)]:
        with pytest.raises(ValueError, match="4C3-AP2-LI2 for 1x8x8 and 10 classes"):
            Network(layers, (1, 8, 8), classes).import_pytorch(tmp_path / "a.safetensors")
