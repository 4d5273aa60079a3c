"""How many files a call passes between its first line and the launcher: what a reader has to open.

Counted are the files of the rooms behind the one where the call begins. `kernels/runtime/` is the launcher's own, and
`expect.py` holds refusals alone.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

import fastopt as fo

ROOMS = [Path(__file__).parents[2] / folder for folder in ("fastopt", "kernels")]
ARRAY = np.linspace(0.1, 1.0, 40, dtype=np.float32).reshape(8, 5)
LABELS = np.arange(8) % 2
ADAMW = fo.optimizers.AdamW(ARRAY.copy())
LOSS = fo.losses.MeanSquaredError()
NORM = fo.normalization.BatchNorm(5)
MOST = {  # the goal is 4
    "AdamW.step": 4, "MeanSquaredError.value_and_grad": 2, "BatchNorm.forward": 4, "auc": 4, "he_normal": 2,
}  # fmt: skip
CALLS = {
    "AdamW.step": lambda: ADAMW.step(ARRAY),
    "MeanSquaredError.value_and_grad": lambda: LOSS.value_and_grad(ARRAY, ARRAY),
    "BatchNorm.forward": lambda: NORM.forward(ARRAY),
    "auc": lambda: fo.metrics.auc(LABELS, ARRAY[:, 0].copy()),
    "he_normal": lambda: fo.initializers.he_normal((8, 5), seed=0),
}


def files_of(call):
    """Return the files of ours that a call runs through in Python, in the order of their first line."""
    seen = {}

    def look(frame, event, argument):
        path = Path(frame.f_code.co_filename)
        if any(map(path.is_relative_to, ROOMS)):
            seen[path] = None

    call()  # what is imported or built at first use is over then
    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(None)
    return [path for path in seen if path.parent.name != "runtime" and path.name != "expect.py"][1:]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_opens_few_files(name):
    files = files_of(CALLS[name])
    assert len(files) <= MOST[name], [path.name for path in files]
