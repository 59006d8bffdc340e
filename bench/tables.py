#!/usr/bin/env python3
"""The tables of docs/performance.md from the records of compare.py.

    python bench/tables.py bench/records/DATE-TABLE.json…       # writes them anew
"""

import json
import pathlib
import re
import statistics
import sys

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs/performance.md"


def of(record):
    """Each table of a record by its name, with a line that says what was measured where and when."""
    where = f"{record['processor']}, {record['cores']} cores, {record['date'][:10]}"
    others = record["others_share_of_processor"]
    where += "" if others is None else f", other programs took {percent(others)} of the processor meanwhile"
    if "rates" in record:
        peers = ", ".join(f"{name} {version}" for name, version in record["peers"].items())
        return {record["table"]: f"{where}; {peers}.\n\n{rates(record['rates'])}{preprocessing(record)}"}
    if "growth" in record:
        return {record["table"]: f"{where}; {record['seconds']:g} s each.\n\n{growth(record['growth'])}"}
    rounds = [case["rounds"] for case in record["cases"]]
    torch = next(one["torch"] for one in rounds[0][0].values() if "torch" in one)
    said = f"{where}, PyTorch {torch}; rounds of {record['seconds']:g} s each: {len(rounds[0])}."
    found = {record["table"]: f"{said}\n\n{notes(record)}{checked(record)}{speed(rounds)}",
             f"{record['table']}-kernels": f"{where}.\n\n{kernels([case['profile'] for case in record['cases']])}"}
    return found


def put(docs, name, text):
    """Puts a table between its markers, if the document has them."""
    old = docs.read_text()
    place = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    docs.write_text(place.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", old))


def markdown(heads, rows):
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows])


def label(line):
    # A layer string is too long for a table; what it was trained on names it too.
    net = line["net"] if line["net"].isalnum() else f"net for {line['dataset']}"
    return f"{net}, {line['batch_size']}, {line['time_steps']}"


def notes(record):
    """What is known of trained weights."""
    lines = [case["profile"] for case in record["cases"] if "checkpoint" in case["profile"]]
    return "".join(
        f"{label(line)}: {'' if line['net'].isalnum() else line['net'] + ', '}trained on {line['dataset']}, test accuracy {percent(line['test_accuracy'])}; density of the "
        f"convolutions' inputs {', '.join(percent(one['share']) for one in line['input_density'])}.\n\n"
        for line in lines)


def checked(record):
    """How far the losses of one step are apart, over the cases."""
    def most(which):
        return max(case["differences_of_one_step"][which]["loss, relative"] for case in record["cases"])

    timed = f", as it is timed by {100 * most('auto'):.1f} %" if "auto" in record["cases"][0]["differences_of_one_step"] else ""
    own = most("PyTorch's bf16 from its single precision")
    return (f"The loss of one step differs by {100 * most('f32'):.4f} % in single precision{timed}; PyTorch's bf16 from its single "
            f"precision by {100 * own:.1f} %, each at most.\n\n")


def percent(share):
    return "not known" if share is None else f"{100 * share:.1f} %"


def speed(cases):
    heads = ["network, B, T", "program", "train samples/s (spread)", "Synfire is", "infer samples/s", "Synfire is",
             "peak MiB", "of Synfire's"]
    rows = []
    for rounds in cases:
        train, infer, peak = medians(rounds, "synfire")
        for name in rounds[0]:
            own_train, own_infer, own_peak = medians(rounds, name)
            all_train = [one[name]["train_samples_per_s"] for one in rounds]
            program, ratios = f"**Synfire {rounds[0]['synfire']['precision']}**", ["", "", ""]
            if name != "synfire":
                program = f"PyTorch {name}"
                ratios = [f"{ratio:.2f}x" for ratio in [train / own_train, infer / own_infer, own_peak / peak]]
            rows.append([label(rounds[0]["synfire"]), program,
                         f"{own_train:.1f} ({min(all_train):.1f}–{max(all_train):.1f})", ratios[0],
                         f"{own_infer:.1f}", ratios[1], f"{own_peak:.0f}", ratios[2]])
    return markdown(heads, rows)


def medians(rounds, name):
    keys = ["train_samples_per_s", "infer_samples_per_s", "peak_rss_mib"]
    return [statistics.median(one[name][key] for one in rounds) for key in keys]


def kernels(lines):
    heads = ["network, B, T", "kernel", "calls", "ms a step", "of the step", "GFLOP/s", "of the peak"]
    rows = []
    for line in lines:
        profile = line["profile"]
        for kernel in profile["kernels"]:
            rate = [f"{kernel['gflops']:.0f}", percent(kernel["share_of_peak"])] if kernel["gflops"] else ["", ""]
            rows.append([label(line), kernel["kernel"], f"{kernel['calls']:.0f}", f"{kernel['ms']:.1f}",
                         percent(kernel["ms"] / profile["step_ms"]), *rate])
        rows.append([label(line), "whole step; peak", "", f"{profile['step_ms']:.1f}", "",
                     f"{profile['peak_gflops']:.0f}", ""])
    return markdown(heads, rows)


def growth(lines):
    names = {"time_steps": "T", "batch_size": "B", "threads": "threads"}
    heads = ["grows", "T", "B", "threads", "ms a step", "µs a sample and time step", "train samples/s", "peak MiB"]
    rows = []
    for line in lines:
        samples, steps = line["batch_size"], line["time_steps"]
        seconds = samples / line["train_samples_per_s"]
        rows.append([names[line["grows"]], f"{steps}", f"{samples}", f"{line['threads']}", f"{1e3 * seconds:.1f}",
                     f"{1e6 * seconds / samples / steps:.0f}", f"{line['train_samples_per_s']:.1f}",
                     f"{line['peak_rss_mib']:.0f}"])
    return markdown(heads, rows)


def rates(lines):
    """Million events a second, and how many times Synfire's those of the fastest other program are."""
    heads = ["one core, million events/s", "Synfire", "Synfire, in pieces", "others", "Synfire is"]
    rows = []
    for line in lines:
        rate = {name: line["events"] / seconds / 1e6 for name, seconds in line["seconds"].items()}
        own, pieces = rate.pop("Synfire"), rate.pop("Synfire in pieces", None)
        fastest = max(rate.values())
        times = [f"{one / fastest:.1f}x" for one in [own, pieces] if one]
        others = ", ".join(f"{name} {one:.1f}" for name, one in rate.items())
        rows.append([line["what"], f"**{own:.0f}**", f"**{pieces:.0f}**" if pieces else "", others, ", ".join(times)])
    return markdown(heads, rows)


def preprocessing(record):
    if "preprocessing" not in record:
        return ""
    found = record["preprocessing"]
    own, jelly = found["Synfire"], found["SpikingJelly"]
    return (f"\n\nBefore the first epoch on {found['recordings']:,} simulated recordings in CIFAR10-DVS's layout "
            f"({found['raw_mb']:.0f} MB), all cores: Synfire's cache takes {own['seconds']:.1f} s and {own['mb']:.0f} MB; "
            f"SpikingJelly's files {jelly['seconds']:.0f} s and {jelly['mb']:.0f} MB "
            f"({jelly['seconds_events']:.0f} s and {jelly['mb_events']:.0f} MB of them for events, the rest for frames).")


if __name__ == "__main__":
    for path in sys.argv[1:]:
        for name, text in of(json.loads(pathlib.Path(path).read_text())).items():
            put(DOCS, name, text)
