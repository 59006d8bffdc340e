#!/usr/bin/env python3
"""Training speed of a BPSTA network in PyTorch, in four forms: what Synfire is compared with.

    python bench/torch_forms.py --net nmnist --batch-size 16 --time-steps 16 --form eager
    python bench/torch_forms.py --step STEP.safetensors --form bf16
    python bench/torch_forms.py … --golden FILE.safetensors

Forms:
  eager           one Python step per time step, batch norm for each step on its own, as the paper's code does it
  layerwise       each layer over all T·B frames at once, batch norm over all of them, all steps of a neuron layer in
                  one autograd function
  channels-last   the same in the memory format that oneDNN is fastest in: the fastest form in single precision
  bf16            the same under autocast: the fastest form we know of

The first two uses print a JSON line: samples per second of the median, slowest and fastest training step (forward,
loss, backward, AdamW with a learning rate of 0, so that the weights stay), inference, and peak memory. The input is what
`synfire bench` takes: event frames of 5 % ones where there are two channels, uniform still images otherwise; with --step
weights, batch and loss are those that `synfire bench --save-step` wrote. The last use writes one step without dropout as
a golden file, by which `synfire verify` checks that both compute the same thing: of the eager form, or of the layerwise
one where batch norm is to be over all steps. It prints how far PyTorch's own bf16 is from its single precision there.
"""

import argparse
import json
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

NETS = {
    "nmnist": ("128C3-MP2-128C3-MP2-256C3-AP2-512C3-AP4-DP-VOTE10", (2, 34, 34), 10),
    "cifar10": ("128C3-128C3-MP2-128C3-MP2-256C3-MP2-512C3-AP4-VOTE10", (3, 32, 32), 10),
    "dvs": ("128C3-128C3-MP2-128C3-MP2-256C3-MP2-512C3-AP2-1024C3-AP4-DP-VOTE10", (2, 64, 64), 11),
}
FORMS = ["eager", "layerwise", "channels-last", "bf16"]
THRESHOLD, DECAY, ALPHA = 0.5, 0.9, 0.2


class Neuron(nn.Module):
    """What it holds from one time step to the next is forgotten before each batch."""

    held = None

    def reset(self):
        self.held = None


class Rectangle(torch.autograd.Function):
    """A step whose derivative is 1 within half of the threshold."""

    @staticmethod
    def forward(ctx, distance):
        ctx.save_for_backward(distance)
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, grad):
        (distance,) = ctx.saved_tensors
        return grad * (distance.abs() < 0.5)


class Surrogate(Neuron):
    """A neuron of stbp: the error passes the spike and the reset by the surrogate."""

    def forward(self, current):
        potential = current if self.held is None else DECAY * self.held + current
        spike = Rectangle.apply(potential - THRESHOLD)
        self.held = potential * (1 - spike)
        return spike


class Lif(Neuron):
    """One time step a call: fires at the threshold and resets to zero; the error passes by bpsta's rule."""

    def forward(self, current):
        potential = current if self.held is None else DECAY * self.held + current
        fired = potential >= THRESHOLD
        zero = torch.zeros_like(potential)
        # Worth 1 where it fired; its derivative there is one over the potential.
        spike = torch.where(fired, potential / torch.where(fired, potential.detach(), zero + 1), zero)
        # Worth nothing, but lets the error pass the reset with weight alpha.
        self.held = torch.where(fired, zero, potential) + ALPHA * (spike - spike.detach())
        return spike


class SpikingJelly(nn.Module):
    """SpikingJelly's LIF over all steps, [T, ...] to spikes; its decay is 1 - 1/tau."""

    def __init__(self, surrogate_function):
        super().__init__()
        from spikingjelly.activation_based import functional, neuron

        self.reset = functional.reset_net
        self.lif = neuron.LIFNode(tau=1 / (1 - DECAY), decay_input=False, v_threshold=THRESHOLD, v_reset=0.0,
                                  surrogate_function=surrogate_function, step_mode="m")

    def forward(self, current):
        self.reset(self.lif)
        return self.lif(current)


