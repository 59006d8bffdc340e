"""The annotations, checked by mypy, and the stubs of the compiled part by stubtest."""

import subprocess
import sys
from pathlib import Path

import pytest

TYPED = Path(__file__).with_name("typed.py")
CONFIG = ["--config-file", str(Path(__file__).parents[2] / "pyproject.toml")]


def run(*command):
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_that_uses_everything_is_typed(tmp_path):
    pytest.importorskip("mypy")
    run("mypy", "--strict", *CONFIG, "--cache-dir", str(tmp_path), str(TYPED))


def test_the_package_is_typed(tmp_path):
    pytest.importorskip("mypy")
    pytest.importorskip("torch")
    run("mypy", "--strict", *CONFIG, "--cache-dir", str(tmp_path), "-p", "synfire")


def test_stubs_say_what_the_compiled_part_has(tmp_path, monkeypatch):
    pytest.importorskip("mypy")
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    run("mypy.stubtest", "synfire._synfire", "--concise")


def test_it_runs(tmp_path):
    import typed

    assert typed.recordings(tmp_path / "a.npz").shape == (4, 1, 34, 34)
    typed.networks(tmp_path)
    assert typed.places(typed.first(), tmp_path) == "cpucpu"
    assert typed.classifiers().shape[1] <= 10
    assert typed.version().count(".") == 2
