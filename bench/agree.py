#!/usr/bin/env python3
"""Whether PyTorch and Synfire, given the same network, recipe and data, come to the same accuracy.

    synfire compare mnist --data-dir DIR --train-samples 10000 --epochs 4 --net 16C3-MP2-32C3-AP2-LI10 -T 4 -b 64 \\
        --shift 0 --norm per-step --precision f32 --seeds 5 --out COMPARISON
    python bench/agree.py --mnist DIR/mnist --comparison COMPARISON

Trains in PyTorch, one Python step per time step, what the comparison's compare.toml says, once for each method and seed, and prints
both means with their standard deviations. Runs that were made before are in the comparison's pytorch.jsonl and not made again; with
--methods or --seeds several processes can each make some. Each program draws its own weights, order of samples and validation samples from a seed:
means can agree, runs cannot. The best epoch by validation is tested once, as Synfire does it.
"""

import argparse
import csv
import gzip
import json
import math
import statistics
import time
import tomllib
from pathlib import Path

import numpy as np
import torch
import torch_forms as forms
from torch import nn
from torch.nn import functional as F


def images(folder, part):
    def read(name):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.exists():
                return (gzip.open if path.suffix == ".gz" else open)(path, "rb").read()
        raise SystemExit(f"{folder} holds no {name}")

    pixels = np.frombuffer(read(f"{part}-images-idx3-ubyte"), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    labels = np.frombuffer(read(f"{part}-labels-idx1-ubyte"), np.uint8, offset=8)
    return torch.from_numpy(pixels.copy()).float() / 255, torch.from_numpy(labels.copy()).long()


def answers(net, x):
    net.eval()
    with torch.no_grad():
        return torch.cat([net(part) for part in x.split(250)])


def train(settings, method, seed, data):
    """The test accuracy of the best epoch by validation."""
    torch.manual_seed(seed)
    neuron = forms.Surrogate if method == "stbp" else forms.Lif
    forms.ALPHA = 0.2 if method == "bpsta" else 0.0
    own, forms.Lif = forms.Lif, neuron
    net = forms.Net(settings["net"], (1, 28, 28), 10, settings["time-steps"], "eager")
    forms.Lif = own
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    (x, y), (test_x, test_y) = data
    used = torch.arange(settings["train-samples"]) * len(x) // settings["train-samples"]
    order = used[torch.randperm(len(used))]
    held_back, rest = order[: len(order) // 10], order[len(order) // 10:]
    best, made = (-1.0, 0.0), list(net.layers)
    for epoch in range(settings["epochs"]):
        rate = 1e-3 * 0.5 * (1 + math.cos(math.pi * epoch / settings["epochs"]))
        for group in optimizer.param_groups:
            group["lr"] = rate
        net.train()
        for batch in rest[torch.randperm(len(rest))].split(settings["batch-size"]):
            optimizer.zero_grad()
            F.cross_entropy(net(x[batch]), y[batch]).backward()
            for module, after in zip(made, made[1:]):
                if isinstance(after, nn.BatchNorm2d):
                    module.bias.grad.zero_()  # Zero exactly; what stands there is rounding.
            optimizer.step()
        output = answers(net, x[held_back])
        score = ((output.argmax(1) == y[held_back]).float().mean().item(), -F.cross_entropy(output, y[held_back]).item())
        if score > best:
            best = score
            test = (answers(net, test_x).argmax(1) == test_y).float().mean().item()
    return test


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--mnist", type=Path, required=True, metavar="DIR", help="the four files of MNIST")
    parser.add_argument("--comparison", type=Path, required=True, metavar="DIR", help="what `synfire compare` made")
    parser.add_argument("--methods", nargs="+", help="make these runs alone")
    parser.add_argument("--seeds", nargs="+", type=int)
    args = parser.parse_args()
    comparison = tomllib.loads((args.comparison / "compare.toml").read_text())
    settings, seeds = comparison["settings"], comparison["seeds"]
    asked = {"dataset": "mnist", "shift": 0, "norm": "per-step", "precision": "f32"}
    free = {"net", "time-steps", "epochs", "batch-size", "train-samples", "data-dir"}
    other = {key: settings.get(key) for key, value in asked.items() if settings.get(key) != value}
    other |= {key: value for key, value in settings.items() if key not in free | asked.keys()}
    if other or [axis["key"] for axis in comparison["vary"]] != ["method"] or free - {"data-dir"} - settings.keys():
        raise SystemExit(f"{args.comparison}: this program trains {asked} and the settings {sorted(free)}, with the method varied "
                         f"alone; not {other}")
    rows = list(csv.DictReader((args.comparison / "results.csv").open()))
    data = [images(args.mnist, part) for part in ("train", "t10k")]
    percent = lambda values: f"{100 * statistics.mean(values):.2f} ± {100 * statistics.stdev(values):.2f}"
    made = args.comparison / "pytorch.jsonl"
    before = lambda: [json.loads(line) for line in made.read_text().splitlines()] if made.exists() else []
    methods = comparison["vary"][0]["values"]
    for method in args.methods or methods:
        for seed in args.seeds or seeds:
            if any((run["method"], run["seed"]) == (method, seed) for run in before()):
                continue
            begun = time.time()
            accuracy = train(settings, method, seed, data)
            run = {"method": method, "seed": seed, "test_accuracy": accuracy, "seconds": round(time.time() - begun, 1)}
            with made.open("a") as file:
                file.write(json.dumps(run) + "\n")
            print(json.dumps(run), flush=True)
    for method in methods:
        torchs = [run for run in before() if run["method"] == method]
        own = [row for row in rows if row["method"] == method]
        if min(len(own), len(torchs)) < len(seeds):
            print(f"{method}: {len(torchs)} runs of PyTorch and {len(own)} of Synfire of {len(seeds)} have a result")
            continue
        theirs = [run["test_accuracy"] for run in torchs]
        synfires = [float(row["test_accuracy"]) for row in own]
        apart = abs(statistics.mean(theirs) - statistics.mean(synfires))
        spread = max(statistics.stdev(theirs), statistics.stdev(synfires))
        print(json.dumps({
            "method": method, "seeds": len(seeds), "pytorch": percent(theirs), "synfire": percent(synfires),
            "apart": round(100 * apart, 2), "within one standard deviation": apart <= spread,
            "seconds of a run": {"pytorch": round(statistics.mean(run["seconds"] for run in torchs), 1),
                                 "synfire": round(statistics.mean(float(row["train_seconds"]) for row in own), 1)},
        }, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
