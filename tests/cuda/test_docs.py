"""docs/cuda.md names the ops that the target has. `python tests/cuda/test_docs.py` writes them anew."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import fastopt as fo
from fastopt.cli import check
from fastopt.table import OPS

PAGE = Path(__file__).parents[2] / "docs" / "cuda.md"
BEGIN, END = "<!-- ops: tests/cuda/test_docs.py -->", "<!-- end -->"


class LaunchedError(Exception):
    """Raised in the place of a launch."""


def launched(kernel):
    raise LaunchedError


def has(op):
    """Whether a call of an op comes to a launch."""
    options, shape = op.options[0], min((shape for shape in op.shapes if np.prod(shape) > 6), key=np.prod)
    arrays = op.inputs(np.random.default_rng(0), shape, "float32", options)
    try:
        with fo.target("cuda"):
            op.call(options, check._placed(arrays, "cuda"))
    except LaunchedError:
        return True
    except NotImplementedError:
        return False
    raise AssertionError(f"{op.name}: expected a launch or a refusal")


def table():
    lines = [BEGIN, "| family | on the GPU | not yet |", "|---|---|---|"]
    for family in dict.fromkeys(op.family for op in OPS):
        found = {True: [], False: []}
        for op in OPS:
            if op.family == family:
                found[has(op)].append(f"`{op.name}`")
        lines.append(f"| {family} | {', '.join(found[True])} | {', '.join(found[False])} |")
    return "\n".join([*lines, END])


@pytest.mark.usefixtures("stand_in")
def test_page_names_what_the_target_has(monkeypatch):
    from fastopt.kernels.runtime import cuda

    monkeypatch.setattr(cuda, "ptx", launched)
    text = PAGE.read_text()
    found = text[text.index(BEGIN) : text.index(END) + len(END)]
    assert found == table(), "run python tests/cuda/test_docs.py"


if __name__ == "__main__":
    import subprocess
    import tempfile

    from fastopt.kernels.runtime import cuda, driver

    library = Path(tempfile.mkdtemp()) / "libcuda.so.1"
    source = Path(__file__).with_name("stand_in_libcuda.c")
    subprocess.run(["cc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    driver.LIBRARY, cuda.ptx = str(library), launched
    text = re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: table(), PAGE.read_text(), flags=re.S)
    sys.exit(PAGE.write_text(text) and None)
