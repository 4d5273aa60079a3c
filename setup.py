"""Builds the Cython kernels. Everything declarative stands in pyproject.toml."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext

# Errno and traps would forbid packed square roots; contraction would change the bits from one CPU to the
# next. Never -ffast-math: at link time it turns subnormals off for the whole process.
# Threads of jumps would copy a loop's body for each outcome of a choice, and turn one select into many masks.
# Python's own flags ask for debugging symbols: nine tenths of a wheel.
NEEDED = ["-O3", "-ffp-contract=off"]
WELCOME = ["-fno-math-errno", "-fno-trapping-math", "-fno-thread-jumps", "-Wno-attributes", "-g0"]
NO_CLONES = """
*** fastopt: this compiler makes no clones of a kernel for AVX2 and AVX-512; the kernels will run at SSE2's speed. ***
*** GCC 12 or later with glibc does; CFLAGS=-march=native builds for this very CPU alone. ***
"""

CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class FreshBuild(build):
    """A build whose folder holds nothing of the one before: a file that was renamed would go into the wheel."""

    def run(self) -> None:
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


class Compile(build_ext):
    """Compile with the flags that the compiler at hand knows: the one that setuptools uses."""

    def build_extensions(self) -> None:
        if not hasattr(self.compiler, "compiler_so"):
            raise SystemExit("fastopt: expected GCC or Clang to build the kernels, got another kind of compiler")
        self.need(NEEDED)
        flags = NEEDED + [flag for flag in WELCOME if self.compiles([flag])]
        if not self.compiles(["-DFASTOPT_PROBE"], '#include "kernels/runtime/simd.h"\n' + CLONES):
            print(NO_CLONES, file=sys.stderr)
        for extension in self.extensions:
            extension.extra_compile_args = flags
        self.parallel = CPUS  # said here, since an editable install forgets what setup() is told
        self.extensions.sort(key=lambda extension: -Path(extension.sources[0]).stat().st_size)  # the longest work first
        super().build_extensions()

    def need(self, flags: list[str]) -> None:
        """Say in one sentence what is missing, if the compiler is, or knows no atomics or no threads."""
        command = shlex.join(self.compiler.compiler_so)
        if shutil.which(self.compiler.compiler_so[0]) is None:
            raise SystemExit(f"fastopt: no C compiler found to build the kernels: {command!r} (CC names another)")
        if not self.compiles(flags, "#include <stdatomic.h>\n#include <pthread.h>\n"):
            raise SystemExit(
                f"fastopt: expected a C11 compiler with POSIX threads and {' '.join(flags)}, got {command!r}"
            )

    def compiles(self, flags: list[str], source: str = "") -> bool:
        """Return whether a source compiles with these flags and without a warning."""
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, "probe.c")
            probe.write_text(source + "\nint probe(void) { return 0; }\n")
            command = [*self.compiler.compiler_so, "-I.", *flags, "-Werror", "-c", str(probe), "-o", f"{probe}.o"]
            return subprocess.run(command, capture_output=True).returncode == 0


CLONES = """
#if defined(__x86_64__) && !FASTOPT_CLONES && !defined(__AVX2__)
#error "no clones"
#endif
"""


def extension(path: str) -> Extension:
    return Extension(
        "fastopt." + path.replace("/", "."),
        [path + ".pyx"],
        include_dirs=["kernels/runtime", numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_link_args=["-pthread", *(["-ldl"] if sys.platform == "linux" else [])],
        depends=INCLUDED,
    )


# An sdist holds these because extensions depend on them.
INCLUDED = [str(path) for kind in ("h", "pxd") for path in sorted(Path("kernels").glob(f"*/*.{kind}"))]
MODULES = [str(path.with_suffix("")) for path in sorted(Path("kernels").glob("*/*.pyx"))]

if __name__ == "__main__":  # not in the processes that cythonize starts
    setup(
        cmdclass={"build": FreshBuild, "build_ext": Compile},
        ext_modules=cythonize(
            [extension(path) for path in MODULES],
            build_dir="build/cython",
            nthreads=CPUS,
            compiler_directives={
                "language_level": "3",
                "boundscheck": False,
                "wraparound": False,
                "cdivision": True,
                "initializedcheck": False,
                "freethreading_compatible": False,
            },
        ),
    )
