# %% [markdown]
# # To other simulators, and to chips
#
# The Neuromorphic Intermediate Representation (NIR) is what simulators and tool chains of chips exchange. It has no ReLU in front of neurons and no max
# pooling: such a network is trained without them.

# %%
import tempfile
from pathlib import Path

import numpy as np

import synfire

samples, test = synfire.data.load("digits"), synfire.data.load("digits", "test")
net = synfire.Network(
    "16C3-AP2-32C3-AP2-VOTE5",
    samples.shape,
    samples.class_names,
    time_steps=8,
    relu=False,
    voter_method="stbp",
    loss="mse",
    precision="f32",
)
net.fit(*samples.arrays(), epochs=12)
print(f"test accuracy {net.evaluate(test).accuracy:.2%}")

# %%
path = Path(tempfile.mkdtemp()) / "digits.nir"
net.export_nir(path)
again = synfire.Network.import_nir(path)
X, y = test.arrays(range(20))
print(again, "answers the same:", np.array_equal(again.predict(X), net.predict(X)))

# %% [markdown]
# The same graph in SpikingJelly, if it is installed: step by step, with the state handed on.

# %%
try:
    import torch
    from spikingjelly.activation_based import nir_exchange
except ImportError:
    print("SpikingJelly is not installed")
else:
    model = nir_exchange.import_from_nir(str(path))
    state, total = None, torch.zeros(len(X), 10)
    with torch.no_grad():
        for _ in range(net.time_steps):
            rates, state = model(torch.from_numpy(X), state)
            total += rates
    answers = total.argmax(1).numpy()
    print(f"{(answers == net.predict(X)).sum()} of {len(X)} answers are the same")
