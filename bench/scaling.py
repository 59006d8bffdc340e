#!/usr/bin/env python3
"""How much faster ranks train together, on this machine.

    cargo build --release --features mpi && python bench/scaling.py

Each number of ranks trains the same network, one thread a rank, in turn, several times: with the same batch for all together (strong
scaling) and with as many samples for each (weak scaling). Prints samples a second of training, the median of all epochs but the first,
and the efficiency against one rank.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def speed(args, ranks, batch, samples, folder):
    """Samples a second in each epoch but the first, which starts threads and loads what is loaded once."""
    train = [args.synfire, "train", args.data, "--net", args.net, "-T", args.time_steps, "-b", batch, "--train-samples", samples,
             "--validation", 16, "--epochs", args.epochs, "--threads", 1, "--no-cache", "--out", folder, "-q", *args.more]
    command = ["mpirun", "-n", ranks, "--bind-to", "none", "--oversubscribe", *train] if ranks > 1 else train
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, env=os.environ | root)
    records = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [record["samples_per_s"] for record in records[1:]]


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--synfire", default=str(ROOT / "target/release/synfire"))
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--net", default="128C3-128C3-MP2-256C3-256C3-AP2-LI10")
    parser.add_argument("--time-steps", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--batches", type=int, default=8, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("more", nargs="*", help="further options of synfire train, behind --")
    args = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(args.repeats):
            for ranks in args.ranks:
                for kind, batch in (("strong", args.batch), ("weak", args.batch * ranks)):
                    out = Path(folder) / f"{repeat}-{ranks}-{kind}"
                    samples = batch * args.batches + 16
                    found.setdefault((kind, ranks), []).extend(speed(args, ranks, batch, samples, out))
    alone = {kind: statistics.median(found[kind, args.ranks[0]]) / args.ranks[0] for kind in ("strong", "weak")}
    for (kind, ranks), speeds in sorted(found.items()):
        median = statistics.median(speeds)
        print(json.dumps({"scaling": kind, "ranks": ranks, "batch of all": args.batch * (ranks if kind == "weak" else 1),
                          "samples_per_s": round(median, 2), "slowest": round(min(speeds), 2), "fastest": round(max(speeds), 2),
                          "efficiency": round(median / alone[kind] / ranks, 3)}))


if __name__ == "__main__":
    main()
