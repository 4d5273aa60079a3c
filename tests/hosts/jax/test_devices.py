"""Several CPU devices, which JAX has from its start or never: in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

CHECKS = ["loss_of_shards", "steps_of_shards", "both_devices_at_once", "weights_on_any_device"]


def test_programs_over_two_devices():
    flags = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("several_devices.py")], env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == CHECKS, done.stderr
