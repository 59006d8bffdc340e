#!/usr/bin/env python3
"""Makes a notebook of each example: `python notebooks.py`. Needs nbformat. Tests compare them and run them."""

import re
from pathlib import Path

import nbformat

HERE = Path(__file__).parent


def notebook(script: Path) -> nbformat.NotebookNode:
    """The notebook of a script whose cells begin with `# %%`, and with `# %% [markdown]` where they are text."""
    cells = []
    for kind, body in re.findall(r"^# %%( \[markdown\])?\n(.*?)(?=^# %%|\Z)", script.read_text(), re.S | re.M):
        if kind:
            text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines())
            cells.append(nbformat.v4.new_markdown_cell(text))
        else:
            cells.append(nbformat.v4.new_code_cell(body.strip()))
        # Otherwise drawn at random.
        cells[-1]["id"] = f"cell-{len(cells)}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


if __name__ == "__main__":
    for script in sorted(HERE.glob("0*.py")):
        nbformat.write(notebook(script), script.with_suffix(".ipynb"))
