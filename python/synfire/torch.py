"""Modules for PyTorch whose forward and backward passes run Synfire's kernels, on the CPU in float32.

Tensors are time first, `[T, B, ...]`, and all time steps are one call: what `step_mode="m"` is in SpikingJelly. A module keeps no membrane potential
from call to call, so that there is nothing to reset.

    from torch import nn
    import synfire.torch as st
    net = nn.Sequential(
        st.spiking_conv_block(1, 32, pool=("max", 2)),
        st.spiking_conv_block(32, 64, pool=("average", 2)),
        st.SeqToTime(nn.Flatten()), st.SeqToTime(nn.Linear(64 * 7 * 7, 10)), st.Lif(),
    )
    rates = net(images.expand(T, *images.shape)).mean(0)
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.autograd.function import once_differentiable

from . import _synfire
from ._arrays import number

__all__ = ["Lif", "SeqToTime", "SpikingConvBlock", "lif", "spiking_conv_block"]

Neuron = tuple[str, float, float, float]
#: What autocast makes of some layers' output; the kernels compute in single precision.
HALF = (torch.bfloat16, torch.float16)


def _flat(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The values of a contiguous tensor in one row, without a copy."""
    return tensor.detach().reshape(-1).numpy()


def _tensor(values: np.ndarray[Any, Any], shape: Any) -> Tensor:
    """A tensor of the same memory. It is shaped before it is one: what is no view may be changed in place."""
    return torch.from_numpy(values.reshape(tuple(shape)))


def _check(x: Tensor, what: str) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"{what} is a {type(x).__name__}, expected a tensor")
    if x.device.type != "cpu":
        raise ValueError(f"{what} is on {x.device}; Synfire's kernels for PyTorch run on the CPU")
    if x.dtype not in (torch.float32, *HALF):
        raise TypeError(f"{what} is {x.dtype}, expected torch.float32")


class _Lif(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: Tensor, neuron: Neuron) -> Tensor:
        current = current.contiguous()
        spikes, membrane = torch.empty_like(current), torch.empty_like(current)
        _synfire.lif_forward(_flat(current), _flat(spikes), _flat(membrane), current.shape[0], neuron)
        ctx.neuron = neuron
        ctx.save_for_backward(membrane)
        return spikes

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator,unused-ignore]
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (membrane,), (grad,) = ctx.saved_tensors, grads
        error = torch.empty_like(membrane)
        _synfire.lif_backward(_flat(membrane), _flat(grad.contiguous()), _flat(error), grad.shape[0], ctx.neuron)
        return error, None


def lif(
    current: Tensor, method: str = "bpsta", threshold: float = 0.5, decay: float = 0.9, alpha: float = 0.2
) -> Tensor:
    """Spikes, 0 or 1, of leaky integrate-and-fire neurons for a current `[T, ...]` of float32.

    `method` decides how the error passes a spike: `bpsta`, `bpsa` or `stbp`. `threshold` is above 0, `decay` from 0 to 1, `alpha` 0 or more.
    A neuron whose current is NaN never fires. What autocast left in half precision is computed in single precision and returned as it came.

    Raises TypeError or ValueError if the tensor or a constant is none of these.
    """
    _check(current, "the current")
    if current.dim() < 1 or current.shape[0] == 0:
        raise ValueError(f"the current has shape {tuple(current.shape)}, expected time steps first")
    if current.numel() == 0:
        return current.clone()
    if current.dtype in HALF:
        return lif(current.float(), method, threshold, decay, alpha).to(current.dtype)
    spikes: Tensor = _Lif.apply(current, (method, threshold, decay, alpha))
    return spikes


class Lif(nn.Module):
    """A layer of leaky integrate-and-fire neurons: a current `[T, ...]` to spikes of the same shape.

    m[t] = decay·v[t-1] + I[t]; a spike where m reaches the threshold (`stbp`: passes it); v is then 0, else m. See `lif`.
    """

    def __init__(
        self, method: str = "bpsta", threshold: float = 0.5, decay: float = 0.9, alpha: float = 0.2
    ) -> None:
        super().__init__()
        self.method, self.threshold, self.decay, self.alpha = method, threshold, decay, alpha
        # Told here rather than in the first batch.
        one, two, three = np.zeros((3, 1), np.float32)
        _synfire.lif_forward(one, two, three, 1, (method, threshold, decay, alpha))

    def forward(self, current: Tensor) -> Tensor:
        return lif(current, self.method, self.threshold, self.decay, self.alpha)

    def extra_repr(self) -> str:
        return f"method={self.method!r}, threshold={self.threshold}, decay={self.decay}, alpha={self.alpha}"


