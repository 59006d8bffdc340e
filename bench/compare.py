#!/usr/bin/env python3
"""Synfire beside PyTorch on the same networks, on this machine, in one run.

    cargo build --release
    python bench/compare.py                                     # the three released networks, all forms
    python bench/compare.py --case NET:BATCH:STEPS[:C,H,W] --forms eager --rounds 5

For each case it first checks that both compute the same thing: PyTorch writes one training step as a golden file,
`synfire verify` compares it, and the losses must agree within 1 %. No more can be asked of a deep network in single
precision: a rounding error flips a spike, which flips others behind it, so that PyTorch's own gradients in single and
double precision differ as much; exact agreement is what the golden files of small networks are for. Then the programs run in turn, a process each, for some rounds, so
that what else the machine does hits all of them. A record with every figure goes to bench/records/DATE.json, a
Markdown table to standard output. Ratios are those of medians over the rounds.
"""

import argparse
import datetime
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
FORMS = ["eager", "layerwise", "channels-last", "bf16"]
CASES = ["nmnist:16:16", "cifar10:16:8", "dvs:2:16"]


# How far the losses of one step may be apart, relative.
LOSS = 0.01


def line_of(command, codes=(0,)):
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if ran.returncode not in codes:
        sys.exit(f"{' '.join(map(str, command))}\nended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


class Case:
    def __init__(self, text, args):
        net, batch, steps, *shape = text.split(":")
        self.net, self.batch, self.steps, self.args = net, int(batch), int(steps), args
        self.shape = ["--input", *shape] if shape else []

    def sizes(self):
        return ["--net", self.net, "--batch-size", self.batch, "--time-steps", self.steps, *self.shape]

    def torch(self, *more):
        return line_of([self.args.python, HERE / "torch_forms.py", *self.sizes(), *more])

    def check(self):
        """The loss of one step of PyTorch's eager form is Synfire's; returns every difference that was found."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "step.safetensors"
            self.torch("--golden", file)
            # 1: a check exceeds the tolerance of golden files.
            lines = line_of([self.args.synfire, "verify", "--json", file], codes=(0, 1)).splitlines()
        differences = {check["check"]: check["difference"] for check in map(json.loads, lines)}
        if not differences["loss, relative"] <= LOSS:
            sys.exit(f"{self.net}: the two programs differ: {differences}")
        return differences

    def measure(self):
        programs = {"synfire": lambda: line_of([self.args.synfire, "bench", "--json", *self.sizes(),
                                                "--seconds", self.args.seconds])}
        for form in self.args.forms:
            programs[form] = lambda form=form: self.torch("--form", form, "--seconds", self.args.seconds)
        rounds = []
        for i in range(self.args.rounds):
            print(f"{self.net}: round {i + 1} of {self.args.rounds}", file=sys.stderr)
            rounds.append({name: json.loads(run()) for name, run in programs.items()})
        return rounds


def median(rounds, name, key):
    return statistics.median(one[name][key] for one in rounds)


def table(records):
    rows = ["| network, B, T | program | train samples/s (spread) | Synfire is | infer samples/s | Synfire is | peak MiB |",
            "|---|---|---|---|---|---|---|"]
    for record in records:
        rounds = record["rounds"]
        for name in rounds[0]:
            train, infer = (median(rounds, name, f"{what}_samples_per_s") for what in ["train", "infer"])
            all_train = [one[name]["train_samples_per_s"] for one in rounds]
            ratios = ["", ""] if name == "synfire" else [
                f"{median(rounds, 'synfire', f'{what}_samples_per_s') / value:.2f}x"
                for what, value in [("train", train), ("infer", infer)]]
            label = "**Synfire**" if name == "synfire" else f"PyTorch {name}"
            rows.append(
                f"| {record['net']}, {record['batch_size']}, {record['time_steps']} | {label} "
                f"| {train:.1f} ({min(all_train):.1f}–{max(all_train):.1f}) | {ratios[0]} | {infer:.1f} | {ratios[1]} "
                f"| {median(rounds, name, 'peak_rss_mib'):.0f} |")
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--case", action="append", metavar="NET:BATCH:STEPS[:C,H,W]")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each process trains, and infers")
    parser.add_argument("--synfire", default=HERE.parent / "target/release/synfire", metavar="PROGRAM")
    parser.add_argument("--python", default=sys.executable, help="a Python with torch and safetensors")
    parser.add_argument("--record", metavar="FILE", help="where to write the record")
    args = parser.parse_args()
    now = datetime.datetime.now(datetime.timezone.utc)
    records = []
    for case in (Case(text, args) for text in args.case or CASES):
        checks = case.check()
        records.append({"net": case.net, "batch_size": case.batch, "time_steps": case.steps,
                        "differences_of_one_step": checks, "rounds": case.measure()})
    record = {"date": now.isoformat(timespec="seconds"), "processor": processor(), "system": platform.platform(),
              "cases": records}
    path = pathlib.Path(args.record or HERE / f"records/{now:%Y-%m-%d-%H%M}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(table(records))


if __name__ == "__main__":
    main()
