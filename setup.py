"""Builds the Cython kernels. Everything declarative stands in pyproject.toml."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

# Errno and traps would forbid packed square roots; contraction would change the bits from one CPU to the
# next. Never -ffast-math: at link time it turns subnormals off for the whole process.
# Threads of jumps would copy a loop's body for each outcome of a choice, and turn one select into many masks.
FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fno-thread-jumps", "-Wno-attributes"]


def openmp_flags() -> list[str]:
    """Return the flag that makes this compiler link OpenMP, or none, said loudly."""
    compiler = os.environ.get("CC", "cc").split()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n")
        command = [*compiler, str(source), "-fopenmp", "-o", str(Path(folder, "probe"))]
        if subprocess.run(command, capture_output=True).returncode == 0:
            return ["-fopenmp"]
    print("*** fastopt: no OpenMP in this compiler; the kernels will run on one thread ***", file=sys.stderr)
    return []


def extension(path: str) -> Extension:
    openmp = OPENMP if path.endswith("launch") else []
    return Extension(
        "fastopt." + path.replace("/", "."),
        [path + ".pyx"],
        include_dirs=["kernels/runtime", numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=FLAGS + openmp,
        extra_link_args=openmp,
        depends=INCLUDED,
    )


OPENMP = openmp_flags()
# An sdist holds these because extensions depend on them.
INCLUDED = [str(path) for kind in ("h", "pxd") for path in sorted(Path("kernels").glob(f"*/*.{kind}"))]
MODULES = [str(path.with_suffix("")) for path in sorted(Path("kernels").glob("*/*.pyx"))]

setup(
    ext_modules=cythonize(
        [extension(path) for path in MODULES],
        build_dir="build/cython",
        nthreads=0,
        compiler_directives={
            "language_level": "3",
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": False,
        },
    ),
    options={"build_ext": {"parallel": os.cpu_count()}},
)
