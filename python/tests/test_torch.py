import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import synfire.torch as st  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

from torch_forms import Rectangle  # noqa: E402


def reference(current, method, threshold=0.5, decay=0.9, alpha=0.2):
    """The neurons step by step, with the gradients that the methods' equations say."""
    v, out = torch.zeros_like(current[0]), []
    for step in current:
        m = decay * v + step
        if method == "stbp":
            s = Rectangle.apply(m - threshold)
            v = m * (1 - s)
        else:
            fired = m >= threshold
            s = torch.where(fired, m / torch.where(fired, m.detach(), torch.ones_like(m)), torch.zeros_like(m))
            kept = torch.where(fired, torch.zeros_like(m), m)
            v = kept + (alpha if method == "bpsta" else 0.0) * (s - s.detach())
        out.append(s)
    return torch.stack(out)


@pytest.mark.parametrize("method", ["bpsta", "bpsa", "stbp"])
@pytest.mark.parametrize("shape", [(1, 3), (5, 2, 7), (4, 2, 3, 5, 6), (64, 1001)])
def test_neurons_and_their_gradients(method, shape):
    torch.manual_seed(1)
    current = torch.randn(shape, dtype=torch.float64) * 0.6
    weight = torch.randn(shape, dtype=torch.float64)
    slow = current.clone().requires_grad_()
    spikes = reference(slow, method)
    (spikes * weight).sum().backward()
    fast = current.float().requires_grad_()
    found = st.Lif(method)(fast)
    (found * weight.float()).sum().backward()
    # In double precision a potential may stand on the other side of the threshold.
    assert (found.double() != spikes.round()).float().mean() <= 1e-4
    same = (found.double() == spikes.round()).all(0)
    np.testing.assert_allclose(fast.grad[:, same], slow.grad[:, same], rtol=1e-3, atol=1e-4)


def plain(block, x):
    """The same block in PyTorch's own operations."""
    steps, batch = x.shape[:2]
    z = F.conv2d(x.flatten(0, 1), block.conv.weight, block.conv.bias, block.conv.stride, block.conv.padding)
    z = z.unflatten(0, (steps, batch))
    groups = [z] if block.norm == "joint" else list(z.split(1))
    done = []
    for group in groups:
        mean, var = group.mean((0, 1, 3, 4)), group.var((0, 1, 3, 4), unbiased=False)
        spread = lambda v: v[:, None, None]
        done.append((group - spread(mean)) * spread((var + block.bn.eps).rsqrt() * block.bn.weight) + spread(block.bn.bias))
    current = torch.cat(done)
    current = F.relu(current) if block.relu else current
    n = block.neurons
    spikes = reference(current, n.method, n.threshold, n.decay, n.alpha).flatten(0, 1)
    if block.kind == "max":
        spikes = F.max_pool2d(spikes, block.side)
    elif block.kind == "average":
        spikes = F.avg_pool2d(spikes, block.side)
    return spikes.unflatten(0, (steps, batch))


@pytest.mark.parametrize("pool", [None, ("max", 2), ("average", 3)])
@pytest.mark.parametrize("norm", ["joint", "per-step"])
@pytest.mark.parametrize("method", ["bpsta", "stbp"])
def test_blocks_and_their_gradients(pool, norm, method):
    torch.manual_seed(2)
    block = st.spiking_conv_block(3, 8, 5, 2, pool=pool, norm=norm, method=method)
    x = torch.rand(4, 2, 3, 13, 12, requires_grad=True)
    y = block(x)
    weight = torch.randn(y.shape)
    (y * weight).sum().backward()
    found = [x.grad, block.conv.weight.grad, block.bn.weight.grad, block.bn.bias.grad]
    double = x.detach().double().requires_grad_()
    other = st.spiking_conv_block(3, 8, 5, 2, pool=pool, norm=norm, method=method).double()
    other.load_state_dict(block.state_dict(), strict=False)
    expected = plain(other, double)
    np.testing.assert_array_equal(y.detach(), expected.detach().float())
    (expected * weight).sum().backward()
    for one, two in zip(found, [double.grad, other.conv.weight.grad, other.bn.weight.grad, other.bn.bias.grad]):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4 * float(two.abs().max()))


