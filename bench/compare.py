#!/usr/bin/env python3
"""Synfire beside PyTorch on the same networks, on this machine, in one run.

    cargo build --release
    python bench/compare.py                                     # the three released networks, all forms
    python bench/compare.py --precision f32                     # the same in single precision
    python bench/compare.py --checkpoint RUN[:BATCH:STEPS] --data-dir DIR    # trained weights on their test set
    python bench/compare.py --growth                            # Synfire alone: time and memory over T, B and threads
    python bench/compare.py --case NET:BATCH:STEPS[:C,H,W] --forms eager --rounds 5 --no-docs

For each case it first checks that both compute the same thing: PyTorch writes one training step as a golden file in single
precision, and `synfire verify` takes that step by the kernels that are timed, in single precision and in the precision that is
timed. The losses must agree within 1 %, in bf16 within 3 % or as far as PyTorch's own bf16 is from its single precision. No more
can be asked of a deep network: a rounding error flips a spike, which flips others behind it; exact agreement is what the golden
files of small networks are for. Then the programs run in turn, a process each, for some rounds, so that what else the machine
does hits all of them, and at last Synfire tells where its time goes. Ratios are those of medians over the rounds.

A record with every figure goes to bench/records/DATE-TABLE.json, its tables to standard output and to their places in
docs/performance.md.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import tables

HERE = pathlib.Path(__file__).resolve().parent
FORMS = ["eager", "layerwise", "channels-last", "bf16"]
CASES = ["nmnist:16:16", "cifar10:16:8", "dvs:2:16"]
# How far the losses of one step may be apart, relative, in single precision and in bf16.
LOSS, LOSS_BF16 = 0.01, 0.03
# How far the step that tells where time goes may be from the median of those that were measured, relative.
PROFILE = 0.15
# What grows: one of time steps, samples and threads at a time, from a case that is quick.
GROWING = "nmnist"
SMALL = {"time_steps": 8, "batch_size": 2, "threads": os.cpu_count()}
GROWTH = {"time_steps": [4, 8, 16, 32, 64], "batch_size": [1, 2, 4, 8, 16, 32], "threads": [1, 2]}


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


def commit():
    """What was measured, if it is known."""
    ran = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=HERE, capture_output=True, text=True)
    return ran.stdout.strip() or None


class Neighbours:
    """How much of the processor's time other programs took meanwhile: figures taken on a busy machine are no claim."""

    def __init__(self):
        self.began = self.seconds()

    @staticmethod
    def seconds():
        """Of all programs, of ours, and of the clock."""
        busy = pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:]
        # User, nice, system, and after idle and waiting: interrupts, and what the host took.
        ticks = sum(int(busy[i]) for i in [0, 1, 2, 5, 6, 7])
        ours = [resource.getrusage(who) for who in [resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN]]
        return ticks / os.sysconf("SC_CLK_TCK"), sum(one.ru_utime + one.ru_stime for one in ours), time.monotonic()

    def share(self):
        everyone, own, clock = (now - then for now, then in zip(self.seconds(), self.began))
        return max(0.0, everyone - own) / clock / os.cpu_count()


class Case:
    """A network with random weights on a random batch."""

    def __init__(self, text, args):
        net, batch, steps, *shape = text.split(":")
        self.args, self.name = args, net
        sizes = ["--net", net, "--batch-size", batch, "--time-steps", steps, *(["--input", *shape] if shape else [])]
        self.for_synfire = self.for_torch = sizes

    def torch(self, *more):
        return line_of([self.args.python, HERE / "torch_forms.py", *self.for_torch, *more])

    def synfire(self, *more):
        line = json.loads(line_of([
            self.args.synfire, "bench", "--json", *self.for_synfire, "--precision", self.args.precision,
            "--seconds", self.args.seconds, *more]))
        if "checkpoint" in line:
            # Not where it lies on this machine.
            line["checkpoint"] = pathlib.Path(line["checkpoint"]).name
        return line

    def check(self, folder):
        """The loss of one step of PyTorch's is Synfire's; returns every difference that was found."""
        file = folder / "golden.safetensors"
        own = json.loads(self.torch("--golden", file))
        found = {"PyTorch's bf16 from its single precision": own}
        for precision in dict.fromkeys(["f32", self.args.precision]):
            # 1: a check exceeds the tolerance of golden files.
            lines = line_of([self.args.synfire, "verify", "--json", "--precision", precision, file], codes=(0, 1))
            found[precision] = {check["check"]: check["difference"] for check in map(json.loads, lines.splitlines())}
            most = LOSS if precision == "f32" else max(LOSS_BF16, own["loss, relative"])
            if not found[precision]["loss, relative"] <= most:
                sys.exit(f"{self.name}: the two programs differ: {found}")
        return found

    def measure(self):
        programs = {"synfire": self.synfire}
        for form in self.args.forms:
            programs[form] = lambda form=form: json.loads(
                self.torch("--form", form, "--seconds", self.args.seconds))
        rounds = []
        for i in range(self.args.rounds):
            print(f"{self.name}: round {i + 1} of {self.args.rounds}", file=sys.stderr)
            rounds.append({name: run() for name, run in programs.items()})
        return rounds

    def record(self):
        with tempfile.TemporaryDirectory() as folder:
            checks, rounds = self.check(pathlib.Path(folder)), self.measure()
            return {"differences_of_one_step": checks, "rounds": rounds, "profile": self.profile(rounds)}

    def profile(self, rounds):
        """Where the time goes, of a step that is no slower than those that were measured."""
        median = statistics.median(one["synfire"]["train_samples_per_s"] for one in rounds)
        for _ in range(5):
            line = self.synfire("--profile")
            expected = 1e3 * line["batch_size"] / median
            if abs(line["profile"]["step_ms"] / expected - 1) <= PROFILE:
                return line
        sys.exit(f"{self.name}: profiled steps take {line['profile']['step_ms']:.0f} ms, others {expected:.0f} ms: a busy machine?")


