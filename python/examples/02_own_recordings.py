# %% [markdown]
# # Recordings of your own
#
# A folder with a subfolder for each class is a data set. Here a simulated event camera makes the recordings; files of a real one (AEDAT, EVT, DAT, …)
# are taken as they are.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import synfire
from synfire import events

folder = Path(tempfile.mkdtemp()) / "turning"
for gesture in ("clockwise", "anticlockwise", "nearing", "receding"):
    (folder / gesture).mkdir(parents=True)
    for seed in range(30):
        events.simulate(gesture, seed=seed).write(folder / gesture / f"{seed:02}.aedat4")

# %% [markdown]
# What is in a file, and what the network will see of it: events counted into frames, one a time step.

# %%
first = folder / "clockwise" / "00.aedat4"
print(events.info(first))
recording = events.read(first)
print(recording[:3], recording.sensor_size, events.problems(recording))
frames = recording.to_frames(time_steps=8)  # [T, 2, H, W]
figure, axes = plt.subplots(1, 8, figsize=(12, 2), layout="constrained")
for t, axis in enumerate(axes):
    axis.imshow(frames[t, 1] - frames[t, 0], cmap="RdBu", vmin=-2, vmax=2)
    axis.set_axis_off()
    axis.set_title(f"step {t + 1}")

# %% [markdown]
# Four fifths of each class are for training, the rest for the test.

# %%
samples = synfire.data.load(str(folder), time_steps=8, frame_size="32x32", downsampling="sum")
test = synfire.data.load(str(folder), "test", time_steps=8, frame_size="32x32", downsampling="sum")
print(samples, len(test), samples.class_names)
net = synfire.Network("16C3-MP2-32C3-MP2-32C3-AP2-LI10", samples.shape[1:], samples.class_names, time_steps=8)
net.fit(samples, epochs=15, batch_size=8)
result = net.evaluate(test)
print(f"test accuracy {result.accuracy:.2%} of {result.samples} recordings")
print(np.array(samples.class_names), result.confusion, sep="\n")
plt.show()
