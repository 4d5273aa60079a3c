"""PTX that comes with the package: that of today's rules, and loaded without a compiler."""

import sys

import pytest

from fastopt.kernels.losses import cuda as losses
from fastopt.kernels.optimizers import cuda as optimizers
from fastopt.kernels.runtime import cuda as launches
from fastopt.kernels.runtime import cuda_compile, cuda_shipped


def test_shipped_ptx_is_that_of_the_rules():
    wanted = {key: f"{name}_{key}.ptx" for key, (name, _) in cuda_shipped.texts().items()}
    assert cuda_compile.shipped() == wanted, "run python -m fastopt.kernels.runtime.cuda_shipped"


@pytest.mark.parametrize("room", [optimizers, losses], ids=["optimizers", "losses"])
def test_shipped_ptx_takes_no_compiler(room, monkeypatch, tmp_path):
    from fastopt.kernels.runtime import jit

    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(cuda_compile, "compiled", None)
    monkeypatch.setitem(sys.modules, "numba", None)
    launches.ptx.cache_clear()
    for kernel in room.common():
        text = launches.ptx(kernel)
        assert f".visible .entry fastopt_{kernel.name}(" in text
        assert ".target sm_80" in text
        assert ".version 7.0" in text
    launches.ptx.cache_clear()
