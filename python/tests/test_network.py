import multiprocessing
import subprocess
import sys
import threading

import numpy as np
import pytest

import synfire
from synfire import Network, data


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
    with pytest.raises(ValueError, match="layers.0"):
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


def test_threads_that_ask_for_other_things(trained, digits):
    """None waits for the interpreter while it holds what another one waits for."""
    X, _ = digits
    done = threading.Event()

    def ask():
        trained.readout(np.tile(X, (4, 1, 1, 1)), batch_size=16)
        done.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    while not done.wait(0.001):
        assert trained.config["time-steps"] == 4 and trained.predict_proba(X[:2]).shape == (2, 10)
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(__import__("signal"), "setitimer"), reason="no timers")
def test_a_signal_handler_may_use_the_network(trained, digits):
    import signal

    told = []
    before = signal.signal(signal.SIGALRM, lambda *_: told.append(trained.time_steps))
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        trained.readout(np.tile(digits[0], (4, 1, 1, 1)), batch_size=16)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert 4 in told


def test_copies(trained, digits):
    import copy
    import pickle

    X, y = digits
    for back in (pickle.loads(pickle.dumps(trained)), copy.deepcopy(trained)):
        assert np.array_equal(back.readout(X[:9]), trained.readout(X[:9])) and back.history_ == trained.history_
        assert back.config == trained.config
    samples = synfire.data.load("digits", "test", batch_size=7)
    again = pickle.loads(pickle.dumps(samples))
    assert np.array_equal(again[3][0], samples[3][0]) and again.batch_size == 7 and again.part == "test"
    classifier = synfire.SpikingClassifier("4C3-LI1", epochs=1).fit(X[:60], y[:60])
    assert np.array_equal(pickle.loads(pickle.dumps(classifier)).predict(X[:9]), classifier.predict(X[:9]))


def test_a_second_training_knows_nothing_of_the_first(digits):
    X, y = digits
    net = small()
    net.fit("digits", epochs=1, shift=1, lr=0.01)
    net.fit(X[:100], y[:100], epochs=2)
    fresh = small().fit(X[:100], y[:100], epochs=2)
    assert net.config == fresh.config and net.config["dataset"] == "arrays"
    assert np.array_equal(net.readout(X[:5]), fresh.readout(X[:5]))
    for key, value in {"net": "8C3-LI1", "time_steps": 3, "dataset": "mnist"}.items():
        with pytest.raises(ValueError, match="belongs to the network"):
            net.fit(X[:100], y[:100], **{key: value})
    with pytest.raises(ValueError, match="test"):
        net.fit(synfire.data.load("digits", "test"))


def test_samples_are_evaluated_as_they_were_loaded():
    how = dict(time_steps=4, frame_size="16x16", frame_values="binary")
    samples = synfire.data.load("gestures", "test", **how)
    net = Network("4C3-AP4-LI1", (2, 16, 16), samples.class_names, time_steps=4, precision="f32")
    assert net.evaluate(samples).loss == pytest.approx(net.evaluate(*samples.arrays()).loss, rel=1e-6)
    with pytest.raises(ValueError, match="9 time steps"):
        net.evaluate(synfire.data.load("gestures", "test", **{**how, "time_steps": 9}))


def test_numbers_of_numpy_are_numbers(digits):
    X, y = digits
    net = Network("4C3-LI1", (1, np.int64(8), 8), np.int64(10), time_steps=np.int64(2), threshold=np.float32(0.5))
    net.fit(X[:50], y[:50], epochs=np.int64(1), batch_size=np.int32(8), validation=np.float32(0.1))
    for classes in ("abc", True):
        with pytest.raises(TypeError, match="classes"):
            Network("4C3-LI1", (1, 8, 8), classes)


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


def answers_of(net, x, answers):
    images = sum(len(labels) for _, labels in synfire.data.load("digits", "test", batch_size=50))
    answers.put((net.predict_proba(x), images, net.fit(x, np.arange(len(x)) % 10, epochs=1).summary_["epochs"]))


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not forked there")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(digits):
    X, _ = digits
    net = small()
    here = net.predict_proba(X[:300])
    forked = multiprocessing.get_context("fork")
    answers = forked.SimpleQueue()
    worker = forked.Process(target=answers_of, args=(net, X[:300], answers))
    worker.start()
    worker.join(60)
    hangs = worker.exitcode is None
    if hangs:
        worker.kill()
    assert not hangs and worker.exitcode == 0
    there, images, epochs = answers.get()
    assert np.array_equal(here, there) and images == 360 and epochs == 1


