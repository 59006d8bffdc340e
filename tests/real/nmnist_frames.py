"""Frames of N-MNIST by NumPy alone, for tests/nmnist_frames.rs: prints a hash of those of all recordings in a folder.

    python nmnist_frames.py DATA/nmnist
"""

import hashlib
import pathlib
import sys

import numpy as np

T, H, W = 16, 34, 34


def events(file):
    raw = np.frombuffer(file.read_bytes(), np.uint8).reshape(-1, 5).astype(np.int64)
    overflow = raw[:, 1] == 240
    assert not overflow.any(), "N-MNIST has no overflow of the clock"
    t = (raw[:, 2] & 0x7F) << 16 | raw[:, 3] << 8 | raw[:, 4]
    return t, raw[:, 0], raw[:, 1], raw[:, 2] >> 7


def step_by_count(t):
    return np.minimum(np.arange(len(t)) // max(len(t) // T, 1), T - 1) if len(t) >= T else np.full(len(t), T - 1)


def step_by_time(t):
    duration = max((t.max() - t.min()) // T, 1)
    return np.minimum((t - t.min()) // duration, T - 1)


def main():
    root = pathlib.Path(sys.argv[1])
    for name, steps in [("count", step_by_count), ("time", step_by_time)]:
        digest, recordings = hashlib.sha256(), 0
        for part in ["Train", "Test"]:
            for file in sorted((root / part).glob("*/*.bin"), key=lambda f: (int(f.parent.name), f.name)):
                t, x, y, p = events(file)
                frames = np.zeros((T, 2, H, W), "<f4")
                np.add.at(frames, (steps(t), p, y, x), 1)
                digest.update(frames.tobytes())
                recordings += 1
        print(name, recordings, digest.hexdigest())


if __name__ == "__main__":
    main()
