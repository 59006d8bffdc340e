#!/usr/bin/env python3
"""What scaling.py has measured, beside a model of a step's computation; and what the model says of many nodes.

    python bench/scaling_model.py scaling.jsonl

A step is computed layer by layer, forward and back, in the time that one rank was measured to take, shared out by multiply-accumulates.
Every batch norm adds up its statistics over the ranks, once on the way forward and once back, and waits for it. A layer's gradients go
into a bucket behind the layer's way back; full buckets are added up one after the other while the way back goes on, and what a batch norm
sends stands behind them. A step ends when the last bucket is there.

Adding up n bytes over P ranks takes the shorter of log2(P) (a + n/b) (doubling) and 2 (P - 1) (a + n / (P b)) (a ring); latency a and bandwidth
b are a network's. Over two ranks it is what it was measured to take for that size, of which a and b are not enough to tell: TCP is slow to
begin. What two ranks on one machine lose whatever the network, as they wait for the slower one and for threads that hand on messages, is
what the first network's steps took longer than the model's; the others are checked with it.
"""

import argparse
import json
import math
import statistics

BACKWARD = 2.0  # Of the forward pass' time: the errors of the input and of the weights.
MIB = 1 << 20
# Networks of clusters as they are sold: latency of a message through MPI in seconds, bandwidth in bytes a second.
CLUSTERS = {"1 Gbit Ethernet": (40e-6, 0.117e9), "10 Gbit Ethernet": (20e-6, 1.15e9), "100 Gbit InfiniBand": (2e-6, 12e9)}


class Measured:
    """Two ranks, and what they were measured to take for some sizes."""

    def __init__(self, times):
        self.times = sorted((int(size), time) for size, time in times.items())
        (small, self.latency), (large, longest) = self.times[0], self.times[-1]
        self.bandwidth = (large - small) / (longest - self.latency)

    def all_reduce(self, ranks, size):
        assert ranks == 2
        for (small, least), (large, most) in zip(self.times, self.times[1:]):
            if size <= large:
                return least + (most - least) * max(0, size - small) / (large - small)
        return self.times[-1][1] * size / self.times[-1][0]


class Point:
    """A network as it was measured, in several repeats."""

    def __init__(self, lines):
        self.name, self.batch = lines[0]["network"], lines[0]["batch"]
        self.sums = {size: statistics.median(line["all_reduce_s"][size] for line in lines) for size in lines[0]["all_reduce_s"]}
        self.steps = [line["step_s"] for line in lines]


class Network:
    """A network of so many seconds a message and bytes a second."""

    def __init__(self, latency, bandwidth):
        self.latency, self.bandwidth = latency, bandwidth

    def all_reduce(self, ranks, size):
        if ranks == 1:
            return 0.0
        doubling = math.ceil(math.log2(ranks)) * (self.latency + size / self.bandwidth)
        ring = 2 * (ranks - 1) * (self.latency + size / ranks / self.bandwidth)
        return min(doubling, ring)


