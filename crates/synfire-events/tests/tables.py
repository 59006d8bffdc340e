"""Writes the files in `files` that `tables.rs` reads, with NumPy: `python tables.py`.

All hold the 100 events of `events()`, which `tables.rs` makes in the same way.
"""

from pathlib import Path

import numpy as np

FILES = Path(__file__).parent / "files"
I = np.arange(100)
# x and y fall now and then, so that the order of unnamed columns is seen.
COLUMNS = {"t": 1000 + 37 * I, "x": 7 * I % 34, "y": 11 * I % 34, "p": I % 3 % 2}


def records(dtype, names="txyp"):
    array = np.zeros(len(I), dtype)
    for field, name in zip(names.split() if " " in names else names, "txyp"):
        array[field] = COLUMNS[name]
    return array


def save(name, array, version=None):
    with open(FILES / name, "wb") as file:
        np.lib.format.write_array(file, array, version)


def rows(order, dtype):
    return np.column_stack([COLUMNS[name] for name in order]).astype(dtype)


FILES.mkdir(exist_ok=True)
tonic = [("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)]
expelliarmus = [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")]
save("tonic.npy", records(tonic))
save("expelliarmus.npy", records(expelliarmus))
save("aligned.npy", records(np.dtype(tonic, align=True)))
big = [("timestamp", ">u8"), ("label", "U3"), ("x", ">u4"), ("y", ">u2"), ("spare", "f4", (2, 3)), ("polarity", "i1")]
save("big_endian_v3.npy", records(big, "timestamp x y polarity"), (3, 0))
save("rows_txyp_v2.npy", rows("txyp", np.int32), (2, 0))
save("rows_xytp_f8.npy", rows("xytp", np.float64))
seconds = rows("xytp", np.float64)
seconds[:, 2] /= 1e6
seconds[:, 3] = 2 * seconds[:, 3] - 1
save("rows_xytp_seconds.npy", seconds)
np.savez(FILES / "spikingjelly.npz", **COLUMNS)
np.savez_compressed(FILES / "spikingjelly_compressed.npz", **COLUMNS)
np.savez_compressed(FILES / "records.npz", events=records(tonic))
np.savetxt(FILES / "savetxt.txt", rows("xytp", np.int64), "%d", header="x y t p")
np.savetxt(FILES / "savetxt_floats.txt", rows("txyp", np.int64))
np.savetxt(FILES / "seconds.txt", rows("txyp", np.float64) / [1e6, 1, 1, 1], "%.9f %d %d %d")
