"""The pool of threads: the same bits for any number, late and slow and stopped workers, forks, exits, and many callers.

A kernel made here holds its grains back where a test says so: so a worker comes late, or is slow.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.runtime import settings
from fastopt.kernels.runtime.launch import Pipeline
from fastopt.kernels.runtime.tables import address

COUNTS = (1, 2, 3, 7, 13, 64)
RUNTIME = Path(__file__).parents[2] / "kernels" / "runtime"
STRESS = Path(__file__).with_name("pool_stress.c")
TASKS = Path("/proc/self/task")
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
on_linux = pytest.mark.skipif(not TASKS.is_dir(), reason="reads Linux's /proc")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@pytest.fixture(autouse=True)
def _threads_as_they_were():
    before = fo.get_num_threads()
    yield
    fo.set_num_threads(before)


def python(code, **environment):
    """Return what a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


PRELUDE = """
import os, signal, sys, threading, time, numpy as np, fastopt as fo
from fastopt.kernels.runtime import launch
x, y = np.linspace(-1, 1, 1_000_003), np.linspace(2, 3, 1_000_003)
def call():
    return fo.arrays.global_norm([x, y])
def read(task, what):
    return open(f"/proc/self/task/{task}/{what}").read().strip()
def workers():
    tasks = os.listdir("/proc/self/task")
    return sorted([int(task) for task in tasks if read(task, "comm").startswith("fastopt-")])
"""


def trained(count, seed=0):
    """Return the bits of arrays after steps on this many threads."""
    fo.set_num_threads(count)
    rng = np.random.default_rng(seed)
    params = [rng.standard_normal(n) for n in (300_001, 17, 64_000)]
    optimizer = fo.optimizers.AdamW(params, clip_norm=1.0)
    for _ in range(4):
        optimizer.step([np.cos(param) for param in params])
    return b"".join(param.tobytes() for param in params)


@pytest.mark.parametrize("count", COUNTS)
def test_the_same_bits_for_any_number_of_threads(count):
    assert trained(count) == trained(1)


# ---- late, slow and stopped workers


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A kernel that writes 1 to each unit, and that holds a grain back where `hold` says so."""
    if COMPILER is None:
        pytest.fail("no C compiler here to make the kernel of this test")
    folder = tmp_path_factory.mktemp("held")
    (folder / "held.c").write_text(
        """
        #include <stdatomic.h>
        #include <stdint.h>
        #include <unistd.h>
        atomic_int hold, begun;      /* microseconds that whoever isn't the caller is held with each grain; who was */
        _Thread_local int caller;
        void set_caller(int yes) { caller = yes; }
        void held(void **buffers, const int64_t *dims, const double *scalars, int64_t start, int64_t stop, double *sums)
        {
            double *out = buffers[0];
            if (!caller) { atomic_fetch_add(&begun, 1); if (hold) usleep((unsigned)hold); }
            else usleep(200);
            for (int64_t i = start; i < stop; i++) { out[i] += 1; sums[0] += 1; }
        }
        """
    )
    library = str(folder / "held.so")
    subprocess.run([COMPILER, "-O1", "-shared", "-fPIC", str(folder / "held.c"), "-o", library], check=True)
    return ctypes.CDLL(library)


def run_held(held, grains, threads):
    """Run the kernel over as many grains of one unit, and return what it wrote and summed."""
    plan = Pipeline([(ctypes.cast(held.held, ctypes.c_void_p).value, (0,), 1, 0, 0)], (0,))
    out = np.zeros(grains)
    held.set_caller(1)
    sums = plan.run(np.array([[address(out)]], np.uintp), np.array([grains]), 1, partials=1, threads=threads)
    held.set_caller(0)
    return out.tolist(), sums.item()


def number(held, name):
    return ctypes.c_int.in_dll(held, name)


def test_every_grain_is_run_once_however_slow_the_workers(held):
    number(held, "hold").value = 3000
    number(held, "begun").value = 0
    for threads in (2, 5):
        assert run_held(held, 60, threads) == ([1.0] * 60, 60.0)
    assert number(held, "begun").value > 0  # or nobody was slow
    number(held, "hold").value = 0


def test_a_slow_worker_keeps_its_own_chunk_alone(held):
    """60 grains of 0.2 ms, and a worker that takes 50 ms for a chunk: the caller does all others."""
    number(held, "hold").value = 50_000
    begin = time.perf_counter()
    assert run_held(held, 30, 2)[1] == 30
    assert time.perf_counter() - begin < 0.5  # its whole share would take 0.75 s
    number(held, "hold").value = 0


@on_linux
def test_a_worker_that_never_comes_is_not_waited_for():
    """The worker may run on the caller's CPU alone, and there only when nobody else wants it."""
    code = """
fo.set_num_threads(2)
expected = call()
(task,) = workers()
cpu = min(os.sched_getaffinity(0))
os.sched_setaffinity(task, {cpu})                     # the worker shares the caller's CPU, and comes last there
os.sched_setscheduler(task, os.SCHED_IDLE, os.sched_param(0))
os.sched_setaffinity(0, {cpu})
time.sleep(0.01)
times = []
for _ in range(200):
    begin = time.perf_counter()
    assert call() == expected
    times.append(time.perf_counter() - begin)
print(sorted(times)[100] < 0.05)
"""
    assert python(code) == "True"


