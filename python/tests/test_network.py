import threading

import numpy as np
import pytest

import synfire
from synfire import Network


def small(**more):
    return Network("4C3-AP2-LI2", (1, 8, 8), 10, **more)


def test_training_learns(trained, digits):
    X, y = digits
    assert trained.evaluate(X[600:], y[600:]).accuracy > 0.8
    assert len(trained.history_) == 8 and trained.history_[7]["train_loss"] < trained.history_[0]["train_loss"]
    assert trained.summary_["validation_samples"] == 60
    probabilities = trained.predict_proba(X[:50])
    assert probabilities.shape == (50, 10)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert np.array_equal(trained.predict(X[:50]), probabilities.argmax(1))
    assert trained.readout(X[:50]).shape == (4, 50, 10)


def test_the_same_seed_gives_the_same_network(digits):
    X, y = digits
    fit = lambda seed: small(seed=seed).fit(X[:200], y[:200], epochs=2, batch_size=32).state_dict()
    one, same, other = fit(1), fit(1), fit(2)
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)


def test_spikes_of_every_layer(trained, digits):
    X, _ = digits
    spikes = trained.spikes(X[:3])
    assert {name: layer.shape for name, layer in spikes.items()} == {
        "layers.3": (4, 3, 16, 8, 8),
        "layers.8": (4, 3, 32, 4, 4),
    }
    assert all(np.isin(layer, (0, 1)).all() and layer.any() for layer in spikes.values())
    frames = np.broadcast_to(X[:3, None], (3, 4, 1, 8, 8))
    again = trained.spikes(frames)
    assert np.array_equal(again["layers.3"], spikes["layers.3"])
    rates = trained.evaluate(X[:3], np.zeros(3, int)).firing_rates
    assert rates["layers.3"] == pytest.approx(spikes["layers.3"].mean(), abs=1e-6)


def test_checkpoints_there_and_back(trained, digits, tmp_path):
    X, _ = digits
    trained.save(tmp_path / "net.safetensors")
    back = Network.load(tmp_path / "net.safetensors")
    assert np.array_equal(back.readout(X[:20]), trained.readout(X[:20]))
    assert back.config == trained.config and back.class_names == trained.class_names
    assert repr(back) == repr(trained) and "16C3-AP2-32C3-AP2-LI5" in repr(back)
    fresh = Network("16C3-AP2-32C3-AP2-LI5", (1, 8, 8), 10, time_steps=4, precision="f32")
    fresh.load_state_dict(trained.state_dict())
    assert np.array_equal(fresh.readout(X[:20]), trained.readout(X[:20]))
    with pytest.raises(KeyError, match="layers.0"):
        small().load_state_dict(trained.state_dict())
    with pytest.raises(FileNotFoundError):
        Network.load(tmp_path / "absent")
    (tmp_path / "bad").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="bad"):
        Network.load(tmp_path / "bad")


def test_a_run_folder_is_kept(digits, tmp_path):
    X, y = digits
    net = small().fit(X[:100], y[:100], epochs=1, out=tmp_path / "run")
    assert (tmp_path / "run/metrics.jsonl").exists()
    assert np.array_equal(Network.load(tmp_path / "run").readout(X[:5]), net.readout(X[:5]))
    with pytest.raises(ValueError, match="run"):
        small().fit(X[:100], y[:100], epochs=1, out=tmp_path / "run")


def test_data_sets_by_name_and_frames():
    net = small(time_steps=2).fit(synfire.data.load("digits"), epochs=1)
    test = synfire.data.load("digits", "test")
    assert net.evaluate(test).samples == 360
    frames = np.random.default_rng(0).random((20, 3, 2, 6, 6))
    moving = Network("4C3-LI1", (2, 6, 6), 2, time_steps=3).fit(frames, np.arange(20) % 2, epochs=1, batch_size=5)
    assert moving.predict(frames).shape == (20,)
    gestures = synfire.data.load("gestures", time_steps=4, frame_size="16x16")
    net = Network("4C3-AP4-LI1", (2, 16, 16), gestures.class_names, time_steps=4)
    few = gestures.arrays(range(0, len(gestures), 40))
    assert net.fit(*few, epochs=1).class_names[0] == gestures.class_names[0]


