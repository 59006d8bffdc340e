"""The programs in the documentation run."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["README.md", "docs/python.md"])
def test_programs_run(name):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.S)
    assert blocks
    for block in blocks:
        if "import torch" in block:
            pytest.importorskip("torch")
        exec(compile(block, name, "exec"), {})