def test_running_statistics_are_those_of_batch_norm():
    torch.manual_seed(3)
    block = st.spiking_conv_block(2, 4, norm="per-step")
    x = torch.rand(3, 5, 2, 6, 6)
    bn = nn.BatchNorm2d(4)
    with torch.no_grad():
        for step in x:
            bn(block.conv(step))
    block(x)
    np.testing.assert_allclose(block.bn.running_mean, bn.running_mean, atol=1e-6)
    np.testing.assert_allclose(block.bn.running_var, bn.running_var, rtol=1e-5)
    assert block.bn.num_batches_tracked == 3
    block.eval()
    with torch.no_grad():
        current = F.relu(block.bn(block.conv(x.flatten(0, 1)))).unflatten(0, (3, 5))
        np.testing.assert_array_equal(block(x), reference(current, "bpsta"))
    # Frozen statistics let errors pass, as those of a frozen batch norm do.
    found, expected = [], []
    for answer, into in ((block, found), (lambda x: reference(F.relu(block.bn(block.conv(x.flatten(0, 1)))).unflatten(0, (3, 5)), "bpsta"), expected)):
        seen = x.clone().requires_grad_()
        block.zero_grad()
        (answer(seen) * torch.linspace(-1, 1, 36).reshape(6, 6)).sum().backward()
        into.extend([seen.grad, block.conv.weight.grad.clone(), block.bn.weight.grad.clone()])
    for gradient, wanted in zip(found, expected):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))
    mean_of_all = st.spiking_conv_block(2, 4, norm="per-step")
    mean_of_all.bn.momentum = None
    mean_of_all(x)
    with torch.no_grad():
        expected = mean_of_all.conv(x.flatten(0, 1)).mean((0, 2, 3))
    np.testing.assert_allclose(mean_of_all.bn.running_mean, expected, atol=1e-6)
    # Statistics that are frozen stay.
    frozen = mean_of_all.bn.running_mean.clone()
    mean_of_all.bn.eval()
    with torch.no_grad():
        mean_of_all(x)
    assert torch.equal(frozen, mean_of_all.bn.running_mean)
    untracked = st.spiking_conv_block(2, 4)
    untracked.bn = nn.BatchNorm2d(4, track_running_stats=False)
    assert untracked.eval()(x).shape == (3, 5, 4, 6, 6)


