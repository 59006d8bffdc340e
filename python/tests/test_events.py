import numpy as np
import pytest

import synfire
from synfire import events

ON_34 = dict(sensor_size=(34, 34))


def some(n=100):
    made = np.zeros(n, events.DTYPE)
    made["t"] = np.arange(n) * 1000
    made["x"] = np.arange(n) % 34
    made["y"] = np.arange(n) * 7 % 34
    made["p"] = np.arange(n) % 2
    return events.Events(made, **ON_34)


@pytest.mark.parametrize("format", ["npz", "npy", "csv", "aedat2", "aedat3.1", "aedat4", "evt2", "evt3", "dat", "nmnist"])
def test_every_format_there_and_back(tmp_path, format):
    path = tmp_path / "recording"
    some().write(path, format)
    back = events.read(path, format if format in ("nmnist", "csv") else None)
    assert back.dtype == events.DTYPE
    for field in ("t", "x", "y", "p"):
        assert np.array_equal(back[field], some()[field]), field
    if format == "aedat4":
        assert back.sensor_size == (34, 34)


def test_fields_are_those_that_others_know():
    assert events.DTYPE.names == ("t", "x", "y", "p")
    assert [events.DTYPE[name].str for name in events.DTYPE.names] == ["<i8", "<i2", "<i2", "|u1"]
    # As Tonic has them: wide fields in another order.
    other = np.array([(3, 4, 7, 1), (5, 6, 9, 0)], np.dtype([("x", int), ("y", int), ("t", int), ("p", bool)]))
    frames = events.to_frames(other, (8, 8), 2)
    assert frames[0, 1, 4, 3] == 1 and frames[1, 0, 6, 5] == 1 and frames.sum() == 2


