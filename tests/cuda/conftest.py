"""A stand-in for the CUDA driver; and the helpers beside these tests are imported by their file names."""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The stand-in's path: compiled once."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "the tests need a C compiler, as building fastopt does"
    path = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    command = [compiler, "-shared", "-fPIC", "-O1", str(HERE / "stand_in_libcuda.c"), "-o", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture
def stand_in(library, monkeypatch):
    """The driver's stand-in in the place of the driver, as it is at the start."""
    import stand_in as control

    from fastopt.kernels.runtime import driver

    monkeypatch.setattr(driver, "LIBRARY", str(library))
    driver.driver.cache_clear()
    yield control.StandIn(ctypes.CDLL(str(library)))
    driver.driver.cache_clear()


@pytest.fixture
def gpu(stand_in, monkeypatch):
    """A stand-in whose launches run the text of whatever kernel is asked for, on the host."""
    from fastopt.kernels.runtime import cuda

    seen = set()

    def ptx(kernel):
        if kernel.name not in seen:
            seen.add(kernel.name)
            stand_in.register(kernel)
        return f".version 7.0\n// {kernel.name}"

    monkeypatch.setattr(cuda, "ptx", ptx)
    return stand_in
