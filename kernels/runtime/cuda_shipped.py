"""Which kernels come compiled: `python -m fastopt.kernels.runtime.cuda_shipped` writes their PTX anew.

Run it (with `fastopt[cuda]` installed, no GPU needed) after a change of a rule or of the generator; a test says when.
"""

import zipfile
from importlib import import_module

from fastopt.kernels.runtime import cuda_compile

MODULES = (
    "optimizers.cuda", "losses.cuda", "normalization.cuda", "normalization.cuda_groups", "initializers.cuda",
    "arrays.cuda",
)  # fmt: skip
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # so that the same PTX makes the same file


def texts() -> dict[str, tuple[str, str]]:
    """Return the name and the text of every kernel that comes compiled, by key."""
    kernels = [kernel for room in MODULES for kernel in import_module(f"fastopt.kernels.{room}").common()]
    made = [(kernel.name, kernel.text("cuda")) for kernel in kernels]
    return {cuda_compile.key(text): (name, text) for name, text in made}


def write() -> None:
    """Compile what is new, and write the archive."""
    made = {key: (name, cuda_compile.ptx(name, text)) for key, (name, text) in texts().items()}
    with zipfile.ZipFile(cuda_compile.SHIPPED, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for key, (name, ptx) in sorted(made.items(), key=lambda item: item[1][0]):
            info = zipfile.ZipInfo(f"{name}_{key}.ptx", LONG_AGO)
            archive.writestr(info, ptx, zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    write()
