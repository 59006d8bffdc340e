"""Event data beside Tonic, SpikingJelly, Expelliarmus and aedat: decoding, frames, preprocessing.

    cargo build --release && cargo build --release -p synfire-data --example data_speed
    .venv/bin/pip install tonic spikingjelly expelliarmus aedat
    .venv/bin/python bench/data.py --data-dir DIR [--recordings 1000]

DIR holds `nmnist`, `events/dvs128_2.aedat`, `events/evt2.raw` and, for what is preprocessed, `cifar-10`. Every comparison is of the same files, in turn for some rounds, each on one core, and
is refused where what was read differs: frames by a hash over all of them, events by sums over times, pixels and polarities.
Preprocessing is what happens before a first epoch, on all cores: SpikingJelly writes the events of every recording, then its frames;
Synfire writes its cache. The recordings are simulated, 128x128, in the layout of CIFAR10-DVS.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from compare import Neighbours, line_of, processor, save  # noqa: E402

ROUNDS = 3
TEN_MILLION = 10_000_000


def program(name, *words):
    """Runs an example or the command; its line of JSON."""
    return json.loads(line_of([HERE.parent / "target/release" / name, *words]).splitlines()[-1])


def timed(run):
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


# Frames of N-MNIST: 16 by event count.

def nmnist_files(data):
    for part in ["Train", "Test"]:
        yield from sorted((data / "nmnist" / part).glob("*/*.bin"), key=lambda f: (int(f.parent.name), f.name))


def spikingjelly_frames(data):
    from spikingjelly.datasets import utils
    return lambda file: utils.integrate_events_by_fixed_frames_number(
        utils.load_ATIS_bin(str(file)), split_by="number", frames_num=16, H=34, W=34)


def tonic_frames(data):
    from tonic.functional import to_frame_numpy
    from tonic.io import make_structured_array, read_mnist_file
    dtype = make_structured_array([0], [0], [0], [0]).dtype
    return lambda file: to_frame_numpy(read_mnist_file(str(file), dtype), sensor_size=(34, 34, 2), n_event_bins=16)


def frames(data):
    files = list(nmnist_files(data))
    peers = {"SpikingJelly": spikingjelly_frames(data), "Tonic": tonic_frames(data)}
    own = program("examples/data_speed", "frames", "nmnist", data)
    rounds = {name: [] for name in ["Synfire", *peers]}
    for _ in range(ROUNDS):
        rounds["Synfire"].append(program("examples/data_speed", "frames", "nmnist", data)["seconds"])
        for name, to_frames in peers.items():
            seconds, made = timed(lambda: [to_frames(file) for file in files])
            rounds[name].append(seconds)
            # Tonic leaves the events out that do not fill a frame, so that its frames are others.
            if name == "SpikingJelly":
                digest = hashlib.sha256()
                for one in made:
                    digest.update(np.ascontiguousarray(one, dtype="<f4").tobytes())
                assert digest.hexdigest() == own["sha256"], "frames differ"
    return [{"what": "N-MNIST, read and counted into 16 frames", "events": int(own["events"]),
             "seconds": {name: statistics.median(some) for name, some in rounds.items()}}]


# Decoding.

def decoders():
    import aedat
    from expelliarmus import Wizard
    from spikingjelly.datasets import cifar10_dvs, utils

    def wizard(encoding):
        def read(file):
            events = Wizard(encoding=encoding).read(str(file))
            return events["t"], events["x"], events["y"], events["p"]
        return read

    def jelly2(file):
        events = cifar10_dvs._load_origin_data(file)
        # Columns and rows are exchanged there.
        return events["t"], events["y"], events["x"], events["p"]

    def jelly31(file):
        events = utils.load_aedat_v3(str(file))
        return events["t"], events["x"], events["y"], events["p"]

    def aedat4(file):
        packets = [packet["events"] for packet in aedat.Decoder(str(file)) if "events" in packet]
        events = np.concatenate(packets)
        return events["t"], events["x"], events["y"], events["on"]

    return {
        # Tonic 1.7 has readers of both that end in an error, whatever the file.
        "aedat2": {"SpikingJelly": jelly2},
        "aedat3.1": {"SpikingJelly": jelly31},
        "aedat4": {"aedat": aedat4},
        "evt2": {"Expelliarmus": wizard("evt2")},
        "evt3": {"Expelliarmus": wizard("evt3")},
        "dat": {"Expelliarmus": wizard("dat")},
    }


def decode(data, work):
    rows = []
    for form, peers in decoders().items():
        # A recording of a camera that had such files, again and again.
        source = data / "events" / ("evt2.raw" if form in ["evt2", "evt3", "dat"] else "dvs128_2.aedat")
        file = work / f"large.{'dat' if form == 'dat' else 'raw'}"
        program("examples/data_speed", "repeat", source, form, file, TEN_MILLION)
        own = program("examples/data_speed", "decode", file)
        rounds = {name: [] for name in ["Synfire", "Synfire in pieces", *peers]}
        for _ in range(ROUNDS):
            line = program("examples/data_speed", "decode", file)
            rounds["Synfire"].append(line["seconds"])
            rounds["Synfire in pieces"].append(line["seconds_in_pieces"])
            for name, read in peers.items():
                seconds, arrays = timed(lambda: read(file))
                rounds[name].append(seconds)
                sums = [int(np.sum(array, dtype=np.int64)) for array in arrays]
                # Expelliarmus 1.1 adds 4,096 µs twice where the low bits of an EVT 3.0 time turn.
                first = 1 if form == "evt3" else 0
                same = (len(arrays[0]), sums[first:]) == (own["events"], own["sums"][first:])
                assert same, f"{form}: {name} reads other events"
        file.unlink()
        rows.append({"what": f"decode {form}", "events": own["events"],
                     "seconds": {name: statistics.median(some) for name, some in rounds.items()}})
    return rows


# Preprocessing.

def preprocess(data, work, recordings):
    from spikingjelly.datasets import cifar10_dvs, utils
    extracted = work / "set/cifar10-dvs"
    simulated = work / "simulated"
    program("synfire", "data", "simulate", "cifar10-dvs-simulated", "--data-dir", data, "--samples", recordings,
            "--format", "aedat2", "-o", simulated, "--json")
    extracted.parent.mkdir()
    (simulated / "train").rename(extracted)
    files = sorted(extracted.glob("*/*.aedat"))
    raw = sum(file.stat().st_size for file in files)
    own = program("examples/data_speed", "cache", "cifar10-dvs", extracted.parent, work / "cache")

    events_folder, frames_folder = work / "events_np", work / "frames"
    events_folder.mkdir()
    start = time.perf_counter()
    cifar10_dvs.CIFAR10DVS.create_raw_from_extracted(extracted, events_folder)
    between = time.perf_counter()
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor() as pool:
        tasks = []
        for folder in events_folder.iterdir():
            (frames_folder / folder.name).mkdir(parents=True)
            for file in folder.iterdir():
                tasks.append(pool.submit(utils.integrate_events_file_to_frames_file_by_fixed_frames_number,
                                         np.load, file, frames_folder / folder.name, "number", 16, 128, 128))
        for task in tasks:
            task.result()
    end = time.perf_counter()

    def size(folder):
        return sum(file.stat().st_size for file in folder.rglob("*.npz"))

    # A tenth of the recordings are Synfire's test part, which is cached when it is needed.
    share = own["samples"] / len(files)
    return {"recordings": len(files), "raw_mb": raw / 1e6,
            "Synfire": {"seconds": own["seconds"] / share, "mb": own["bytes"] / share / 1e6},
            "SpikingJelly": {"seconds": end - start, "seconds_events": between - start,
                             "mb": (size(events_folder) + size(frames_folder)) / 1e6,
                             "mb_events": size(events_folder) / 1e6}}


def versions():
    from importlib.metadata import version
    return {name: version(name) for name in ["spikingjelly", "tonic", "expelliarmus", "aedat", "numpy"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, type=pathlib.Path, metavar="DIR")
    parser.add_argument("--recordings", type=int, default=1000, help="recordings to preprocess; 0 for none")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/performance.md as it is")
    args = parser.parse_args()
    neighbours = Neighbours()
    work = pathlib.Path(tempfile.mkdtemp(prefix="synfire-data-"))
    try:
        record = {"table": "data", "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                  "processor": processor(), "cores": os.cpu_count(), "peers": versions(),
                  "rates": frames(args.data_dir) + decode(args.data_dir, work)}
        if args.recordings:
            record["preprocessing"] = preprocess(args.data_dir, work, args.recordings)
        record["others_share_of_processor"] = neighbours.share()
    finally:
        shutil.rmtree(work)
    save(record, docs=not args.no_docs)


if __name__ == "__main__":
    main()