def test_frames_count_events():
    made = some()
    frames = made.to_frames(4)
    assert frames.shape == (4, 2, 34, 34) and frames.dtype == np.float32
    expected = np.zeros_like(frames)
    for i, event in enumerate(np.asarray(made)):
        expected[i // 25, event["p"], event["y"], event["x"]] += 1
    assert np.array_equal(frames, expected)
    assert made.to_frames(4, polarities="merged").shape == (4, 1, 34, 34)
    assert made.to_frames(4, size=(17, 17), downsampling="sum").sum() == 100
    assert made.to_frames(4, framing="25ms", values="binary").max() == 1
    # A slice is still on the same sensor.
    assert made[:10].to_frames(2).shape == (2, 2, 34, 34)


def test_a_camera_in_software():
    disc = np.hypot(*np.mgrid[-14:14, -14:14]) < 8
    seen = events.simulate(disc.astype(float), seed=7)
    assert seen.simulated and seen.sensor_size == (34, 34) and len(seen) > 1000
    assert np.array_equal(seen, events.simulate(disc.astype(float), seed=7))
    assert not np.array_equal(seen, events.simulate(disc.astype(float), seed=8))
    assert events.simulate("clockwise").simulated
    video = np.linspace(0.1, 1, 50)[:, None, None] * np.ones((50, 4, 6))
    assert np.asarray(events.simulate(video, fps=50)["p"]).mean() > 0.9
    assert events.problems(seen) == []


def test_info_tells_without_keeping(tmp_path):
    path = tmp_path / "a.aedat4"
    some().write(path)
    told = events.info(path)
    assert told == ("aedat4", 34, 34, 100, 0, 99_000, False)
    assert told.width == 34


def test_what_is_no_recording(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        events.read(tmp_path / "absent")
    path = tmp_path / "bad"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="bad"):
        events.read(path)
    with pytest.raises(ValueError, match="format"):
        some().write(tmp_path / "a.unknown")
    with pytest.raises(TypeError, match="fields t, x, y and p"):
        events.to_frames(np.zeros(4), (8, 8))
    with pytest.raises(ValueError, match="one dimension"):
        events.to_frames(np.zeros((2, 2), events.DTYPE), (8, 8))
    with pytest.raises(ValueError, match="empty"):
        events.to_frames(np.zeros(0, events.DTYPE), (8, 8))
    with pytest.raises(ValueError, match="sensor"):
        events.to_frames(some(), (8, 8))
    with pytest.raises(ValueError, match="time_steps = 0"):
        some().to_frames(0)
    with pytest.raises((ValueError, MemoryError)):
        some().to_frames(2**50)
    with pytest.raises(ValueError, match="sensor_size"):
        events.to_frames(some(), (0, 8))
    with pytest.raises(ValueError, match="framing|frames"):
        some().to_frames(4, framing="never")
    negative = np.array(some())
    negative["x"][3] = -1
    with pytest.raises(ValueError, match="x = -1"):
        events.to_frames(negative, (34, 34))
    for scene in (np.full((8, 8), np.nan), np.full((8, 8), 2.0)):
        with pytest.raises(ValueError, match="outside"):
            events.simulate(scene)
    with pytest.raises(ValueError, match="gesture"):
        events.simulate("waving")
    with pytest.raises(ValueError, match="threshold"):
        events.simulate(np.zeros((8, 8)), threshold_on=-1.0)


def test_what_would_never_end_or_take_all_memory():
    step = np.stack([np.zeros((4, 4)), np.ones((4, 4))])
    with pytest.raises(ValueError, match="shorter"):
        events.simulate(step, fps=1e-12)
    with pytest.raises(ValueError, match="shorter"):
        events.simulate(step, fps=1e-4, noise_hz=1e5)
    with pytest.raises(ValueError, match="0.001"):
        events.simulate(step[0], threshold_on=1e-30)
    for steps in (2**40, 5000, 0):
        with pytest.raises((ValueError, MemoryError)):
            next(iter(synfire.data.load("gestures", "test", time_steps=steps, batch_size=2)))
    with pytest.raises((ValueError, MemoryError)):
        some().to_frames(2**70)


def test_events_keep_their_sensor():
    import pickle

    back = pickle.loads(pickle.dumps(some()[:10]))
    assert back.sensor_size == (34, 34) and back.to_frames(2).shape == (2, 2, 34, 34)
    assert type(some()["x"]) is np.ndarray and some()["x"].max() == 33
    wrong = np.zeros(3, np.dtype([("t", float), ("x", int), ("y", int), ("p", int)]))
    with pytest.raises(TypeError, match="t of float64"):
        events.to_frames(wrong, (8, 8))


def test_read_only_and_strided_events():
    made = np.array(some())
    made.setflags(write=False)
    assert events.to_frames(made[::2], (34, 34), 5).sum() == 50


def test_data_sets_in_batches():
    assert "digits" in synfire.data.names()
    samples = synfire.data.load("digits", batch_size=100, shuffle=True, seed=3)
    assert samples.shape == (1, 8, 8) and len(samples) == 1437 and samples.class_names[3] == "3"
    x, y = next(iter(samples))
    assert x.shape == (100, 1, 8, 8) and x.dtype == np.float32 and y.dtype == np.int64
    assert sum(len(y) for _, y in samples) == 1437
    again = synfire.data.load("digits", batch_size=100, shuffle=True, seed=3)
    assert np.array_equal(next(iter(again))[0], x)
    # Another epoch, another order.
    assert not np.array_equal(next(iter(again))[0], x)
    x, y = samples.arrays([5, 6])
    assert np.array_equal(x[0], samples[5][0]) and y[0] == samples[5][1] == samples.labels[5]
    assert np.array_equal(samples[-1][0], samples[len(samples) - 1][0])


def test_recordings_become_frames():
    samples = synfire.data.load("gestures", "test", time_steps=6, batch_size=4, frame_size="24x24")
    assert samples.shape == (6, 2, 24, 24) and "simulated" in samples.notes[0]
    x, y = next(iter(samples))
    assert x.shape == (4, 6, 2, 24, 24) and x.sum() > 0


def test_what_is_no_data_set(tmp_path, monkeypatch):
    monkeypatch.delenv("SYNFIRE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="mnist"):
        synfire.data.load("mnits")
    with pytest.raises((ValueError, OSError), match="mnist"):
        synfire.data.load("mnist", data_dir=tmp_path)
    with pytest.raises(ValueError, match="part"):
        synfire.data.load("digits", "both")
    for i in (9999, -1438, 2**70):
        with pytest.raises(IndexError):
            synfire.data.load("digits")[i]
    with pytest.raises(ValueError, match="index"):
        synfire.data.load("digits").arrays([-1])
    with pytest.raises(ValueError, match="seed"):
        synfire.data.load("digits", seed=-1)
    with pytest.raises(ValueError, match="batch_size"):
        synfire.data.load("digits", batch_size=0)
    with pytest.raises(ValueError, match="unknown field"):
        synfire.data.load("digits", colour=3)


def test_what_a_file_does_not_tell_is_warned_of(tmp_path):
    made = events.simulate(np.tile([[0.0, 1.0]], (8, 4)), seed=1, threshold_on=0.3)
    with pytest.warns(UserWarning, match="simulated|sensor"):
        made.write(tmp_path / "a.npy")
    with pytest.raises(TypeError, match="sensor_size"):
        events.to_frames(made, "128")