class FusedLif(torch.autograd.Function):
    """All time steps at once: current [T, ...] to spikes [T, ...]."""

    @staticmethod
    def forward(ctx, current):
        potential = torch.empty_like(current)
        held = torch.zeros_like(current[0])
        for t, now in enumerate(current):
            torch.add(now, held, alpha=DECAY, out=potential[t])
            held = torch.where(potential[t] >= THRESHOLD, 0.0, potential[t])
        ctx.save_for_backward(potential)
        return (potential >= THRESHOLD).to(current.dtype)

    @staticmethod
    def backward(ctx, grad):
        (potential,) = ctx.saved_tensors
        out, error = torch.empty_like(potential), torch.zeros_like(potential[0])
        for t in reversed(range(len(potential))):
            m = potential[t]
            error = torch.where(m >= THRESHOLD, (grad[t] + DECAY * ALPHA * error) / m, DECAY * error)
            out[t] = error
        return out


class Integrator(Neuron):
    """Membrane potential without threshold or reset."""

    def forward(self, current):
        self.held = current if self.held is None else DECAY * self.held + current
        return self.held


class Dropout(nn.Module):
    """One mask a batch, shared by all time steps."""

    def __init__(self, p):
        super().__init__()
        self.p, self.mask = p, None

    def reset(self):
        self.mask = None

    def forward(self, x, steps=1):
        if not self.training or self.p == 0:
            return x
        if self.mask is None:
            self.mask = F.dropout(torch.ones_like(x[: len(x) // steps]), self.p)
        return (x.unflatten(0, (steps, -1)) * self.mask).flatten(0, 1)


class Vote(nn.Module):
    def __init__(self, voters):
        super().__init__()
        self.voters = voters

    def forward(self, x):
        return x.unflatten(1, (-1, self.voters)).mean(2)


def modules(layers, shape, classes, dropout):
    """The modules of a layer string, in the order that Synfire numbers them in."""
    c, h, w = shape
    made, flat = [], False

    def flatten():
        nonlocal c, h, w, flat
        if not flat:
            made.append(nn.Flatten())
            c, h, w, flat = c * h * w, 1, 1, True

    for token in layers.split("-"):
        if token.endswith("C3"):
            n = int(token[:-2])
            made += [nn.Conv2d(c, n, 3, padding=1), nn.BatchNorm2d(n), nn.ReLU(), Lif()]
            c = n
        elif token[:2] in ("MP", "AP"):
            k = int(token[2:])
            made.append({"MP": nn.MaxPool2d, "AP": nn.AvgPool2d}[token[:2]](k))
            h, w = h // k, w // k
        elif token == "DP":
            if made and isinstance(made[-1], (nn.MaxPool2d, nn.AvgPool2d)):
                flatten()
            made.append(Dropout(0.5 if dropout else 0.0))
        elif token.endswith("FC"):
            flatten()
            n = int(token[:-2])
            made += [nn.Linear(c, n), nn.ReLU(), Lif()]
            c = n
        elif token.startswith(("VOTE", "LI")):
            flatten()
            fires = token.startswith("VOTE")
            n = int(token.removeprefix("VOTE").removeprefix("LI"))
            made += [nn.Linear(c, n * classes), Lif() if fires else Integrator(), Vote(n)]
        else:
            raise SystemExit(f"no layer {token!r} here")
    return nn.Sequential(*made)


class Net(nn.Module):
    def __init__(self, layers, shape, classes, steps, form, dropout=True):
        super().__init__()
        self.layers, self.steps, self.form = modules(layers, shape, classes, dropout), steps, form

    def forward(self, x):
        """Still images [B, C, H, W] or event frames [B, T, C, H, W] to the mean output [B, classes]."""
        for module in self.layers:
            if hasattr(module, "reset"):
                module.reset()
        frames = x if x.dim() == 5 else x.unsqueeze(1).expand(-1, self.steps, -1, -1, -1)
        if self.form == "eager":
            return sum(self.layers(frames[:, t]) for t in range(self.steps)) / self.steps
        x = frames.transpose(0, 1).flatten(0, 1).contiguous()
        if self.form != "layerwise":
            x = x.contiguous(memory_format=torch.channels_last)
        for module in self.layers:
            if isinstance(module, Lif):
                x = self.all_steps(x)
            elif isinstance(module, Integrator):
                x = torch.cat([module(part) for part in x.chunk(self.steps)])
            elif isinstance(module, Dropout):
                x = module(x, self.steps)
            else:
                x = module(x)
        return x.unflatten(0, (self.steps, -1)).mean(0)

    def all_steps(self, x):
        # The function walks memory in order, whatever the format.
        last = x.dim() == 4 and self.form != "layerwise"
        x = x.permute(0, 2, 3, 1) if last else x
        x = FusedLif.apply(x.unflatten(0, (self.steps, -1))).flatten(0, 1)
        return x.permute(0, 3, 1, 2) if last else x


class Step:
    """Network, weights, batch and loss of a training step."""

    def __init__(self, args):
        self.layers, self.shape, self.classes = NETS.get(args.net, (args.net, args.input, 10))
        self.steps, self.norm = args.time_steps, "per-step"
        self.loss_name = "mse" if "-VOTE" in self.layers else "cross-entropy"
        b, t = args.batch_size, args.time_steps
        torch.manual_seed(0)
        self.x = (torch.rand(b, t, *self.shape) < 0.05).float() if self.shape[0] == 2 else torch.rand(b, *self.shape)
        self.labels, self.state = torch.randint(0, self.classes, (b,)), {}

    @classmethod
    def read(cls, path):
        """What `synfire bench --save-step` wrote."""
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            config = json.loads(file.metadata()["config"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        own = {"method": "bpsta", "threshold": THRESHOLD, "decay": DECAY, "alpha": ALPHA, "relu": True}
        other = {key: config[key] for key, value in own.items() if config[key] not in (value, as_f32(value))}
        if other or config["loss"] not in ("mse", "cross-entropy"):
            raise SystemExit(f"{path}: no form here is {other or config['loss']}")
        self = cls.__new__(cls)
        self.layers, self.shape, self.classes = config["layers"], config["shape"], config["classes"]
        self.steps, self.norm, self.loss_name = config["time_steps"], config["norm"], config["loss"]
        self.x, self.labels = tensors["input"], tensors["label"].long()
        self.state = {name.split(".", 1)[1]: value for name, value in tensors.items()
                      if name.startswith(("param.", "buffer."))}
        return self

    def net(self, form, dropout=True):
        net = Net(self.layers, self.shape, self.classes, self.steps, form, dropout)
        if self.state:
            missing, unknown = net.load_state_dict(self.state, strict=False)
            if unknown or not all(name.endswith("num_batches_tracked") for name in missing):
                raise SystemExit(f"the weights are another network's: {missing} missing, {unknown} unknown")
        return net

    def loss(self, output):
        if self.loss_name == "mse":
            return F.mse_loss(output, F.one_hot(self.labels, self.classes).to(output.dtype))
        return F.cross_entropy(output, self.labels)


def as_f32(value):
    """A constant as a file has it that keeps single precision."""
    return torch.tensor(value).item() if isinstance(value, float) else value


def one_step(step, form):
    """Loss and gradients without dropout."""
    net = step.net(form, dropout=False)
    with torch.autocast("cpu", torch.bfloat16, enabled=form == "bf16"):
        output = net(step.x)
    loss = step.loss(output.float())
    loss.backward()
    # Those of biases in front of a batch norm are rounding alone.
    return loss.item(), {name: value.grad.flatten().double() for name, value in net.named_parameters() if value.dim() > 1}


def own_difference(step):
    """How far PyTorch in bf16 is from PyTorch in single precision: in loss, and in the weights' gradients at most."""
    (loss, gradients), (other_loss, others) = one_step(step, "layerwise"), one_step(step, "bf16")
    angles = [1 - F.cosine_similarity(gradients[name], others[name], dim=0).item() for name in gradients]
    return {"loss, relative": abs(other_loss - loss) / abs(loss), "gradients, 1 - cosine, at most": max(angles)}


def measure(seconds, batch, step):
    step()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return [batch / t for t in (statistics.median(times), max(times), min(times))], len(times)


def golden(path, step):
    """Writes one training step without dropout as a golden file."""
    from safetensors.torch import save_file

    net = step.net("layerwise" if step.norm == "joint" else "eager", dropout=False)
    for module in net.layers:
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()  # Where those of a golden file begin.
    tensors = {f"param.{name}": value.detach().clone() for name, value in net.named_parameters()}
    output = net(step.x)
    loss = step.loss(output)
    loss.backward()
    made = list(net.layers)
    for module, after in zip(made, made[1:]):
        if isinstance(after, nn.BatchNorm2d):
            module.bias.grad.zero_()  # Zero exactly; what stands there is rounding.
    tensors |= {f"grad.{name}": value.grad for name, value in net.named_parameters()}
    tensors |= {f"buffer_after_forward.{name}": value for name, value in net.named_buffers() if value.dim() > 0}
    tensors |= {"input": step.x, "label": step.labels.float(), "output": output.detach(),
                "loss": loss.detach().reshape(1)}
    config = {"layers": step.layers, "shape": step.shape, "classes": step.classes, "time_steps": step.steps,
              "method": "bpsta", "threshold": THRESHOLD, "decay": DECAY, "alpha": ALPHA, "lr": 1e-3,
              "weight_decay": 1e-4, "norm": step.norm, "loss": step.loss_name}
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    save_file(tensors, path, metadata={"kind": "network", "config": json.dumps(config)})


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--net", help="nmnist, cifar10, dvs or a layer string")
    which.add_argument("--step", metavar="FILE", help="what `synfire bench --save-step` wrote")
    parser.add_argument("--input", default=(1, 28, 28), metavar="C,H,W", help="for a layer string",
                        type=lambda text: tuple(int(n) for n in text.split(",")))
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--time-steps", type=int, default=16)
    parser.add_argument("--form", choices=FORMS, default="eager")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to train, and to infer")
    parser.add_argument("--golden", metavar="FILE")
    args = parser.parse_args()
    step = Step.read(args.step) if args.step else Step(args)
    if args.golden:
        golden(args.golden, step)
        print(json.dumps(own_difference(step)))
        return

    net = step.net(args.form)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.0, weight_decay=1e-4)
    half = torch.autocast("cpu", torch.bfloat16, enabled=args.form == "bf16")

    def train():
        optimizer.zero_grad()
        with half:
            output = net(step.x)
        step.loss(output.float()).backward()
        optimizer.step()

    def infer():
        with torch.inference_mode(), half:
            net(step.x)

    b = len(step.labels)
    trained, steps = measure(args.seconds, b, train)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    net.eval()
    inferred, _ = measure(args.seconds, b, infer)
    print(json.dumps({
        "net": args.net or args.step, "batch_size": b, "time_steps": step.steps, "form": args.form,
        "torch": torch.__version__, "threads": torch.get_num_threads(), "train_samples_per_s": trained[0],
        "train_slowest_fastest": trained[1:], "train_steps": steps, "infer_samples_per_s": inferred[0],
        "infer_slowest_fastest": inferred[1:], "peak_rss_mib": peak,
    }))


if __name__ == "__main__":
    main()
