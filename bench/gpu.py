#!/usr/bin/env python3
"""Synfire, PyTorch and SpikingJelly beside each other on one NVIDIA GPU.

    pip install torch spikingjelly
    cargo build --release --features cuda && python bench/gpu.py [--data-dir DIR] --out gpu.json

1. `synfire verify` on the GPU, in single precision and bf16.
2. Training of the paper's three networks at its batch sizes, in turn: Synfire in bf16, PyTorch's eager form, its fastest, and its layers
   with SpikingJelly's neurons (torch_gpu.py). Samples a second of the median step, device memory, the medians of all rounds.
3. A layer of neurons alone, forward and backward in single precision, T = 4 … 64.
4. With --data-dir, MNIST by the default recipe: test accuracy of the epoch that validation chose.

Every figure goes to --out as it is measured, so that a run that is cut off has kept what it had, in front the machine, versions and commit; tables are
printed at the end, and the exit status is 1 if a part failed. `--device cpu` runs all of it on small cases, to see that it does.
"""

import argparse
import datetime
import importlib.metadata
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CASES = [("nmnist", 64, 16), ("cifar10", 128, 16), ("dvs", 16, 16)]
SMALL = [("8C3-MP2-VOTE10", 4, 4)]
FORMS = ["eager", "compiled", "spikingjelly"]


class Bench:
    def __init__(self, args):
        self.args, self.cpu, self.records = args, args.device == "cpu", []

    def keep(self, record):
        self.records.append(record)
        self.args.out.write_text(json.dumps(self.records, indent=1))

    def machine(self):
        """What the figures are of."""

        def told(*command):
            try:
                done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
            except OSError:
                return None
            return done.stdout.strip() if done.returncode == 0 else None

        def version(package):
            try:
                return importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                return None

        self.keep(
            {
                "part": "machine",
                "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                "commit": told("git", "describe", "--always", "--dirty", "--abbrev=12"),
                "synfire": told(self.args.synfire, "--version"),
                "gpu": told("nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit", "--format=csv,noheader"),
                **{package: version(package) for package in ("torch", "triton", "spikingjelly")},
            }
        )

    def run(self, command, timeout, **what):
        """The last line of JSON that a program prints; what fails or takes too long is noted down as that."""
        try:
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout)
            lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
            told = (done.stderr or done.stdout).strip()[-500:]
            problem = None if done.returncode == 0 and lines else told or f"ended with {done.returncode} and no word"
        except subprocess.TimeoutExpired:
            problem = f"took more than {timeout} s"
        except OSError as error:
            problem = str(error)
        record = what | ({"failed": problem} if problem else json.loads(lines[-1]))
        print(f"{' '.join(str(value) for value in what.values())}: {problem or 'measured'}", file=sys.stderr, flush=True)
        self.keep(record)

    def synfire(self, *command):
        return [self.args.synfire, *command, "--device", self.args.device, "--json"]

    def torch(self, form, *command):
        return [sys.executable, ROOT / "bench/torch_gpu.py", "--device", self.args.device, "--form", form, *command]

    def all(self):
        args = self.args
        self.machine()
        for precision in ("f32", "bf16"):
            self.run(self.synfire("verify", "--precision", precision), 300, part="verify", form=precision)
        time = ("--seconds", args.seconds)
        forms = [form for form in FORMS if not (self.cpu and form == "compiled")]
        for round_ in range(args.rounds):
            for net, batch, steps in SMALL if self.cpu else CASES:
                case = ("--net", net, "--batch-size", batch, "--time-steps", steps, *time)
                case += ("--input", "2,16,16") if self.cpu else ()
                what = {"part": "training", "case": f"{net}, {batch}, {steps}", "round": round_}
                self.run(self.synfire("bench", *case, "--precision", "bf16"), 120, **what, program="synfire")
                for form in forms:
                    # The first time the compiler takes minutes.
                    self.run(self.torch(form, *case), 400, **what, program=form)
        for round_ in range(args.rounds):
            for steps in (4, 8, 16, 32, 64):
                case = ("--neurons", 4_096 if self.cpu else args.neurons, "--time-steps", steps, *time)
                what = {"part": "neurons", "case": f"T = {steps}", "round": round_}
                for method in ("stbp", "bpsta"):
                    self.run(self.synfire("bench", *case, "--method", method), 60, **what, program=f"synfire, {method}")
                for form in forms:
                    self.run(self.torch(form, *case), 200, **what, program=form)
        if args.data_dir:
            with tempfile.TemporaryDirectory() as folder:
                train = ("train", "mnist", "--data-dir", args.data_dir, "--epochs", args.epochs, "--out", f"{folder}/run")
                self.run(self.synfire(*train), 600, part="accuracy", case="mnist")

    def tables(self):
        """Medians over the rounds, and Synfire's share of the fastest form."""
        heads = ["training: network, batch, T", "synfire", *FORMS, "synfire / fastest"]
        print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
        for case in dict.fromkeys(record["case"] for record in self.records if record["part"] == "training"):
            found = self.found("training", case)
            speeds = {program: statistics.median(r["train_samples_per_s"] for r in runs) for program, runs in found.items()}
            memory = {program: runs[0]["device_memory_mib"] or runs[0].get("peak_rss_mib") or 0 for program, runs in found.items()}
            cells = [f"{speeds[p]:,.0f} ({memory[p]:,.0f} MiB)" if p in speeds else "failed" for p in ("synfire", *FORMS)]
            others = [speed for program, speed in speeds.items() if program != "synfire"]
            share = f"{speeds['synfire'] / max(others):.2f}" if others and "synfire" in speeds else "–"
            print(f"| {case} | {' | '.join(cells)} | {share} |")
        programs = list(dict.fromkeys(record["program"] for record in self.records if record["part"] == "neurons"))
        heads = ["neurons alone, ms", *programs]
        print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
        for case in dict.fromkeys(record["case"] for record in self.records if record["part"] == "neurons"):
            found = self.found("neurons", case)
            cells = [f"{statistics.median(r['median_ms'] for r in found[p]):.3f}" if p in found else "failed" for p in programs]
            print(f"| {case} | {' | '.join(cells)} |")
        for record in self.records:
            if record["part"] in ("machine", "verify", "accuracy"):
                print(f"\n{record['part']}: {json.dumps({k: v for k, v in record.items() if k != 'part'})[:600]}")

    def found(self, part, case):
        found = {}
        for record in self.records:
            if (record["part"], record.get("case")) == (part, case) and "failed" not in record:
                found.setdefault(record["program"], []).append(record)
        return found


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--synfire", default=str(ROOT / "target/release/synfire"))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--neurons", type=int, default=1 << 20)
    parser.add_argument("--data-dir", help="folder of data sets, for the accuracy")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    bench = Bench(args)
    bench.all()
    bench.tables()
    failed = sum("failed" in record for record in bench.records)
    if failed:
        sys.exit(f"{failed} of {len(bench.records) - 1} parts failed; {args.out} says why")


if __name__ == "__main__":
    main()
