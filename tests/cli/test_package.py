"""The package as a newcomer meets it: in the checkout, in `dir`, and beside a type checker."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import fastopt as fo

ROOT = Path(__file__).parents[2]


def test_a_checkout_that_hides_the_installed_package_says_what_to_do(tmp_path):
    (tmp_path / "fastopt").symlink_to(ROOT / "fastopt")
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import fastopt"],  # -S: no finder of an installation in place
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(np.__file__).parents[1])])},
        capture_output=True,
        text=True,
    )
    assert done.stderr.splitlines()[-1] == (
        "ImportError: fastopt: this source folder has no kernels, and hides an installed package; run from another "
        "folder, or install this one in place: pip install --editable ."
    )


def test_dir_shows_the_families_before_they_are_used():
    code = "import fastopt, sys; print(*dir(fastopt)); print('fastopt.losses' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, imported = done.stdout.splitlines()
    assert set(fo.__all__) <= set(names.split())
    assert imported == "False"
