"""Three kernels in numba-cuda's simulator, thread by thread, barriers and shared memory included."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastopt.kernels.runtime import cuda_compile


@pytest.mark.skipif(not cuda_compile.has_compiler(), reason=f"the simulator is numba-cuda's: {cuda_compile.INSTALL}")
def test_kernels_in_the_simulator():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("simulate.py"))],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("same:") == 3