def test_callbacks_follow_and_may_end_training(digits):
    X, y = digits

    class Follower:
        def __init__(self):
            self.epochs, self.batches = [], []

        def __call__(self, record):
            self.epochs.append(record["epoch"])

        def on_batch(self, report):
            self.batches.append(report["batch"])

    follower, epochs = Follower(), []
    small().fit(X[:300], y[:300], epochs=2, batch_size=2, callbacks=[follower, lambda record: epochs.append(record)])
    assert follower.epochs == [1, 2] and len(epochs) == 2 and follower.batches

    class Stop(Exception):
        pass

    def stop(record):
        raise Stop("enough")

    net = small()
    before = net.state_dict()
    with pytest.raises(Stop, match="enough"):
        net.fit(X[:100], y[:100], epochs=3, callbacks=[stop])
    assert all(np.array_equal(before[name], value) for name, value in net.state_dict().items())


def test_ctrl_c_ends_training(digits):
    import _thread

    X, y = digits
    timer = threading.Timer(0.5, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        small().fit(X, y, epochs=10_000)
    timer.join()


def test_threads_share_a_network(trained, digits):
    X, _ = digits
    expected = trained.readout(X[:200])
    found = [None] * 4

    def ask(i):
        found[i] = trained.readout(X[:200])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert all(np.array_equal(one, expected) for one in found)


def test_other_threads_run_while_it_trains(digits):
    X, y = digits
    counted = 0
    done = threading.Event()

    def count():
        nonlocal counted
        while not done.is_set():
            counted += 1

    counter = threading.Thread(target=count)
    counter.start()
    small().fit(X, y, epochs=2)
    done.set()
    counter.join()
    assert counted > 10_000


@pytest.mark.parametrize(
    "change",
    [np.asfortranarray, lambda x: x.astype(np.float64), lambda x: x[:, :, ::-1][:, :, ::-1], lambda x: np.array(x).tolist()],
)
def test_arrays_of_any_layout_are_the_same(trained, digits, change):
    X = digits[0][:10]
    assert np.array_equal(trained.predict(change(X)), trained.predict(X))


def test_read_only_arrays(trained, digits):
    X = digits[0][:10].copy()
    X.setflags(write=False)
    trained.predict(X)


def test_what_does_not_fit_is_a_clear_error(trained, digits):
    X, y = digits
    with pytest.raises(ValueError, match="layer 1.*12Q3"):
        Network("12Q3-LI1", (1, 8, 8), 10)
    with pytest.raises(ValueError, match="method|ppo"):
        small(method="ppo")
    for steps in (0, -1, 5000, 2**40):
        with pytest.raises(ValueError, match="time-steps|time_steps|invalid"):
            small(time_steps=steps)
    with pytest.raises(ValueError, match="threshold"):
        small(threshold=float("inf"))
    with pytest.raises(ValueError, match="input_shape"):
        Network("4C3-LI1", (8, 8), 10)
    with pytest.raises(ValueError, match="unknown field"):
        small(colour="red")
    with pytest.raises(MemoryError, match="GiB"):
        Network("65536C3-65536C3-LI1", (1, 512, 512), 10, time_steps=64).predict(np.zeros((1, 1, 512, 512)))
    with pytest.raises(ValueError, match=r"\[N, 1, 8, 8\]"):
        trained.predict(np.zeros((2, 1, 9, 9)))
    with pytest.raises(ValueError, match="dimensions"):
        trained.predict(np.zeros((8, 8)))
    with pytest.raises(ValueError, match="empty"):
        trained.predict(np.zeros((0, 1, 8, 8)))
    for values in (np.array([["a"]]), X[:2].astype(complex), np.array([None])):
        with pytest.raises(TypeError, match="expected real numbers"):
            trained.predict(values)
    bad = X[:4].copy()
    bad[2, 0, 3, 3] = np.nan
    with pytest.raises(ValueError, match="sample 2"):
        trained.predict(bad)
    with pytest.raises(ValueError, match="sample 2"):
        small().fit(np.concatenate([bad, X[:60]]), y[:64], epochs=1, validation=1)
    with pytest.raises(FloatingPointError):
        small().fit(X[:100], y[:100], epochs=3, lr=1e30)
    with pytest.raises(ValueError, match="label of 10"):
        small().fit(X[:20], np.full(20, 10))
    with pytest.raises(ValueError, match=r"\(20,\)"):
        small().fit(X[:20], y[:19])
    with pytest.raises(TypeError, match="whole numbers"):
        small().fit(X[:20], y[:20].astype(float))
    with pytest.raises(TypeError, match="fit"):
        small().fit(X[:20])
    with pytest.raises(ValueError, match="validation"):
        small().fit(X[:20], y[:20], validation=20)
    with pytest.raises(ValueError, match="batch_size"):
        trained.predict(X[:2], batch_size=0)
