"""From a kernel's text to PTX: shipped, kept from an earlier run, or compiled now by numba-cuda.

PTX for sm_80 runs on every GPU from Ampere on: the driver makes machine code of it, and keeps that.
"""

import hashlib
import os
import re
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from threading import RLock

from fastopt.kernels.runtime import jit

SHIPPED = Path(__file__).with_name("cuda_shipped.zip")
OLDEST = (8, 0)  # compute capability; what PTX is made for
PTX_VERSION = "7.0"  # the oldest that knows it, so that old drivers (11.0) read it
INSTALL = "pip install 'fastopt[cuda]'"
_lock = RLock()


def key(text: str) -> str:
    """Return what names the PTX of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def ptx(name: str, text: str) -> str:
    """Return the PTX of a module's text, for every GPU that the target runs on.

    Raises
    ------
    RuntimeError
        If it is neither shipped nor kept, and numba-cuda isn't installed.
    """
    own = key(text)
    if own in shipped():
        with zipfile.ZipFile(SHIPPED) as archive:
            return archive.read(shipped()[own]).decode()
    path = jit.cache_folder() / "cuda" / f"{name[:60]}_{own}.ptx"
    if path.exists() and (kept := path.read_text()).endswith("}\n"):
        return kept
    made = portable(name, compiled(name, text, OLDEST))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
        file.write(made)
    os.replace(file.name, path)
    return made


@cache
def shipped() -> dict[str, str]:
    """Return the names of the kernels whose PTX comes with the package, by key."""
    if not SHIPPED.exists():
        return {}
    with zipfile.ZipFile(SHIPPED) as archive:
        return {Path(name).stem.rpartition("_")[2]: name for name in archive.namelist()}


def portable(name: str, text: str) -> str:
    """Return PTX whose kernel has a name that people can read, in the oldest version that knows its target.

    The same text gives the same PTX, whatever was compiled before it.
    """
    text = re.sub(r"^\.version .*$", f".version {PTX_VERSION}", text, count=1, flags=re.M)
    text = re.sub(r"^\.common .*NumbaEnv.*$\n", "", text, flags=re.M)  # what an exception would look up
    text = re.sub(r"^\s*//.*$\n", "", text, flags=re.M)
    counted = dict.fromkeys(re.findall(r"_cudapy_smem_\d+\b", text))  # numba-cuda numbers them through a process
    own = {shared: f"fastopt_shared_{k}" for k, shared in enumerate(counted)}
    text = re.sub(r"_cudapy_smem_\d+\b", lambda found: own[found.group()], text)
    return text.replace(entry(text), f"fastopt_{name}").rstrip("\0\n ") + "\n"


def has_compiler() -> bool:
    """Return whether numba-cuda is installed, and has taken the place of the CUDA target that Numba itself had."""
    try:
        from numba import cuda
    except ImportError:
        return False
    return "numba_cuda" in Path(cuda.__file__).parts


def compiled(name: str, text: str, capability: tuple[int, int]) -> str:
    """Return PTX made now, for one compute capability. No GPU is asked for."""
    if not has_compiler():
        raise RuntimeError(
            f"target 'cuda': {name} is not among the kernels that come compiled; install the compiler: {INSTALL}"
        )
    from numba import cuda
    from numba.cuda.cudadrv import nvvm

    folder = jit.cache_folder() / "cuda" / f"{name[:60]}_{key(text)}"
    module = jit._import(jit._write(folder, text), f"fastopt_cuda_{key(text)}")
    plain = nvvm.compile_ir
    with _lock:
        # libNVVM makes one operation of a product and a sum unless it is told not to; numba-cuda has no option for it
        nvvm.compile_ir = lambda ir, **options: plain(ir, **{**options, "fma": False})
        try:
            made, _ = cuda.compile(  # type: ignore[attr-defined]
                module.kernel, module.SIGNATURE, cc=capability, device=False, abi="numba", output="ptx"
            )
        finally:
            nvvm.compile_ir = plain
    return made.decode() if isinstance(made, bytes) else made


def entry(text: str) -> str:
    """Return the name of the kernel in PTX."""
    found = re.search(r"\.visible \.entry (\S+?)\(", text)
    assert found is not None
    return found.group(1)
