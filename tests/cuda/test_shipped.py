"""PTX that comes with the package: that of today's rules, and loaded without a compiler."""

import sys

import host
import numpy as np
import ptx
import pytest
import recipes

from fastopt.kernels.arrays import cuda as arrays
from fastopt.kernels.initializers import cuda as initializers
from fastopt.kernels.losses import cuda as losses
from fastopt.kernels.normalization import cuda as normalization
from fastopt.kernels.normalization import cuda_groups as groups
from fastopt.kernels.optimizers import cuda as optimizers
from fastopt.kernels.runtime import cuda as launches
from fastopt.kernels.runtime import cuda_compile, cuda_elements, cuda_shipped, cuda_text, kinds

KERNELS = [
    *optimizers.common(),
    *losses.common(),
    *normalization.common(),
    *groups.common(),
    *initializers.common(),
    *arrays.common(),
]
DTYPES = {"floats": np.float32, "doubles": np.float64, "octets": np.uint8}


def test_shipped_ptx_is_that_of_the_rules():
    wanted = {key: f"{name}_{key}.ptx" for key, (name, _) in cuda_shipped.texts().items()}
    assert cuda_compile.shipped() == wanted, "run python -m fastopt.kernels.runtime.cuda_shipped"


@pytest.mark.parametrize("room", [optimizers, losses, normalization, groups, initializers, arrays])
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


def column(name, table, n, rng):
    """Return an array for a column of a kernel's table: as the device keeps it, of numbers that occur."""
    if table == "octets":
        return rng.integers(0, 256, n).astype(np.uint8)
    x = rng.standard_normal(n)
    x = x if name in ("param", "grad", "y_pred", "y_true") else np.abs(x)
    return x.astype(kinds.bfloat16()).view(np.uint16) if table == "halves" else x.astype(DTYPES[table])


OF_ELEMENTS = [kernel for kernel in KERNELS if isinstance(kernel, cuda_elements.Elements)]


@pytest.mark.parametrize("kernel", OF_ELEMENTS, ids=lambda kernel: kernel.name)
def test_shipped_ptx_has_the_bits_of_its_text(kernel):
    rng = np.random.default_rng(8)
    tables = dict.fromkeys(kernel.table, "floats") | dict(kernel.columns)
    jobs = [{name: column(name, table, n, rng) for name, table in tables.items()} for n in (33, 300)]
    found, scalars = recipes.copies(jobs), [rng.uniform(0.1, 0.9, len(kernel.scalars))]
    sums = host.run(kernel, jobs, scalars, words=recipes.WORDS)
    measured, _ = ptx.run(ptx.of(kernel), kernel, found, scalars, words=recipes.WORDS)
    assert recipes.different(jobs, found) == []
    np.testing.assert_array_equal(measured, sums)


def test_ptx_does_not_depend_on_what_was_compiled_before():
    """numba-cuda numbers shared memory through a process."""
    shared = ".shared .b8 _cudapy_smem_{0}[8];\n.shared .b8 _cudapy_smem_{1}[8];\n"
    text = ".version 9.0\n" + shared + ".visible .entry _Z6kernel()\n{\nmov.u64 %rd1, _cudapy_smem_{1};\n}\n"
    first, later = (
        cuda_compile.portable("k", text.replace("{0}", low).replace("{1}", high))
        for low, high in (("1", "2"), ("9", "10"))
    )
    assert first == later
    assert "mov.u64 %rd1, fastopt_shared_1;" in first


@pytest.mark.skipif(not cuda_compile.has_compiler(), reason=f"compiling PTX takes numba-cuda: {cuda_compile.INSTALL}")
def test_shipped_ptx_is_what_the_compiler_makes():
    kernel = losses.common()[0]
    text = kernel.text("cuda")
    made = cuda_compile.portable(kernel.name, cuda_compile.compiled(kernel.name, text, cuda_compile.OLDEST))
    assert made == cuda_compile.ptx(kernel.name, text)


def test_text_holds_of_the_headers_what_it_uses(monkeypatch):
    """So a change of one helper asks for other PTX of the kernels that use it, and of no others."""
    before = cuda_shipped.texts()
    monkeypatch.setitem(cuda_text._HELPERS, "cuda", cuda_text._HELPERS["cuda"] + "\ndef unused(x):\n    return x\n")
    assert cuda_shipped.texts() == before
    with_sums = [name for name, text in before.values() if "def block_sum(" in text]
    assert 0 < len(with_sums) < len(before)


@ptx.needs_assembler
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_shipped_ptx_assembles_without_stack_or_spills(kernel, tmp_path):
    for arch in ptx.ARCHITECTURES:
        spilled, registers = ptx.assemble(ptx.of(kernel), arch, tmp_path)
        assert spilled == 0, arch
        assert registers <= (168 if isinstance(kernel, cuda_elements.Elements) else 128), arch