class SeqToTime(nn.Module):
    """Runs a module that knows no time on every step of `[T, B, ...]`, as one batch."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.module(x.flatten(0, 1))
        return out.reshape(*x.shape[:2], *out.shape[1:])


def _channels_last(x: Tensor) -> Tensor:
    """`[T, B, C, H, W]` as contiguous `[T·B, H, W, C]`; without a copy where memory is in that order already."""
    return x.flatten(0, 1).permute(0, 2, 3, 1).contiguous()


class _Conv(torch.autograd.Function):
    """A convolution of channels-last frames."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, spikes: bool, bf16: bool) -> Tensor:
        frames, height, width, inputs = x.shape
        outputs, _, kernel, _ = weight.shape
        shape = (frames, height, width, inputs, outputs, kernel, stride, bf16)
        weight = weight.contiguous()
        y = _synfire.conv_forward(_flat(x), _flat(weight), _flat(bias), shape)
        ctx.save_for_backward(x, weight)
        ctx.shape, ctx.spikes = shape, spikes
        return _tensor(y, (frames, (height - 1) // stride + 1, (width - 1) // stride + 1, outputs))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator,unused-ignore]
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None, None]:
        x, weight = ctx.saved_tensors
        grad_x, grad_weight, grad_bias = _synfire.conv_backward(
            _flat(x), _flat(weight), _flat(grads[0].contiguous()), ctx.shape, ctx.needs_input_grad[0], ctx.spikes
        )
        error = None if grad_x is None else _tensor(grad_x, x.shape)
        return error, _tensor(grad_weight, weight.shape), torch.from_numpy(grad_bias), None, None, None


class _Block(torch.autograd.Function):
    """Batch norm with the statistics of this batch, ReLU, neurons and pooling of channels-last frames."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, gamma: Tensor, beta: Tensor, mean: Any, variance: Any, how: Any) -> Tensor:
        shape, neuron, eps, relu = how
        norm = (mean, variance, _flat(gamma), _flat(beta), eps, relu)
        y = _synfire.block_forward(_flat(z), norm, shape, neuron)
        ctx.save_for_backward(z, gamma, beta)
        ctx.statistics, ctx.how = (mean, variance), how
        steps, batch, height, width, channels, _, kind, side = shape
        side = 1 if kind == "none" else side
        return _tensor(y, (steps * batch, height // side, width // side, channels))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator,unused-ignore]
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        z, gamma, beta = ctx.saved_tensors
        shape, neuron, eps, relu = ctx.how
        norm = (*ctx.statistics, _flat(gamma), _flat(beta), eps, relu)
        grad_z, grad_gamma, grad_beta = _synfire.block_backward(
            _flat(z), norm, _flat(grads[0].contiguous()), shape, neuron
        )
        return _tensor(grad_z, z.shape), torch.from_numpy(grad_gamma), torch.from_numpy(grad_beta), None, None, None


class SpikingConvBlock(nn.Module):
    """Convolution, batch norm, ReLU, neurons and pooling: frames `[T, B, C, H, W]` to spikes, pooled or not, `[T, B, N, H', W']`.

    Its parameters and buffers are those of `conv` (`nn.Conv2d`) and `bn` (`nn.BatchNorm2d`), so that state dicts of a model with such modules fit.
    Memory between blocks is channels last, so that nothing is rearranged.

    - `pool`: `("max", 2)`, `("average", 2)` or None.
    - `method`, `threshold`, `decay`, `alpha`: the neurons'; see `lif`.
    - `relu`: whether a ReLU stands in front of them.
    - `norm`: statistics over all steps together (`joint`) or of each step (`per-step`).
    - `precision`: `f32`, or `bf16`: values are rounded to bf16 where they are multiplied, sums stay float32.
    - `spikes_in`: the input is spikes, pooled or not, of neurons of `bpsa` or `bpsta`, which ask for no error of a spike that they did not fire; the error
      of an input of 0 is then left out, which is faster.

    In `eval()` it is one kernel under `torch.no_grad()`; where gradients are asked for, batch norm and pooling are PyTorch's. `torch.func` is not
    supported.

    Raises TypeError or ValueError if an argument or the input is none of these, FloatingPointError if the statistics of a batch are not finite.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        *,
        pool: tuple[str, int] | None = None,
        method: str = "bpsta",
        threshold: float = 0.5,
        decay: float = 0.9,
        alpha: float = 0.2,
        relu: bool = True,
        norm: str = "joint",
        precision: str = "f32",
        spikes_in: bool = False,
    ) -> None:
        super().__init__()
        kernel_size, stride = number(kernel_size, "kernel_size", most=255), number(stride, "stride", most=64)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size = {kernel_size}: expected an odd number")
        if norm not in ("joint", "per-step"):
            raise ValueError(f"norm = {norm!r}: expected 'joint' or 'per-step'")
        if precision not in ("f32", "bf16"):
            raise ValueError(f"precision = {precision!r}: expected 'f32' or 'bf16'")
        kind, side = pool if pool is not None else ("none", 1)
        if kind not in ("none", "max", "average"):
            raise ValueError(f"pool = {pool!r}: expected ('max', side) or ('average', side)")
        side = number(side, "the side of pool", most=1024)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2)
        self.bn = nn.BatchNorm2d(out_channels)
        self.neurons = Lif(method, threshold, decay, alpha)
        self.kind, self.side, self.relu, self.norm, self.precision = kind, side, relu, norm, precision
        self.spikes_in = spikes_in

    def forward(self, x: Tensor) -> Tensor:
        _check(x, "the input")
        x = x.float()
        if x.dim() != 5:
            raise ValueError(f"the input has shape {tuple(x.shape)}, expected [T, B, C, H, W]")
        conv, bn, neurons = self.conv, self.bn, self.neurons
        if x.shape[2] != conv.in_channels:
            raise ValueError(f"the input has {x.shape[2]} channels, expected {conv.in_channels}")
        _check(conv.weight, "the weight")
        steps, batch = x.shape[:2]
        bias = conv.bias if conv.bias is not None else torch.zeros(conv.out_channels)
        # bpsa and bpsta ask for no error of a spike that was not fired.
        sparse = self.spikes_in and neurons.method != "stbp"
        z: Tensor = _Conv.apply(_channels_last(x), conv.weight, bias, conv.stride[0], sparse, self.precision == "bf16")
        _, height, width, channels = z.shape
        learns = bn.training or bn.running_mean is None or bn.running_var is None
        joint = self.norm == "joint" or not learns
        shape = (steps, batch, height, width, channels, joint, self.kind, self.side)
        neuron = (neurons.method, neurons.threshold, neurons.decay, neurons.alpha)
        how = (shape, neuron, bn.eps, self.relu)
        gamma = bn.weight if bn.affine else torch.ones(channels)
        beta = bn.bias if bn.affine else torch.zeros(channels)
        if learns:
            mean, variance = _synfire.block_statistics(_flat(z), shape)
            if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
                raise FloatingPointError("the input of the batch norm holds NaN or infinity, or its statistics overflow")
            if bn.training:
                self._learn(mean, variance, steps * batch * height * width // (mean.size // channels))
        else:
            running = cast(Tensor, bn.running_mean), cast(Tensor, bn.running_var)
            if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (z, gamma, beta)):
                y = self._frozen(steps, z, gamma, beta, *running)
                return y.reshape(steps, batch, *y.shape[1:])
            mean, variance = map(_flat, running)
        pooled: Tensor = _Block.apply(z, gamma, beta, mean, variance, how)
        return pooled.view(steps, batch, *pooled.shape[1:]).permute(0, 1, 4, 2, 3)

    def _frozen(self, steps: int, z: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """The block where errors are to pass back through running statistics: `[T·B, H, W, C]` to `[T·B, C, H', W']`, by PyTorch but for the neurons."""
        current = (z - mean) * (gamma / torch.sqrt(variance + self.bn.eps)) + beta
        current = F.relu(current) if self.relu else current
        spikes: Tensor = self.neurons(current.reshape(steps, -1))
        frames = spikes.reshape(current.shape).permute(0, 3, 1, 2)
        if self.kind == "none":
            return frames
        pool = F.max_pool2d if self.kind == "max" else F.avg_pool2d
        return pool(frames, self.side)

    def _learn(self, mean: Any, variance: Any, rows: int) -> None:
        """Moves the running statistics on, once for each of the batch's."""
        bn = self.bn
        if bn.running_mean is None or bn.running_var is None or bn.num_batches_tracked is None:
            return
        with torch.no_grad():
            unbiased = rows / max(rows - 1, 1)
            for m, v in zip(mean.reshape(-1, bn.num_features), variance.reshape(-1, bn.num_features)):
                bn.num_batches_tracked += 1
                # None is the mean of all batches, as in PyTorch.
                momentum = 1 / float(bn.num_batches_tracked) if bn.momentum is None else bn.momentum
                bn.running_mean.lerp_(torch.from_numpy(m), momentum)
                bn.running_var.lerp_(torch.from_numpy(v * unbiased), momentum)


#: The block by the name of a function, as layers are made.
spiking_conv_block = SpikingConvBlock
