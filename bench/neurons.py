#!/usr/bin/env python3
"""How fast a layer of neurons is in PyTorch on this machine's CPU: Synfire's `Lif`, SpikingJelly's multi-step LIF, and a loop of eager steps.

    pip install . torch spikingjelly && python bench/neurons.py

Forward and backward pass of float32 currents [T, B, C, H, W], in turn, the median of several; results are compared first: the same neurons
(threshold, decay, hard reset) with the surrogate's gradient, whose rectangle all three have. Prints a table and, with --json, lines.
"""

import argparse
import json
import statistics
import time

import torch
from spikingjelly.activation_based import surrogate
from torch import nn

import synfire.torch as st
from torch_forms import DECAY, THRESHOLD, SpikingJelly, Surrogate


class Eager(nn.Module):
    """The neurons one step after the other."""

    def forward(self, current):
        neurons = Surrogate()
        return torch.stack([neurons(step) for step in current])


def once(layer, current, weight):
    """Seconds of a forward and backward pass, its spikes and its gradient."""
    x = current.clone().requires_grad_()
    start = time.perf_counter()
    spikes = layer(x)
    (spikes * weight).sum().backward()
    return time.perf_counter() - start, spikes.detach(), x.grad


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 8, 16, 32, 64], help="time steps")
    parser.add_argument("--shape", type=int, nargs=4, default=[16, 64, 16, 16], metavar=("B", "C", "H", "W"))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    layers = {"synfire": st.Lif("stbp", THRESHOLD, DECAY), "spikingjelly": SpikingJelly(surrogate.Rect(alpha=1.0)), "eager": Eager()}
    if not args.json:
        print(f"{'T':>4}" + "".join(f"{name:>16}" for name in layers) + f"{'spikingjelly/':>16}{'eager/':>10}")
    for steps in args.steps:
        current = torch.rand(steps, *args.shape) * 0.5
        weight = torch.randn_like(current)
        spikes, grads, taken = {}, {}, {name: [] for name in layers}
        for _ in range(args.repeats):
            for name, layer in layers.items():
                seconds, spikes[name], grads[name] = once(layer, current, weight)
                taken[name].append(seconds)
        for name in layers:
            other = (spikes[name] != spikes["synfire"]).float().mean().item()
            apart = (grads[name] - grads["synfire"]).abs()
            far = (apart > 1e-3).float().mean().item()
            # Another order of rounding moves a potential over the threshold now and then, and what follows with it.
            if not (other <= 1e-4 and far <= 1e-3):
                raise SystemExit(f"{name} does something else: {other:.2%} of spikes, {far:.2%} of gradients differ")
        median = {name: statistics.median(seconds) * 1e3 for name, seconds in taken.items()}
        ratios = {name: median[name] / median["synfire"] for name in layers}
        if args.json:
            print(json.dumps({"time_steps": steps, "neurons": current[0].numel(), "ms": median, "ratios": ratios}))
        else:
            print(
                f"{steps:>4}" + "".join(f"{value:>13.1f} ms" for value in median.values())
                + f"{ratios['spikingjelly']:>15.1f}x{ratios['eager']:>9.1f}x"
            )


if __name__ == "__main__":
    main()
