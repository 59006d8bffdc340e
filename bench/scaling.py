#!/usr/bin/env python3
"""How much faster two ranks train together than one, over several networks, and what those networks do.

    pip install numpy mpi4py
    cargo build --release --features mpi && python bench/scaling.py > scaling.jsonl && python bench/scaling_model.py scaling.jsonl

One rank and two train the same network, one thread a rank, in turn, several times: with the same batch for all together (strong scaling)
and with as many samples for each (weak scaling). Networks are `memory` (Open MPI's own choice on one machine), `loopback` (TCP), and
links between two network namespaces by their bandwidth and delay, `1gbit`, `1gbit+1ms`, `link` for one that is not slowed down: these
need root. Each network's time to add up so many bytes over both ranks is measured beside it.

Each network has a line in every repeat, with the seconds a step: `half` and `whole` of one rank with half the batch and the batch,
`strong` and `weak` of two with the batch and twice the batch.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from namespaces import Link

ROOT = Path(__file__).resolve().parent.parent
UNITS = {"gbit": 1e9, "mbit": 1e6, "ms": 1e-3, "us": 1e-6}
SIZES = [8, 2_048, 65_536, 1 << 18, 1 << 20, 1 << 22]
ENVIRONMENT = os.environ | ({"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {})


@contextlib.contextmanager
def network(name):
    """The beginning of a command that starts two processes with that network between them."""
    here = ["mpirun", "-n", "2", "--oversubscribe", "--bind-to", "none"]
    if name == "memory":
        yield here
    elif name == "loopback":
        yield [*here, "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "lo"]
    else:
        values = [] if name == "link" else [re.fullmatch(r"([\d.]+)([a-z]+)", part) for part in name.split("+")]
        if not all(value and value[2] in UNITS for value in values) or len(values) > 2:
            raise SystemExit(f"unknown network {name}, expected memory, loopback, link or one such as 1gbit or 1gbit+1ms")
        rate, delay = [float(value[1]) * UNITS[value[2]] for value in values] + [0.0] * (2 - len(values))
        with Link(rate, delay) as link:
            yield [*link.mpirun(), "--bind-to", "none"]


def all_reduce():
    """One of two processes that add up arrays; the first prints how long each size takes, seconds.

    Each sum begins where the one before it ended, or one process could be ahead and its values there already.
    """
    import numpy as np
    from mpi4py import MPI

    world, found = MPI.COMM_WORLD, {}
    for size in SIZES:
        values = np.ones(size // 4, np.float32)
        sums = np.empty_like(values)

        def several(number):
            begun = time.monotonic()
            for _ in range(number):
                world.Allreduce(values, sums)
            return (time.monotonic() - begun) / number

        once = several(3)
        number = world.bcast(max(5, min(1000, int(0.3 / once))))
        found[size] = statistics.median(several(number) for _ in range(5))
    if world.rank == 0:
        print(json.dumps(found))


def epochs(args, launcher, batch, folder):
    """Seconds a step in each epoch but the first, which starts threads and loads what is loaded once.

    Without a launcher of one rank, while another trains for itself beside it: two nodes share no caches and no memory, these do.
    """
    train = [args.synfire, "train", args.data, "--net", args.net, "-T", args.time_steps, "-b", batch, "--train-samples",
             batch * args.batches + 16, "--validation", 16, "--epochs", args.epochs, "--threads", 1, "--no-cache", "--out", folder,
             "-q", *args.more]
    command = [str(part) for part in [*launcher, *train]]
    beside = [] if launcher else [f"{folder}-beside" if part == str(folder) else part for part in command]
    with subprocess.Popen(beside or ["true"], stdout=subprocess.DEVNULL) as other:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
        if other.wait() != 0:
            raise SystemExit(f"{beside} failed")
    records = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [batch / record["samples_per_s"] for record in records[1:]]


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--synfire", default=str(ROOT / "target/release/synfire"))
    parser.add_argument("--networks", nargs="+", default=["memory", "loopback", "link", "1gbit", "100mbit", "1gbit+1ms"])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--net", default="128C3-128C3-MP2-256C3-256C3-AP2-LI10")
    parser.add_argument("--time-steps", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--batches", type=int, default=8, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--all-reduce", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("more", nargs="*", help="further options of synfire train, behind --")
    args = parser.parse_args()
    if args.all_reduce:
        return all_reduce()
    shape = [args.synfire, "net", "describe", args.net, "--json", "--input", "1,8,8"]
    lines = subprocess.run(shape, check=True, capture_output=True, text=True).stdout.splitlines()
    print(json.dumps({"net": args.net, "time_steps": args.time_steps, "layers": [json.loads(line) for line in lines[:-1]]}))
    kinds = (("half", 1, args.batch // 2), ("strong", 2, args.batch), ("whole", 1, args.batch), ("weak", 2, 2 * args.batch))
    with tempfile.TemporaryDirectory() as folder:
        # Networks in turn, since a machine's speed drifts; what is compared with each other stands in one line.
        for repeat in range(args.repeats):
            for name in args.networks:
                with network(name) as launcher:
                    worker = [*launcher, sys.executable, str(Path(__file__).resolve()), "--all-reduce"]
                    sums = subprocess.run(worker, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout
                    times = {}
                    for kind, ranks, batch in kinds:
                        out = Path(folder) / f"{name}-{repeat}-{kind}"
                        times[kind] = statistics.median(epochs(args, launcher if ranks > 1 else [], batch, out))
                line = {"network": name, "all_reduce_s": json.loads(sums), "batch": args.batch, "step_s": times}
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
