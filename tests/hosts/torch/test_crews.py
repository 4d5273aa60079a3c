"""Calls on the workers of a host: torch's OpenMP, which torch itself loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastopt.kernels.runtime import launch

torch = pytest.importorskip("torch")
LIBRARY = str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")
PRELUDE = f"""
import os, numpy as np, torch, fastopt as fo
from fastopt.kernels.runtime import launch
crew = launch.Crew({LIBRARY!r})
def trained():
    w = np.linspace(-1, 1, 1_000_003)
    optimizer = fo.optimizers.Adam(w)
    for _ in range(3):
        optimizer.step(np.cos(w))
    return w.tobytes()
def names():
    return sorted(open(f"/proc/self/task/{{task}}/comm").read().strip() for task in os.listdir("/proc/self/task"))
"""


def python(code, **environment):
    """Return what a fresh interpreter prints."""
    clean = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code], env=clean | environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchs_openmp_is_found_and_no_other():
    assert "omp" in Path(launch.Crew(LIBRARY).found_in).name
    with open("/proc/self/maps") as maps:
        assert any(launch.Crew(LIBRARY).found_in in line for line in maps)


def test_a_library_that_is_not_there_leaves_calls_on_the_pool():
    code = """
nothing = launch.Crew("libnothing_of_this_name.so")
with nothing:
    trained()
print(nothing.found_in, launch.workers())
"""
    assert python(code, FASTOPT_NUM_THREADS="3") == "None 2"


def test_calls_of_a_crew_start_no_worker_of_ours_and_give_the_same_bits():
    code = """
with crew:
    on_host = trained()
started = launch.workers()
print(started, on_host == trained(), launch.workers())
"""
    assert python(code, FASTOPT_NUM_THREADS="3") == "0 True 2"


@pytest.mark.parametrize(("told", "expected"), [({}, "2"), ({"FASTOPT_NUM_THREADS": "5"}, "4")])
def test_the_hosts_number_of_threads_holds_unless_fastopt_was_told_one(told, expected):
    """Counted by the threads that there are: torch starts the missing ones."""
    code = """
torch.set_num_threads(3)
before = len(names())
with crew:
    trained()
print(len(names()) - before)
"""
    assert python(code, **told, OMP_NUM_THREADS="7") == expected


def test_blocks_within_blocks_end_with_the_outermost():
    code = """
with crew:
    with crew:
        trained()
    trained()
print(launch.workers())
trained()
print(launch.workers())
"""
    assert python(code, FASTOPT_NUM_THREADS="2").split() == ["0", "1"]


def test_a_crew_is_of_its_python_thread_alone():
    code = """
import threading
with crew:
    other = threading.Thread(target=trained)
    other.start()
    other.join()
print(launch.workers())
"""
    assert python(code, FASTOPT_NUM_THREADS="2") == "1"


def test_a_forked_child_of_a_host_steps_on_its_own_pool():
    code = """
torch.set_num_threads(2)
with crew:
    expected = trained()
    child = os.fork()
    if child == 0:
        os._exit(0 if trained() == expected and launch.workers() == 1 else 7)
    print(os.waitpid(child, 0)[1], trained() == expected, launch.workers())
"""
    assert python(code) == "0 True 0"


def test_calls_within_a_call_of_a_host():
    """A kernel that calls Python, which calls fastopt, inside a parallel region of torch's OpenMP."""
    code = """
import ctypes
from fastopt.kernels.runtime.launch import Pipeline
from fastopt.kernels.runtime.tables import address
torch.set_num_threads(3)
x = np.linspace(-1, 1, 1_000_003)
expected = fo.arrays.global_norm([x])
inner = []
@ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int64)
def kernel(buffers, dims, scalars, start, stop):
    with crew:
        inner.append(fo.arrays.global_norm([x]) == expected)
    out[start:stop] += 1
out = np.zeros(40)
plan = Pipeline([(ctypes.cast(kernel, ctypes.c_void_p).value, (0,), 1, 0, 0)], (0,))
with crew:
    plan.run(np.array([[address(out)]], np.uintp), np.array([40]), 1, threads=3)
print(set(out.tolist()), all(inner), len(inner))
"""
    assert python(code) == "{1.0} True 40"
