"""Examples run as scripts, and as the notebooks that were made of them."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("0*.py"))
NEEDS = {"01": ["matplotlib"], "02": ["matplotlib"], "03": ["torch"], "04": []}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_notebooks_are_those_of_the_scripts(script):
    nbformat = pytest.importorskip("nbformat")
    made = runpy.run_path(str(EXAMPLES / "notebooks.py"))["notebook"](script)
    kept = nbformat.read(script.with_suffix(".ipynb"), 4)
    assert [cell.source for cell in kept.cells] == [cell.source for cell in made.cells], "run examples/notebooks.py"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_run(script, monkeypatch, capsys):
    for module in NEEDS[script.stem[:2]]:
        pytest.importorskip(module)
    monkeypatch.setenv("MPLBACKEND", "agg")
    runpy.run_path(str(script), run_name="__main__")
    told = capsys.readouterr().out
    if "test accuracy" in told:
        accuracy = float(told.split("test accuracy ")[1].split("%")[0])
        assert accuracy > 60, told


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_notebooks_run(script):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    for module in NEEDS[script.stem[:2]]:
        pytest.importorskip(module)
    notebook = nbformat.read(script.with_suffix(".ipynb"), 4)
    # An error in a cell is raised.
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any(output.output_type == "stream" for output in outputs)
