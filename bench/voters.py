#!/usr/bin/env python3
"""The tables of docs/results.md on voting neurons, from what experiments.sh has made of one set.

    python bench/voters.py OUT/voters-mnist OUT/integrators-mnist

Accuracy by readout, method and loss, with the share of training samples of whose class no voter fired, in the first and the last epoch;
and the norm of the gradient that reaches each layer with weights in the first epoch, means over the seeds.
"""

import argparse
import csv
import json
import statistics
from pathlib import Path

LOSSES, METHODS = ("mse", "cross-entropy"), ("stbp", "bpsa", "bpsta")


def runs(folder):
    """Each run's values, test accuracy and epochs."""
    with open(folder / "results.csv") as file:
        for row in csv.DictReader(file):
            lines = (folder / "runs" / row["run"] / "metrics.jsonl").read_text().splitlines()
            readout = row.get("voter-method", "integrators")
            yield (readout, row["method"], row["loss"]), 100 * float(row["test_accuracy"]), [json.loads(line) for line in lines]


def mean(values):
    return sum(values) / len(values)


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("comparisons", nargs="+", type=Path)
    args = parser.parse_args()
    found = {}
    for folder in args.comparisons:
        for key, accuracy, epochs in runs(folder):
            found.setdefault(key, []).append((accuracy, epochs))

    def cell(key):
        if key not in found:
            return "–"
        accuracies = [accuracy for accuracy, _ in found[key]]
        spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
        silent = [[100 * (epochs[at].get("silent_voters") or 0.0) for _, epochs in found[key]] for at in (0, -1)]
        told = "" if key[0] == "integrators" else f" ({mean(silent[0]):.1f}, {mean(silent[1]):.1f})"
        return f"{mean(accuracies):.2f} ± {spread:.2f}{told}"

    print("| hidden layers | loss | voters learn as they do | voters learn by the surrogate | `LI10` |\n|---|---|---|---|---|")
    for method in METHODS:
        for loss in LOSSES:
            surrogate = "the same" if method == "stbp" else cell(("stbp", method, loss))
            print(f"| {method} | {loss} | {cell(('same', method, loss))} | {surrogate} | {cell(('integrators', method, loss))} |")
    layers = list(next(iter(found.values()))[0][1][0]["gradient_norms"])
    # Of a convolution and its batch norm, the convolution.
    layers = sorted(layers, key=lambda name: int(name.split(".")[1]))
    layers = [name for i, name in enumerate(layers) if int(name.split(".")[1]) != int(layers[i - 1].split(".")[1]) + 1 or i == 0]
    print(f"\n| gradient in the first epoch | {' | '.join(layers)} |\n|---{'|---' * len(layers)}|")
    for readout, told in (("same", "its own voters"), ("stbp", "surrogate voters"), ("integrators", "`LI10`")):
        for method in METHODS:
            for loss in LOSSES:
                if (readout, method, loss) in found and not (readout == "stbp" and method == "stbp"):
                    norms = [mean([epochs[0]["gradient_norms"].get(name, float("nan")) for _, epochs in found[readout, method, loss]])
                             for name in layers]
                    print(f"| {method}, {loss}, {told} | {' | '.join(f'{norm:.2g}' for norm in norms)} |")


if __name__ == "__main__":
    main()