def test_settings_of_the_wrong_kind_are_named(trained, digits):
    X, y = digits
    for given, error, told in [
        ({"time_steps": 2.0}, TypeError, "time_steps = 2.0"),
        ({"relu": "no"}, TypeError, "relu"),
        ({"seed": -1}, ValueError, "seed = -1"),
        ({"encoding": "morse"}, ValueError, "encoding"),
    ]:
        with pytest.raises(error, match=told):
            Network("4C3-LI1", (1, 8, 8), 10, **given)
    with pytest.raises(TypeError, match="net"):
        Network("4C3-LI1", (1, 8, 8), 10, net="LI2")
    net = Network("4C3-LI1", (1, 8, 8), 10)
    for given, error, told in [
        ({"epochs": 1.5}, TypeError, "epochs = 1.5"),
        ({"lr": [1]}, TypeError, "lr"),
        ({"validation": 0.0}, ValueError, "validation = 0.0"),
        ({"validation": float("inf")}, ValueError, "validation"),
        ({"callbacks": [object()]}, TypeError, "callback"),
    ]:
        with pytest.raises(error, match=told):
            net.fit(X[:20], y[:20], **given)
    for wrong in ([1], {1: np.zeros(1)}):
        with pytest.raises(TypeError, match="mapping"):
            net.load_state_dict(wrong)
    with pytest.raises(ValueError, match="NaN|finite|not a number"):
        net.load_state_dict({**net.state_dict(), "layers.0.bias": np.full(4, np.nan)})
    # What an error advises is what there is here.
    with pytest.raises(ValueError, match="train with relu false"):
        trained.export_nir("never.nir")


def test_samples_bring_their_labels(digits):
    samples = data.load("digits", batch_size=50)
    net = Network("4C3-LI1", samples.shape, 10, time_steps=2)
    for call in (net.fit, net.evaluate):
        with pytest.raises(TypeError, match="labels of their own"):
            call(samples, samples.labels)
    assert net.evaluate("digits").samples == net.evaluate(data.load("digits", "test")).samples
    frames = data.load("gestures", time_steps=4, frame_size=(16, 16))
    assert frames.shape == (4, 2, 16, 16)
    with pytest.raises(ValueError, match="expected \\(channels, height, width\\)"):
        Network("4C3-AP4-LI1", frames.shape, 11)
    other = Network("4C3-AP4-LI1", frames.shape[1:], 11, time_steps=8)
    with pytest.raises(ValueError, match="time_steps = 4"):
        other.fit(frames, epochs=1)


def test_spikes_in_batches_and_without_room(trained, digits):
    X, _ = digits
    whole, parts = trained.spikes(X[:10]), trained.spikes(X[:10], batch_size=3)
    assert whole.keys() == parts.keys() and all(np.array_equal(whole[name], parts[name]) for name in whole)
    large = Network("64C3-LI1", (1, 256, 256), 2, time_steps=4096, relu=False)
    with pytest.raises(MemoryError):
        large.spikes(np.zeros((1000, 1, 256, 256), np.float32), batch_size=1)


def test_threads_save_to_one_path(trained, tmp_path):
    failed = []

    def save():
        try:
            for _ in range(10):
                trained.save(tmp_path / "net.safetensors")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and Network.load(tmp_path / "net.safetensors").parameters == trained.parameters
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_it_needs_nothing_but_numpy():
    program = """
import subprocess
import sys
for name in ("torch", "sklearn", "tqdm", "matplotlib", "IPython"):
    sys.modules[name] = None
import pydoc
import numpy as np
import synfire
from synfire import *
assert not hasattr(synfire, "torch") and "torch" not in dir(synfire)
assert "synfire.torch needs PyTorch" in str(__import__("pytest").raises(AttributeError, getattr, synfire, "torch").value)
assert "A spiking network from a layer string" in pydoc.render_doc(synfire.Network)
pydoc.render_doc(synfire)
x, y = np.random.rand(30, 1, 8, 8).astype(np.float32), np.arange(30) % 3
classifier = synfire.SpikingClassifier("4C3-LI1", epochs=1, time_steps=2).fit(x, y)
assert classifier.predict(x).shape == (30,) and 0 <= classifier.score(x, y) <= 1
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_curve_in_a_notebook_is_a_picture():
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    for needed in ("ipykernel", "matplotlib"):
        pytest.importorskip(needed)
    record = {"train_loss": 1.0, "validation_loss": 1.0, "train_accuracy": 0.5, "validation_accuracy": 0.5}
    code = f"""
from synfire.callbacks import LiveCurve
curve = LiveCurve()
for epoch in (1, 2):
    curve({{"epoch": epoch, **{record}}})
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(notebook, timeout=120).execute()
    (shown,) = notebook.cells[0].outputs
    assert len(shown["data"]["image/png"]) > 5_000