class Trained(Case):
    """A run's weights on a batch of the test set that it was tested on, handed to PyTorch as a file."""

    def __init__(self, text, args):
        run, *sizes = text.rsplit(":", 2)
        self.args, self.name = args, run
        data = ["--data-dir", args.data_dir] if args.data_dir else []
        sizes = ["--batch-size", sizes[0], "--time-steps", sizes[1]] if sizes else []
        self.for_synfire = ["--checkpoint", run, *data, *sizes]

    def check(self, folder):
        file = folder / "step.safetensors"
        line_of([self.args.synfire, "bench", *self.for_synfire, "--save-step", file])
        self.for_torch = ["--step", file]
        return super().check(folder)


def growth(args):
    """Time and memory of training steps, with one size changed at a time."""
    found = []
    for what, values in GROWTH.items():
        for value in values:
            sizes = SMALL | ({"batch_size": 16} if what == "threads" else {}) | {what: value}
            print(f"growth: {what} {value}", file=sys.stderr)
            one = Case(f"{GROWING}:{sizes['batch_size']}:{sizes['time_steps']}", args)
            found.append({"grows": what} | one.synfire("--threads", sizes["threads"]))
    return found


def save(record, path=None, docs=True):
    """Writes a record, by default to its place in records, and prints its tables; into the docs too, if asked for."""
    path = pathlib.Path(path or HERE / f"records/{record['date'][:10]}-{record['table']}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    for name, text in tables.of(record).items():
        print(text, end="\n\n")
        if docs:
            tables.put(tables.DOCS, name, text)


def main():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--case", action="append", metavar="NET:BATCH:STEPS[:C,H,W]")
    parser.add_argument("--checkpoint", action="append", metavar="RUN[:BATCH:STEPS]",
                        help="a run of `synfire train`, in place of cases; sizes as it was trained with by default")
    parser.add_argument("--data-dir", metavar="DIR", help="where the run's data set lies")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--precision", choices=["auto", "f32"], default="auto")
    parser.add_argument("--forms", nargs="+", choices=FORMS, help="by default all, or what is fastest in f32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each process trains, and infers")
    parser.add_argument("--synfire", default=HERE.parent / "target/release/synfire", metavar="PROGRAM")
    parser.add_argument("--python", default=sys.executable, help="a Python with torch and safetensors")
    parser.add_argument("--record", metavar="FILE", help="where to write the record")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/performance.md as it is")
    args = parser.parse_args()
    args.forms = args.forms or (["channels-last"] if args.precision == "f32" else FORMS)

    name = "growth" if args.growth else "trained" if args.checkpoint else "speed"
    name += "-f32" if args.precision == "f32" else ""
    now = datetime.datetime.now(datetime.timezone.utc)
    record = {"table": name, "date": now.isoformat(timespec="seconds"), "commit": commit(), "processor": processor(),
              "cores": os.cpu_count(), "system": " ".join([platform.system(), platform.machine(), "".join(platform.libc_ver())]),
              "seconds": args.seconds}
    neighbours = Neighbours() if pathlib.Path("/proc/stat").exists() else None
    if args.growth:
        record["growth"] = growth(args)
    elif args.checkpoint:
        record["cases"] = [Trained(text, args).record() for text in args.checkpoint]
    else:
        record["cases"] = [Case(text, args).record() for text in args.case or CASES]
    record["others_share_of_processor"] = neighbours.share() if neighbours else None
    save(record, args.record, docs=not args.no_docs)


if __name__ == "__main__":
    main()
