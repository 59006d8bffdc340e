"""Writes `files/aedat31.aedat` and what is in it, `files/aedat31.npy`, by the specification alone: `python aedat31.py`.

https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-3.1.html
"""

from pathlib import Path

import numpy as np

FILES = Path(__file__).parent / "files"
FRONT = np.dtype([
    ("type", "<i2"), ("source", "<i2"), ("size", "<i4"), ("time_offset", "<i4"), ("overflow", "<i4"),
    ("capacity", "<i4"), ("number", "<i4"), ("valid", "<i4"),
])  # fmt: skip
SPECIAL, POLARITY, FRAME, IMU6 = range(4)
PAIR = np.dtype([("data", "<u4"), ("time", "<i4")])
TURN = 1 << 31  # the clock of an event has 31 bits
rng = np.random.default_rng(0)


def front(kind, size, time_offset, overflow, number, valid):
    return np.array([(kind, 1, size, time_offset, overflow, number, number, valid)], FRONT).tobytes()


def polarities(t, x, y, on, valid):
    """A packet; the high bits of the times are the same for all its events."""
    assert len(set(t // TURN)) == 1
    events = np.zeros(len(t), PAIR)
    events["data"] = x.astype("u4") << 17 | y.astype("u4") << 2 | on.astype("u4") << 1 | valid
    events["time"] = t % TURN
    return front(POLARITY, 8, 4, t[0] // TURN, len(t), valid.sum()) + events.tobytes()


# The clock turns within the recording, twice.
times = np.sort(rng.integers(TURN - 500_000, 3 * TURN, 600))
times[:300] = np.sort(rng.integers(TURN - 500_000, TURN + 500_000, 300))
events = np.zeros(600, [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "u1")])
events["t"], events["x"], events["y"] = times, rng.integers(0, 128, 600), rng.integers(0, 128, 600)
events["p"] = rng.integers(0, 2, 600)
valid = rng.random(600) < 0.9

content = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Start-Time: 2026-01-01 00:00:00 (TZ+0000)\r\n#!END-HEADER\r\n"
for chunk in np.array_split(np.arange(600), 13):
    for turn in np.unique(times[chunk] // TURN):
        some = chunk[times[chunk] // TURN == turn]
        content += polarities(times[some], events["x"][some], events["y"][some], events["p"][some], valid[some])
        # What else a camera sends: a turn of the clock, measurements of acceleration, a frame of 4x3 pixels of 16 bits.
        special = np.array([(0 << 1 | 1, TURN - 1)], PAIR).tobytes()
        content += front(SPECIAL, 8, 4, turn, 1, 1) + special
        content += front(IMU6, 36, 4, turn, 2, 2) + rng.bytes(72)
        content += front(FRAME, 36 + 24, 12, turn, 1, 1) + rng.bytes(60)

FILES.mkdir(exist_ok=True)
(FILES / "aedat31.aedat").write_bytes(content)
np.save(FILES / "aedat31.npy", events[valid])
