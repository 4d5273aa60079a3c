"""Every kernel's machine code holds vector instructions: Numba's, and each clone of what is compiled ahead of time."""

import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from fastopt.kernels.runtime.kernel import DTYPES, module
from fastopt.table import OPS

KERNELS = {(kernel.family, kernel.name): kernel for op in OPS for kernel in op.kernels}
EACH_KERNEL = [pytest.param(kernel, id=f"{family}-{name}") for (family, name), kernel in KERNELS.items()]


def packed(text, dtype, registers):
    """Return whether a listing holds packed arithmetic of a type in such registers; every x86-64 has the x."""
    kind = "s" if dtype == "float32" else "d"
    return bool(re.search(rf"\bv(?:add|sub|mul|div|sqrt|max|min)p{kind}\s[^\n]*%{registers}mm", text))


@cache
def disassembly(path):
    """Return the machine code of a shared object, by symbol."""
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True)
    parts = re.split(r"^[0-9a-f]+ <(.+)>:$", listing.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


needs_listing = pytest.mark.skipif(
    platform.machine() != "x86_64" or shutil.which("objdump") is None or not Path("/proc/cpuinfo").exists(),
    reason="needs an x86 CPU and objdump",
)


@needs_listing
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_numba_kernels_hold_vector_instructions(kernel, dtype, tmp_path):
    if " avx2 " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this CPU has no wide registers")
    if kernel.sequential:
        pytest.skip(kernel.sequential)
    # Numba can't list a kernel that came from its cache, but the cached file holds it, as an object file
    folder = Path(module(kernel, dtype).__file__).parent / "__pycache__"
    cached = max(folder.glob("*.nbc"), key=lambda path: path.stat().st_mtime).read_bytes()
    (tmp_path / "kernel.o").write_bytes(cached[cached.index(b"\x7fELF") :])
    # Beside 8-byte numbers, 4-byte ones fill half a register, and LLVM stays at 256 bits where it says the CPU prefers
    # them: so the arithmetic of the type is in registers of any width, and wide ones are in use.
    listing = "".join(disassembly(tmp_path / "kernel.o").values())
    assert packed(listing, dtype, "[xyz]")
    assert re.search(r"%[yz]mm", listing)


@needs_listing
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_compiled_kernels_hold_vector_instructions_for_each_cpu(kernel, dtype):
    if kernel.sequential:
        pytest.skip(kernel.sequential)
    compiled = __import__(f"fastopt.kernels.{kernel.family}.compiled", fromlist=["KERNELS"])
    parts = list(Path(compiled.__file__).parent.glob(f"compiled*{Path(compiled.__file__).suffix}"))
    stems = [part.name.partition(".")[0] for part in parts]
    modules = "|".join(f"{len(stem)}{stem}" for stem in stems)  # as Cython writes them into its symbols
    code = {symbol: listing for part in parts for symbol, listing in disassembly(part).items()}
    for clone, registers in (("arch_x86_64_v3", "y"), ("arch_x86_64_v4", "[yz]")):
        name = f"__pyx_fuse_{DTYPES.index(dtype)}__pyx_f_.*(?:{modules})_{kernel.name}.{clone}"
        listings = [listing for symbol, listing in code.items() if re.fullmatch(name, symbol)]
        if not any(clone in symbol for symbol in code):
            pytest.skip("this build has no clones, or no symbols")
        assert listings, f"{kernel.name}: no such symbol"
        for symbol in re.findall(rf"call .*<(\S+\.{clone})>", "".join(listings)):  # a clone's helpers, not inlined
            listings.append(code.get(symbol, ""))
        assert packed("".join(listings), dtype, registers), clone
