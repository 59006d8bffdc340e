#!/usr/bin/env python3
"""Training speed of a BPSTA network in PyTorch on an NVIDIA GPU: what `synfire bench --device cuda` is compared with.

    python bench/torch_gpu.py --net nmnist --batch-size 64 --time-steps 16 --form eager
    python bench/torch_gpu.py --neurons 262144 --time-steps 4 16 --form spikingjelly

Forms:
  eager         one Python step per time step, single precision, as the paper's code does it (convolutions in TF32, PyTorch's default)
  bf16          each layer over all T·B frames at once, channels last, bf16 autocast
  compiled      the same by torch.compile with CUDA graphs: the fastest form we know of
  spikingjelly  as bf16, with SpikingJelly's LIF by its Triton kernels (another of SJ_LIF_CUDA_IMPLEMENTATION): the surrogate's gradient
Networks, input and what a step is are those of torch_forms.py; batch norm is over all T·B frames but for eager. Printed is a JSON line with
the samples per second of the median, slowest and fastest training step, and the peak of the GPU's memory, but for what the first steps
take to compile and to choose algorithms, which Synfire does not.

With --neurons there is a line for each number of time steps: the milliseconds of a layer of neurons alone, forward and backward in single
precision, by the loop, by the functions of a layer (compiled with CUDA graphs or not) or by SpikingJelly. The sum of spikes times errors,
from which Synfire's way back begins, is part of it here too.
"""

import argparse
import json
import os
import time

import torch
from torch.nn import functional as F

import torch_forms as forms


class TracedLif(torch.autograd.Function):
    """All time steps at once, without writing in place, so that the compiler sees through it."""

    @staticmethod
    def forward(ctx, current):
        held, potentials = torch.zeros_like(current[0]), []
        for now in current.unbind(0):
            potential = forms.DECAY * held + now
            held = torch.where(potential >= forms.THRESHOLD, 0.0, potential)
            potentials.append(potential)
        potentials = torch.stack(potentials)
        ctx.save_for_backward(potentials)
        return (potentials >= forms.THRESHOLD).to(current.dtype)

    @staticmethod
    def backward(ctx, grad):
        (potentials,) = ctx.saved_tensors
        error, errors = torch.zeros_like(potentials[0]), []
        for m, g in zip(reversed(potentials.unbind(0)), reversed(grad.unbind(0))):
            error = torch.where(m >= forms.THRESHOLD, (g + forms.DECAY * forms.ALPHA * error) / m, forms.DECAY * error)
            errors.append(error)
        return torch.stack(errors[::-1])


