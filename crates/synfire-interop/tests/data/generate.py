#!/usr/bin/env python3
"""Writes the files of PyTorch that tests/pytorch.rs reads, and what their network answers.

    pip install torch safetensors && python generate.py

The network is laid out as the released BPSTA networks are: a list `fun` of all modules, neurons with threshold and decay as
parameters, a checkpoint with the state dict under `network` beside that of the optimiser. What it answers is computed here step by
step, in double precision.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
STEPS, DECAY, THRESHOLD = 5, 0.8, 0.6


class Neuron(nn.Module):
    def __init__(self):
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(THRESHOLD), requires_grad=False)
        self.decay = nn.Parameter(torch.tensor(DECAY), requires_grad=False)
        self.potential = 0.0

    def forward(self, current):
        potential = self.potential + current
        spike = (potential >= self.threshold).to(current.dtype)
        self.potential = DECAY * potential * (1 - spike)
        return spike


class Net(nn.Module):
    """6C3-MP2-5C3-AP2-DP-VOTE2 for three classes, on frames of 2x8x8."""

    def __init__(self):
        super().__init__()
        self.fun = nn.ModuleList([
            nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), Neuron(), nn.MaxPool2d(2),
            nn.Conv2d(6, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), Neuron(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Dropout(), nn.Linear(20, 6), Neuron(),
        ])

    def forward(self, frames):
        outputs = []
        for frame in frames:
            for module in self.fun:
                frame = module(frame)
            outputs.append(frame.unflatten(1, (3, 2)).mean(2))
        return torch.stack(outputs)


def main():
    torch.manual_seed(1)
    net = Net()
    with torch.no_grad():
        for name, value in net.named_parameters():
            if "bias" in name:
                value += 0.2
        net.fun[12].weight *= 3
        for norm in (net.fun[1], net.fun[6]):
            norm.running_mean.uniform_(-0.1, 0.1)
            norm.running_var.uniform_(0.2, 0.5)
            norm.weight.uniform_(0.7, 1.3)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad])
    sum(p.sum() for p in net.parameters() if p.requires_grad).backward()
    optimizer.step()
    net.eval()
    checkpoint = {"network": net.state_dict(), "epoch": 3, "optimizer": optimizer.state_dict(), "best_acc": 0.5}
    torch.save(checkpoint, HERE / "released.pt")
    torch.save(net.state_dict(), HERE / "legacy.pt", _use_new_zipfile_serialization=False)
    frames = torch.rand(STEPS, 1, 2, 8, 8)
    with torch.no_grad():
        answers = net.double()(frames.double())
    assert 0.1 < answers.mean() < 0.9, "voters fire, and not always"
    save_file({"frames": frames, "answers": answers.float()}, HERE / "answers.safetensors")


if __name__ == "__main__":
    main()
