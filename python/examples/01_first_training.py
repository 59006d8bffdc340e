# %% [markdown]
# # A first spiking network
#
# Handwritten digits of 8x8 pixels are shown to a network for four time steps; neurons answer with spikes.

# %%
import matplotlib.pyplot as plt
import numpy as np

import synfire

samples = synfire.data.load("digits")
X, y = samples.arrays()  # [N, 1, 8, 8] from 0 to 1, and the digits
test = synfire.data.load("digits", "test")
print(samples, "and", len(test), "to test on")

# %% [markdown]
# Two convolutions of 16 and 32 channels, each with batch norm, ReLU, neurons and pooling, and ten leaky integrators per class. A tenth of the samples
# is held back and chooses the best epoch.

# %%
net = synfire.Network("16C3-AP2-32C3-AP2-LI10", samples.shape, samples.class_names, time_steps=4, method="bpsta")
net.fit(X, y, epochs=12)
result = net.evaluate(test)
print(f"test accuracy {result.accuracy:.2%}, after each time step {result.accuracy_after.round(3)}")

# %% [markdown]
# Loss and accuracy over the epochs, and the firing rate of each layer.

# %%
figure, (loss, rates) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
epochs = [record["epoch"] for record in net.history_]
loss.plot(epochs, [record["train_loss"] for record in net.history_], label="training")
loss.plot(epochs, [record["validation_loss"] for record in net.history_], label="validation")
loss.set(xlabel="epoch", title="loss")
loss.legend()
for layer in net.history_[0]["firing_rates"]:
    rates.plot(epochs, [record["firing_rates"][layer] for record in net.history_], label=layer)
rates.set(xlabel="epoch", title="spikes per neuron and time step")
rates.legend()

# %% [markdown]
# The spikes that one digit sets off in the first layer: neurons below each other, time to the right.

# %%
x, label = test[0]
spikes = net.spikes(x[None])["layers.3"][:, 0].reshape(net.time_steps, -1)  # [T, neurons]
figure, (image, raster) = plt.subplots(1, 2, figsize=(7, 3), width_ratios=(1, 2), layout="constrained")
image.imshow(x[0], cmap="gray")
image.set_title(f"a {label}, taken for a {net.predict(x[None])[0]}")
steps, neurons = np.nonzero(spikes)
raster.scatter(steps, neurons, s=1)
raster.set(xlabel="time step", ylabel="neuron", title=f"{int(spikes.sum())} spikes", xticks=range(net.time_steps))
plt.show()