class Layerwise(forms.Net):
    """Each layer over all frames; nothing is kept in the modules."""

    def __init__(self, step, function):
        super().__init__(step.layers, step.shape, step.classes, step.steps, "bf16")
        self.function = function

    def forward(self, x):
        frames = x.transpose(0, 1) if x.dim() == 5 else x.unsqueeze(0).expand(self.steps, *x.shape)
        x = frames.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        for module in self.layers:
            if isinstance(module, forms.Lif):
                x = self.all_steps(x)
            elif isinstance(module, forms.Dropout):
                mask = F.dropout(torch.ones_like(x[: len(x) // self.steps]), module.p)
                x = (x.unflatten(0, (self.steps, -1)) * mask).flatten(0, 1)
            elif isinstance(module, forms.Integrator):
                x = stepwise(forms.Integrator(), x.unflatten(0, (self.steps, -1))).flatten(0, 1)
            else:
                x = module(x)
        return x.unflatten(0, (self.steps, -1)).mean(0)

    def all_steps(self, x):
        last = x.dim() == 4
        x = x.permute(0, 2, 3, 1) if last else x
        x = self.function(x.unflatten(0, (self.steps, -1))).flatten(0, 1)
        return x.permute(0, 3, 1, 2) if last else x


def spikingjelly_neurons(current):
    """SpikingJelly's over all steps. Its layer would keep bf16 potentials of bf16 currents, for which it has no kernels."""
    from spikingjelly.activation_based import functional, surrogate

    potential = torch.zeros(current.shape[1:], device=current.device)
    # Its own kernels know no rectangle.
    return functional.lif_multi_step(current, potential, 1 / (1 - forms.DECAY), False, forms.THRESHOLD, 0.0, surrogate.Sigmoid())[0]


def stepwise(neurons, current):
    """One step after the other, by neurons that hold nothing yet."""
    return torch.stack([neurons(now) for now in current])


def eager_neurons(current):
    return stepwise(forms.Lif(), current)


def all_steps(form):
    """The neurons of a form, over all steps."""
    return {"eager": eager_neurons, "bf16": forms.FusedLif.apply, "compiled": TracedLif.apply, "spikingjelly": spikingjelly_neurons}[form]


def build(step, form):
    if form == "eager":
        return step.net("eager")
    return Layerwise(step, all_steps(form)).to(memory_format=torch.channels_last)


def finished(args):
    if args.device == "cuda":
        torch.cuda.synchronize()


def told(args):
    """Of the machine, for every line."""
    cuda = args.device == "cuda"
    line = {"form": args.form, "torch": torch.__version__, "device": torch.cuda.get_device_name() if cuda else "cpu",
            "device_memory_mib": torch.cuda.max_memory_reserved() / 2**20 if cuda else None}
    if args.form == "spikingjelly":
        from spikingjelly.activation_based import functional

        line["implementation"] = functional.neuron_implementation("lif", torch.device(args.device))["implementation"]
    return line


def forget(args):
    """What compiling and choosing algorithms has taken is no part of the peak."""
    if args.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def neurons(args, steps):
    """A layer of neurons alone."""
    layer = all_steps(args.form)
    if args.form == "compiled":
        layer = torch.compile(layer, mode="reduce-overhead", dynamic=False)
    current = (torch.rand(steps, args.neurons, device=args.device) * 0.5).requires_grad_()
    error = torch.randn_like(current)

    def once():
        current.grad = None
        torch.compiler.cudagraph_mark_step_begin()
        (layer(current) * error).sum().backward()
        finished(args)

    for _ in range(3):
        once()
    forget(args)
    rates, times = forms.measure(args.seconds, 1, once)
    median, slowest, fastest = (1e3 / rate for rate in rates)
    print(json.dumps({"neurons": args.neurons, "time_steps": steps, "median_ms": median,
                      "slowest_fastest_ms": [slowest, fastest], "times": times} | told(args)), flush=True)


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--net", help="nmnist, cifar10, dvs or a layer string")
    what.add_argument("--neurons", type=int, help="so many neurons alone")
    parser.add_argument("--input", default=(1, 28, 28), metavar="C,H,W", help="for a layer string",
                        type=lambda text: tuple(int(n) for n in text.split(",")))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--time-steps", type=int, nargs="+", default=[16], help="several for neurons alone")
    parser.add_argument("--form", choices=["eager", "bf16", "compiled", "spikingjelly"], default="eager")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu to see that it runs")
    parser.add_argument("--seconds", type=float, default=5.0)
    args = parser.parse_args()
    os.environ.setdefault("SJ_LIF_CUDA_IMPLEMENTATION", "triton")
    torch.backends.cudnn.benchmark = True
    if args.neurons:
        for steps in args.time_steps:
            neurons(args, steps)
        return
    if len(args.time_steps) > 1:
        parser.error("--time-steps: a network has one number of them")
    [args.time_steps] = args.time_steps
    step = forms.Step(args)
    step.x, step.labels = step.x.to(args.device), step.labels.to(args.device)
    net = build(step, args.form).to(args.device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.0, weight_decay=1e-4, fused=args.form != "eager")
    half = torch.autocast(args.device, torch.bfloat16, enabled=args.form != "eager")

    def loss_of(x):
        with half:
            output = net(x)
        return step.loss(output.float())

    if args.form == "compiled":
        loss_of = torch.compile(loss_of, mode="reduce-overhead")

    def train():
        optimizer.zero_grad(set_to_none=True)
        if args.form == "compiled":
            torch.compiler.cudagraph_mark_step_begin()
        loss = loss_of(step.x)
        loss.backward()
        optimizer.step()
        value = loss.item()
        finished(args)
        return value

    begin = time.perf_counter()
    for _ in range(4):
        first = train()
    prepared = time.perf_counter() - begin
    forget(args)
    rates, steps = forms.measure(args.seconds, args.batch_size, train)
    print(json.dumps({
        "net": args.net, "batch_size": args.batch_size, "time_steps": args.time_steps, "train_samples_per_s": rates[0],
        "train_slowest_fastest": rates[1:], "train_steps": steps, "loss": first, "prepare_s": prepared,
    } | told(args)), flush=True)


if __name__ == "__main__":
    main()