# ---- many callers

NESTED = """
import ctypes
from fastopt.kernels.runtime.launch import Pipeline
from fastopt.kernels.runtime.tables import address
expected = call()
inner = []
@ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int64)
def kernel(buffers, dims, scalars, start, stop):
    inner.append((call() == expected, threading.get_ident()))
    out[start:stop] += 1
out = np.zeros(40)
plan = Pipeline([(ctypes.cast(kernel, ctypes.c_void_p).value, (0,), 1, 0, 0)], (0,))
def outer():
    plan.run(np.array([[address(out)]], np.uintp), np.array([40]), 1, threads=3)
"""


def test_calls_within_a_call():
    """A kernel that calls Python, which calls fastopt, in the caller's thread and in the workers'."""
    code = (
        NESTED
        + "outer()\nprint(set(out.tolist()), all(same for same, _ in inner), len({thread for _, thread in inner}) > 1)"
    )
    assert python(code, FASTOPT_NUM_THREADS="3") == "{1.0} True True"


@pytest.mark.parametrize("wait", [[], ["-DBED_FUTEX=0"]], ids=["futex", "condition variables"])
@pytest.mark.parametrize("sanitizer", [[], ["-fsanitize=thread"]], ids=["plain", "ThreadSanitizer"])
def test_every_chunk_is_run_once_and_no_memory_is_raced_for(tmp_path, sanitizer, wait):
    program = str(tmp_path / "stress")
    flags = ["-std=gnu11", "-O1", "-g", *sanitizer, *wait, f"-I{RUNTIME}"]
    command = [COMPILER, *flags, str(STRESS), "-o", program, "-pthread", "-ldl"]
    built = subprocess.run(command, capture_output=True, text=True)
    if sanitizer and built.returncode:
        pytest.skip(f"this compiler has no ThreadSanitizer: {built.stderr.splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([program], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("right\n", "", 0)


def test_sixty_four_python_threads_call_at_once():
    arrays = [np.linspace(k, k + 1, 200_000 + k) for k in range(8)]
    fo.set_num_threads(3)
    expected = [fo.arrays.global_norm([array]) for array in arrays]
    until, wrong = time.monotonic() + 10, []

    def work(k):
        while time.monotonic() < until:
            if fo.arrays.global_norm([arrays[k % 8]]) != expected[k % 8]:
                wrong.append(k)

    callers = [threading.Thread(target=work, args=(k,)) for k in range(64)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    assert not any(caller.is_alive() for caller in callers)
    assert wrong == []


def test_a_call_from_a_signals_handler():
    code = """
fo.set_num_threads(2)
expected, got = call(), []
def handle(*unused):
    got.append(call())
    signal.setitimer(signal.ITIMER_REAL, 0.001)       # the next one comes after this one's end
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.001)
for _ in range(300):
    assert call() == expected
signal.signal(signal.SIGALRM, signal.SIG_IGN)
print(len(got) > 3, set(got) == {expected})
"""
    assert python(code) == "True True"


@on_linux
def test_workers_take_no_signals_and_carry_a_name():
    code = """
fo.set_num_threads(3)
call()
print([read(task, "comm") for task in workers()])
for task in workers():
    blocked = next(line.split()[1] for line in read(task, "status").splitlines() if line.startswith("SigBlk"))
    assert int(blocked, 16) & 1 << signal.SIGINT - 1
"""
    assert python(code) == "['fastopt-1', 'fastopt-2']"


@on_linux
def test_idle_workers_use_no_cpu():
    code = """
fo.set_num_threads(3)
for _ in range(20):
    call()
time.sleep(0.001)
def used():
    return [read(task, "stat").rsplit(")")[1].split()[11:13] for task in workers()]
before = used()
states = [read(task, "stat").rsplit(")")[1].split()[0] for task in workers()]
time.sleep(0.3)
print(states, used() == before)
"""
    assert python(code) == "['S', 'S'] True"


@on_linux
def test_many_calls_leak_neither_threads_nor_descriptors():
    code = """
x, y = x[:40_000], y[:40_000]
fo.set_num_threads(2)
fo.arrays.global_norm([x, y])
before = len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))
for _ in range(100_000):
    fo.arrays.global_norm([x, y])
print((len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))) == before)
"""
    assert python(code) == "True"


# ---- forks and exits


@forks
@on_linux
def test_a_fork_in_the_middle_of_a_call_and_a_fork_in_a_fork():
    code = """
fo.set_num_threads(3)
expected = call()
stop = threading.Event()
def busy():
    while not stop.is_set():
        call()
other = threading.Thread(target=busy)
other.start()
codes = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        good = call() == expected and launch.workers() == 2
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if call() == expected and launch.workers() == 2 else 8)
        os._exit(0 if good and os.waitpid(grandchild, 0)[1] == 0 else 7)
    codes.append(os.waitpid(child, 0)[1])
stop.set()
other.join()
print(codes == [0] * 20)
"""
    assert python(code + "", PYTHONWARNINGS="ignore::DeprecationWarning") == "True"


@pytest.mark.parametrize("pause", [0, 0.01])
@pytest.mark.parametrize("end", ["sys.exit(0)", "os._exit(0)", "pass"])
def test_exits_with_workers_awake_and_asleep(pause, end):
    code = f"fo.set_num_threads(4)\ncall()\nprint('done', flush=True)\ntime.sleep({pause})\n{end}"
    assert python(code) == "done"


def test_an_exit_while_a_daemon_thread_calls():
    code = """
fo.set_num_threads(2)
def busy():
    while True:
        call()
for _ in range(4):
    threading.Thread(target=busy, daemon=True).start()
time.sleep(0.1)
print("done", flush=True)
"""
    for _ in range(5):
        assert python(code) == "done"


# ---- how many threads there are


@on_linux
def test_as_many_threads_as_can_be_asked_for():
    code = f"""
fo.set_num_threads({settings.MAX_THREADS})
w = np.ones(64 << 20, np.float32)
print(fo.arrays.global_norm([w]), launch.workers() > 1000)
"""
    assert python(code) == f"{float(np.sqrt(64 << 20))!r} True"


@on_linux
def test_threads_that_the_system_refuses_are_told_once():
    code = """
import resource, warnings
fo.set_num_threads(1)
expected = call()
fo.set_num_threads(64)
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (10 << 20), size + (10 << 20)))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    got = {call() for _ in range(3)}
print(got == {expected}, [str(one.message).split(":")[0] for one in told])
"""
    assert python(code) == "True ['the system refused to start threads']"


def test_more_threads_than_the_pool_can_have_are_refused():
    x = np.ones(3)
    plan = Pipeline([], (0,))
    with pytest.raises(ValueError, match="threads: expected at most 4096, got 4097"):
        plan.run(np.array([[address(x)]], np.uintp), np.array([3]), 1, threads=4097)


@pytest.mark.parametrize("wrong", [0, -1, 4097, 10**30, 1.5, "two", None, True])
def test_a_wrong_number_of_threads_is_refused(wrong):
    before = fo.get_num_threads()
    with pytest.raises(ValueError, match=r"^count: expected an integer from 1 to 4096, got "):
        fo.set_num_threads(wrong)
    assert fo.get_num_threads() == before
