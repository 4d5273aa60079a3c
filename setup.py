"""Builds the Cython kernels. Everything declarative stands in pyproject.toml."""

import os
import sys
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

# Errno and traps would forbid packed square roots; contraction would change the bits from one CPU to the
# next. Never -ffast-math: at link time it turns subnormals off for the whole process.
# Threads of jumps would copy a loop's body for each outcome of a choice, and turn one select into many masks.
FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fno-thread-jumps", "-Wno-attributes"]


def extension(path: str) -> Extension:
    return Extension(
        "fastopt." + path.replace("/", "."),
        [path + ".pyx"],
        include_dirs=["kernels/runtime", numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=FLAGS,
        extra_link_args=["-pthread", *(["-ldl"] if sys.platform == "linux" else [])],
        depends=INCLUDED,
    )


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
