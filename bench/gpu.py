#!/usr/bin/env python3
"""Synfire, PyTorch and SpikingJelly beside each other on one NVIDIA GPU.

    pip install torch safetensors spikingjelly
    cargo build --release --features cuda && python bench/gpu.py [--data-dir DIR] --out gpu.json

1. Results: `synfire verify` on the GPU, and a step of each of the paper's three networks as PyTorch takes it on the CPU, in single precision and
   bf16. If one is not as expected nothing is measured.
2. Training of these networks at the paper's batch sizes, in turn: Synfire in bf16, and PyTorch's forms (torch_gpu.py), one of them with
   SpikingJelly's neurons. Samples a second of the median step, and device memory.
3. A layer of neurons alone, forward and backward in single precision, T = 4 … 64.
4. With --data-dir, MNIST: test accuracy of the epoch that validation chose, of the paper's small network (its best on test is 99.67 %), by the
   paper's recipe and with another readout.

A round is all of 2 and 3, an estimated ten minutes on an H200 (it was never run there); 4 stands behind the first. Figures are medians over
the rounds. Each goes to --out as it is measured, so that a run that is cut off has kept what it had, in front the machine, versions and
commit; tables are printed at the end, and the exit status is 1 if a part failed. `--device cpu` runs all of it on small cases, to see that
it does.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from compare import LOSS, LOSS_BF16, commit

ROOT = Path(__file__).resolve().parent.parent
CASES = [("nmnist", 64, 16), ("cifar10", 128, 16), ("dvs", 16, 16)]
SMALL = [("8C3-MP2-VOTE10", 4, 4, "--input", "2,16,16")]
STEPS = [4, 8, 16, 32, 64]
FORMS = ["eager", "bf16", "compiled", "spikingjelly"]
# What is trained on MNIST: as the paper does, and its network with a readout that does not fall silent (docs/results.md).
ACCURACY = {
    "paper": ("--recipe", "paper", "--precision", "bf16", "--epochs", 5),
    "paper's network with LI10": ("--net", "128C3-MP2-128C3-256C3-MP2-2048FC-DP-LI10", "--batch-size", 128, "--epochs", 10),
}


class Bench:
    def __init__(self, args):
        self.args, self.cpu, self.records = args, args.device == "cpu", []
        self.cases = SMALL if self.cpu else CASES

    def keep(self, record):
        self.records.append(record)
        aside = self.args.out.with_suffix(".part")
        aside.write_text(json.dumps(self.records, indent=1))
        os.replace(aside, self.args.out)

    def machine(self):
        """What the figures are of."""

        def told(*command):
            try:
                done = subprocess.run(command, capture_output=True, text=True)
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
                "commit": commit(),
                "synfire": told(self.args.synfire, "--version"),
                "gpu": told("nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit", "--format=csv,noheader"),
                **{package: version(package) for package in ("torch", "triton", "spikingjelly")},
            }
        )

    def run(self, command, timeout, codes=(0,), **what):
        """The lines of JSON that a program prints; what fails or takes too long is noted down as that, beside what it had printed."""
        out, problem = "", None
        try:
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout)
            out = done.stdout
            if done.returncode not in codes or "{" not in out:
                problem = (done.stderr or out).strip()[-500:] or f"ended with {done.returncode} and no word"
        except subprocess.TimeoutExpired as late:
            out, problem = late.stdout or "", f"took more than {timeout} s"
            out = out if isinstance(out, str) else out.decode(errors="replace")
        except OSError as error:
            problem = str(error)
        print(f"{' '.join(str(value) for value in what.values())}: {problem or 'done'}", file=sys.stderr, flush=True)
        if problem:
            self.keep(what | {"failed": problem})
        # A line that was cut off is none.
        return [json.loads(line) for line in out.splitlines() if line.startswith("{") and line.endswith("}")]

    def measure(self, command, timeout, **what):
        """Keeps what a program prints of a measurement, or of several."""
        for line in self.run(command, timeout, **what):
            self.keep(what | ({"case": f"T = {line['time_steps']}"} if "neurons" in line else {}) | line)

    def synfire(self, *command):
        return [self.args.synfire, *command, "--device", self.args.device, "--json"]

    def torch(self, form, *command):
        return [sys.executable, ROOT / "bench/torch_gpu.py", "--device", self.args.device, "--form", form, *command]

    def verify(self, what, *files, **most):
        """Golden files on the device, in both precisions; the loss alone of a whole network, whose spikes rounding flips."""
        for precision in ("f32", "bf16"):
            record = {"part": "results", "case": what, "precision": precision}
            # 1: a check exceeds the tolerance of golden files.
            checks = self.run(self.synfire("verify", "--precision", precision, *files), 300, codes=(0, 1), **record)
            loss = next((check["difference"] for check in checks if check["check"] == "loss, relative"), float("nan"))
            fine = loss <= most[precision] if most else checks and all(check["passed"] for check in checks)
            if not fine:
                self.keep(record | {"failed": [check for check in checks if not check["passed"]] or "no results"})
                sys.exit(f"results of {what} in {precision} are not as expected, and nothing is measured; {self.args.out} says why")
            self.keep(record | {"checks": len(checks)} | ({"loss, relative": loss, "at most": most[precision]} if most else {}))

    def results(self):
        self.verify("golden files")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "golden.safetensors"
            for net, _, _, *shape in self.cases:
                step = (ROOT / "bench/torch_forms.py", "--net", net, "--batch-size", 4, "--time-steps", 4, *shape, "--golden", file)
                lines = self.run([sys.executable, *step], 300, part="results", case=net)
                if not lines:
                    sys.exit(f"PyTorch's step of {net} failed, and nothing is measured; {self.args.out} says why")
                for own in lines:
                    self.verify(f"{net}, 4, 4", file, f32=LOSS, bf16=max(LOSS_BF16, own["loss, relative"]))

    def all(self):
        args = self.args
        self.machine()
        self.results()
        time = ("--seconds", args.seconds)
        for round_ in range(args.rounds):
            for net, batch, steps, *shape in self.cases:
                case = ("--net", net, "--batch-size", batch, "--time-steps", steps, *shape, *time)
                what = {"part": "training", "case": f"{net}, {batch}, {steps}", "round": round_}
                self.measure(self.synfire("bench", *case, "--precision", "bf16"), 120, **what, program="synfire")
                for form in FORMS:
                    # The first time the compiler takes minutes.
                    self.measure(self.torch(form, *case), 400, **what, program=form)
            what = {"part": "neurons", "round": round_}
            case = ("--neurons", 4_096 if self.cpu else args.neurons, *time)
            for method in ("stbp", "bpsta"):
                for steps in STEPS:
                    command = self.synfire("bench", *case, "--time-steps", steps, "--method", method)
                    self.measure(command, 60, **what, program=f"synfire, {method}")
            for form in FORMS:
                self.measure(self.torch(form, *case, "--time-steps", *STEPS), 400, **what, program=form)
            if args.data_dir and round_ == 0:
                self.accuracy()

    def accuracy(self):
        for recipe, options in ACCURACY.items():
            with tempfile.TemporaryDirectory() as folder:
                options = ("--epochs", 1, "--train-samples", 200, "--validation", 100) if self.cpu else options
                train = self.synfire("train", "mnist", "--data-dir", self.args.data_dir, *options, "--out", f"{folder}/run")
                lines = self.run(train, 900, part="accuracy", case=f"mnist, {recipe}")
                for line in (line for line in lines if line["event"] == "finished"):
                    self.keep({"part": "accuracy", "case": f"mnist, {recipe}"} | line["summary"])

    def tables(self):
        """Medians over the rounds, and Synfire's share of the fastest form where all were measured."""
        heads = ["training: network, batch, T", "synfire", *FORMS, "synfire / fastest"]
        print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
        for case in self.cases_of("training"):
            found, cells, speeds = self.found("training", case), [], {}
            for program in ("synfire", *FORMS):
                runs = found.get(program)
                if not runs:
                    cells.append("failed")
                    continue
                speeds[program] = statistics.median(run["train_samples_per_s"] for run in runs)
                memory = max(run["device_memory_mib"] or run.get("peak_rss_mib") or 0 for run in runs)
                cells.append(f"{speeds[program]:,.0f} ({memory:,.0f} MiB)")
            own = speeds.pop("synfire", None)
            share = f"{own / max(speeds.values()):.2f}" if own and len(speeds) == len(FORMS) else "not all measured"
            print(f"| {case} | {' | '.join(cells)} | {share} |")
        programs = list(dict.fromkeys(record["program"] for record in self.records if record["part"] == "neurons"))
        heads = ["neurons alone, ms", *programs]
        print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
        for case in self.cases_of("neurons"):
            found = self.found("neurons", case)
            cells = [f"{statistics.median(r['median_ms'] for r in found[p]):.3f}" if p in found else "failed" for p in programs]
            print(f"| {case} | {' | '.join(cells)} |")
        for record in self.records:
            if record["part"] in ("machine", "results", "accuracy"):
                print(f"\n{record['part']}: {json.dumps({k: v for k, v in record.items() if k != 'part'})[:600]}")

    def cases_of(self, part):
        return dict.fromkeys(r["case"] for r in self.records if r["part"] == part and "case" in r)

    def found(self, part, case):
        found = {}
        for record in self.records:
            if (record["part"], record.get("case")) == (part, case) and "failed" not in record:
                found.setdefault(record["program"], []).append(record)
        return found


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--synfire", type=lambda path: str(Path(path).resolve()), default=str(ROOT / "target/release/synfire"))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--neurons", type=int, default=1 << 20)
    parser.add_argument("--data-dir", help="folder of data sets, for the accuracy")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    bench = Bench(args)
    bench.all()
    bench.tables()
    failed = sum("failed" in record for record in bench.records)
    if failed:
        sys.exit(f"{failed} parts failed; {args.out} says why")


if __name__ == "__main__":
    main()