def step(layers, seconds, network, ranks, *, sync_norm=True, bucket=MIB, value=4, steps=1):
    """Seconds of a step that takes one rank `seconds`, with gradients of `value` bytes each, of `steps` batches added up."""
    macs = sum(layer["macs"] for layer in layers)
    forward = [seconds / (1 + BACKWARD) * layer["macs"] / macs for layer in layers]
    norms = [layer["output"][0] if "C" in layer["layer"] and sync_norm else 0 for layer in layers]
    statistics = [network.all_reduce(ranks, 8 * (2 * channels + 1)) if channels else 0.0 for channels in norms]
    # Batches whose gradients are kept wait for their batch norms alone.
    now = (steps - 1) * (seconds + 2 * sum(statistics)) + sum(forward) + sum(statistics)
    sent, waiting = 0.0, 0
    for layer, time, norm in reversed(list(zip(layers, forward, statistics))):
        now += BACKWARD * time
        if norm:
            now = max(now, sent) + norm
        waiting += layer["parameters"] * value
        if waiting >= bucket:
            sent = max(sent, now) + network.all_reduce(ranks, waiting)
            waiting = 0
    if waiting:
        sent = max(sent, now) + network.all_reduce(ranks, waiting)
    return max(now, sent) + network.all_reduce(ranks, 40)


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("measured", help="what scaling.py has printed")
    args = parser.parse_args()
    with open(args.measured) as file:
        head, *lines = [json.loads(line) for line in file]
    layers = head["layers"]
    points = [Point([line for line in lines if line["network"] == name]) for name in dict.fromkeys(line["network"] for line in lines)]
    print("| network | latency, µs | bandwidth, MB/s | strong: measured | model | weak: measured | model |\n|---|---|---|---|---|---|---|")
    apart, lost = [], None
    for point in points:
        network, cells = Measured(point.sums), []
        for kind, alone in (("strong", "half"), ("weak", "whole")):
            # One rank's time for what two do together: half of it for the batch, or the whole.
            one = [run["whole"] / (2 if kind == "strong" else 1) for run in point.steps]
            measured = sorted(time / run[kind] for time, run in zip(one, point.steps))
            if lost is None:
                losses = (run[kind] / step(layers, run[alone], network, 2) - 1 for run in point.steps)
                lost = statistics.median(losses)
            modelled = statistics.median(
                time / step(layers, run[alone] * (1 + lost), network, 2) for time, run in zip(one, point.steps)
            )
            found = statistics.median(measured)
            if point is not points[0] or kind == "weak":
                apart.append(abs(modelled - found))
            cells += [f"{found:.2f} ({measured[0]:.2f}–{measured[-1]:.2f})", f"{modelled:.2f}"]
        print(f"| {point.name} | {network.latency * 1e6:.0f} | {network.bandwidth / 1e6:.0f} | {' | '.join(cells)} |")
    print(f"\nlost whatever the network: {lost:.0%} of a step's computation; largest difference {max(apart):.2f}, mean {sum(apart) / len(apart):.2f}\n")

    gradients = 4 * sum(layer["parameters"] for layer in layers)
    alone = statistics.median(run["whole"] for run in points[0].steps)
    batch = points[0].batch
    print(f"{gradients / MIB:.1f} MiB of gradients; a node takes {alone * 1000:.0f} ms for {batch} samples, or a tenth of it\n")
    nodes = [8, 32, 128, 512, 1024]
    print(f"| network | compute | what | {' | '.join(map(str, nodes))} |\n|---|---|---|{'---|' * len(nodes)}")
    variants = {
        "as it is": {},
        "norms of each rank": {"sync_norm": False},
        "gradients in bf16": {"value": 2},
        "buckets of 8 MiB": {"bucket": 8 * MIB},
        "4 batches a step": {"steps": 4},
    }
    for name, (latency, bandwidth) in CLUSTERS.items():
        network = Network(latency, bandwidth)
        for seconds, kinds in ((alone, ["as it is"]), (alone / 10, variants)):
            for what in kinds:
                settings = variants[what]
                times = [step(layers, seconds, network, ranks, **settings) for ranks in nodes]
                cells = [f"{settings.get('steps', 1) * seconds / time:.2f}" for time in times]
                print(f"| {name} | {seconds * 1000:.0f} ms | {what} | {' | '.join(cells)} |")

    whole = 4_096
    print(f"\n{whole} samples for all nodes together, a node as fast as ten times what was measured; how many times as fast as one node\n")
    print(f"| network | {' | '.join(map(str, nodes))} |\n|---|{'---|' * len(nodes)}")
    seconds = alone / 10 * whole / batch
    for name, (latency, bandwidth) in CLUSTERS.items():
        times = [step(layers, seconds / ranks, Network(latency, bandwidth), ranks) for ranks in nodes]
        print(f"| {name} | {' | '.join(f'{seconds / time:.0f}' for time in times)} |")


if __name__ == "__main__":
    main()
