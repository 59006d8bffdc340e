# %% [markdown]
# # Faster neurons in a model of PyTorch
#
# `synfire.torch` has modules whose forward and backward passes run Synfire's kernels on the CPU. First the neurons alone, then whole blocks.

# %%
import time

import torch
from torch import nn
from torch.nn import functional as F

import synfire
import synfire.torch as st

torch.manual_seed(0)


class Eager(nn.Module):
    """The same neurons, one step of Python at a time."""

    def forward(self, current):
        v, out = torch.zeros_like(current[0]), []
        for step in current:
            m = 0.9 * v + step
            fired = m >= 0.5
            s = torch.where(fired, m / torch.where(fired, m.detach(), torch.ones_like(m)), torch.zeros_like(m))
            v = torch.where(fired, torch.zeros_like(m), m) + 0.2 * (s - s.detach())
            out.append(s)
        return torch.stack(out)


def seconds(neurons, current):
    """The fastest of three forward and backward passes."""
    taken = []
    for _ in range(3):
        x = current.clone().requires_grad_()
        start = time.perf_counter()
        neurons(x).sum().backward()
        taken.append(time.perf_counter() - start)
    return min(taken)


current = torch.rand(16, 16, 64, 16, 16)  # [T, B, C, H, W]
own, eager = seconds(st.Lif(), current), seconds(Eager(), current)
print(f"{current.numel():,} neurons and steps, forward and backward: {own * 1e3:.1f} ms, eager {eager * 1e3:.1f} ms")

# %% [markdown]
# A model of blocks: its parameters are PyTorch's, its optimiser and its loss too.

# %%
X, y = synfire.data.load("digits").arrays()
X, y = torch.from_numpy(X), torch.from_numpy(y)
model = nn.Sequential(
    st.spiking_conv_block(1, 16, pool=("max", 2)),
    st.spiking_conv_block(16, 32, pool=("average", 2), spikes_in=True),
    st.SeqToTime(nn.Flatten()),
    st.SeqToTime(nn.Linear(128, 10)),
)
optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
for epoch in range(5):
    total = 0.0
    for batch in torch.randperm(len(X)).split(64):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X[batch].expand(4, -1, -1, -1, -1)).mean(0), y[batch])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    print(f"epoch {epoch + 1}: loss {total / len(X):.3f}")

# %%
X_test, y_test = (torch.from_numpy(part) for part in synfire.data.load("digits", "test").arrays())
model.eval()
with torch.no_grad():
    right = model(X_test.expand(4, -1, -1, -1, -1)).mean(0).argmax(1) == y_test
print(f"test accuracy {right.float().mean():.2%}")
