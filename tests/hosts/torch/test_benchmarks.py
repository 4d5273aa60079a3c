"""The benchmark of this package runs, in a small form."""

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def test_every_row_is_made_and_timed():
    command = [sys.executable, str(BENCHMARKS / "torch_training.py"), "--small", "--rounds", "1"]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    assert done.returncode == 0, done.stderr[-2000:]
    for work in ("AdamW, 1000 of 1000", "a GPT's step", "a ResNet-18's step", "offload", "step_in_backward"):
        assert work in done.stdout