def test_a_model_trains_and_its_state_is_saved():
    torch.manual_seed(4)
    model = nn.Sequential(
        st.spiking_conv_block(1, 8, pool=("max", 2)),
        st.spiking_conv_block(8, 16, pool=("average", 2), spikes_in=True),
        st.SeqToTime(nn.Flatten()),
        st.SeqToTime(nn.Linear(64, 10)),
    )
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X, y = torch.tensor(X / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)[:512], torch.tensor(y)[:512]
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for _ in range(12):
        for i in range(0, 512, 64):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(X[i : i + 64].expand(4, 64, 1, 8, 8)).mean(0), y[i : i + 64])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert np.mean(losses[-8:]) < 0.3 * np.mean(losses[:8])
    other = nn.Sequential(*[type(m)(1, 8, pool=("max", 2)) if i == 0 else m for i, m in enumerate(model)])
    other.load_state_dict(model.state_dict())


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="threshold"):
        st.Lif(threshold=0.0)
    with pytest.raises(ValueError, match="method"):
        st.Lif("relu")
    with pytest.raises(TypeError, match="float32"):
        st.lif(torch.zeros(2, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="time steps first"):
        st.lif(torch.zeros(0, 3))
    block = st.spiking_conv_block(3, 4, pool=("max", 9))
    with pytest.raises(ValueError, match="channels"):
        block(torch.zeros(2, 1, 1, 8, 8))
    with pytest.raises(ValueError, match="T, B, C, H, W"):
        block(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="window"):
        block(torch.zeros(2, 1, 3, 8, 8))
    with pytest.raises(ValueError, match="odd"):
        st.spiking_conv_block(3, 4, 2)
    with pytest.raises(TypeError):
        st.spiking_conv_block(3, 4, 3, (2, 1))
    with pytest.raises(TypeError, match="float32"):
        st.spiking_conv_block(3, 4).double()(torch.zeros(2, 1, 3, 8, 8))
    with pytest.raises(TypeError, match="tensor"):
        st.lif(np.zeros(3))
    with pytest.raises(ValueError, match="pool"):
        st.spiking_conv_block(3, 4, pool=("sum", 2))


def test_outputs_are_tensors_like_others():
    current = torch.rand(4, 3, requires_grad=True)
    spikes = st.lif(current)
    spikes.mul_(2)
    spikes.sum().backward()
    with pytest.raises(RuntimeError):
        spikes.sum().backward()
    (grad,) = torch.autograd.grad(st.lif(current).sum(), current, create_graph=True)
    with pytest.raises(RuntimeError):
        grad.sum().backward()
    import copy

    block = st.spiking_conv_block(1, 4)
    assert copy.deepcopy(block)(torch.rand(2, 1, 1, 4, 4)).shape == (2, 1, 4, 4, 4)


def test_arrays_are_shared_with_dlpack():
    import synfire

    net = synfire.Network("4C3-LI1", (1, 8, 8), 3)
    x = torch.rand(5, 1, 8, 8)
    readout = net.readout(x)
    assert np.array_equal(readout, net.readout(x.numpy()))
    shared = torch.from_dlpack(readout)
    shared[0, 0, 0] = 7.0
    assert readout[0, 0, 0] == 7.0


@pytest.mark.parametrize("pool", [None, ("max", 2), ("average", 2)])
def test_a_frozen_block_passes_errors(pool):
    torch.manual_seed(2)
    block = st.spiking_conv_block(3, 4, pool=pool)
    for _ in range(3):
        block(torch.rand(2, 5, 3, 6, 6))
    block.eval()
    x = torch.rand(2, 5, 3, 6, 6)
    with torch.no_grad():
        fused = block(x)
    seen = x.clone().requires_grad_()
    spikes = block(seen)
    assert spikes.shape == fused.shape and (spikes != fused).float().mean() <= 1e-3
    (spikes * torch.randn_like(spikes)).sum().backward()
    assert seen.grad.abs().sum() > 0 and block.bn.weight.grad.abs().sum() > 0 and block.conv.weight.grad.abs().sum() > 0


def test_half_precision_and_what_autocast_leaves():
    current = torch.rand(4, 2, 8, requires_grad=True)
    half = current.bfloat16()
    spikes = st.lif(half)
    assert spikes.dtype == torch.bfloat16 and torch.equal(spikes.float(), st.lif(half.float()))
    spikes.sum().backward()
    assert current.grad.abs().sum() > 0
    model = nn.Sequential(st.SeqToTime(nn.Conv2d(1, 4, 3)), st.Lif(), st.spiking_conv_block(4, 2))
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.rand(2, 3, 1, 8, 8)).sum().backward()


def test_batches_of_nothing_and_of_no_numbers():
    assert st.lif(torch.zeros(4, 0, 3)).shape == (4, 0, 3)
    block = st.spiking_conv_block(3, 4)
    before = block.bn.running_mean.clone()
    with pytest.raises(FloatingPointError, match="NaN"):
        block(torch.full((2, 1, 3, 5, 5), torch.nan))
    assert torch.equal(block.bn.running_mean, before)
    block.bn = nn.BatchNorm2d(4, affine=False)
    block(torch.rand(2, 1, 3, 5, 5)).sum().backward()
