"""The promises of the house that no single op shows: what the import costs, threads, forks, compiling, settings.

Right results, equal bits, NaN and clear refusals, op by op, stand in test_table.py; machine code in
test_machine_code.py.
"""

import asyncio
import os
import re
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.runtime import jit, settings
from fastopt.table import FAMILIES, OPS

COMPILED = ("cython", "numba")
CPU_TARGETS = (*COMPILED, "reference")
HEAVY = ("numba", "llvmlite", "scipy", "torch", "jax", "keras", "sklearn", "rich", "typer", "matplotlib", "pandas")


def python(code, **environment):
    """Return what a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def refused(code, **environment):
    """Return the last line of the traceback of a fresh interpreter that fails."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1, done.stdout
    return done.stderr.strip().splitlines()[-1]


# ---- the import


def test_subnormals_survive_the_import():
    code = (
        "import numpy as np, fastopt as fo\n"
        "w, v = np.full(100, 1e-310), np.full(100, 1e-40, np.float32)\n"
        "fo.optimizers.SGD([w, v], lr=0.5).step([w.copy(), v.copy()])\n"
        "print(1e-310 / 2 != 0, w[0] != 0, v[0] != 0, (np.full(9, 1e-38, np.float32) * np.float32(0.1)).all())"
    )
    assert python(code) == "True True True True"


def test_the_import_brings_nothing_heavy():
    assert python(f"import sys, fastopt; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_the_import_adds_at_most_50_ms_to_numpy(tmp_path):
    code = (  # the processor's time: what others do on the machine is not ours; nothing waits in an import
        "from time import process_time as now\nimport numpy\nstart = now()\nimport fastopt\nprint(now() - start)"
    )
    compiled = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}  # as an installed package is
    python(code, **compiled)
    added = [float(python(code, **compiled)) for _ in range(7)]
    assert min(added) <= 0.05, added  # the machine can only add to it


def test_every_family_works_without_docstrings():
    code = (
        "import numpy as np, fastopt as fo\n"
        "families = [getattr(fo, name) for name in fo.__all__]\n"
        "print(fo.losses.huber(np.zeros(2), np.ones(2)), fo.losses.huber.__doc__)"
    )
    assert python(code, PYTHONOPTIMIZE="2", PYTHONDONTWRITEBYTECODE="1") == "0.5 None"


def test_no_op_on_cython_imports_numba():
    code = (
        "import sys, numpy as np, fastopt as fo\n"
        "from fastopt.table import OPS\n"
        "assert fo.get_target() == 'cython'\n"
        "for op in OPS:\n"
        "    shape = min((s for s in op.shapes if np.prod(s) > 6), key=np.prod)\n"
        "    for options in op.options:\n"
        "        for dtype in ('float32', 'float64'):\n"
        "            op.call(options, op.inputs(np.random.default_rng(0), shape, dtype, options))\n"
        "print(len(OPS), 'numba' in sys.modules)"
    )
    assert python(code, FASTOPT_TARGET="cython") == f"{len(OPS)} False"


# ---- threads and forks


def trained(seed, steps=20, size=100_003):
    rng = np.random.default_rng(seed)
    params = [rng.standard_normal(size).astype("float32"), rng.standard_normal((30, 7))[:, ::2]]
    optimizer = fo.optimizers.AdamW(params)
    for _ in range(steps):
        optimizer.step([rng.standard_normal(param.shape).astype(param.dtype) for param in params])
    return [param.tobytes() for param in params]


@pytest.mark.parametrize("target", COMPILED)
def test_python_threads_may_step_at_once(target):
    with fo.target(target):
        expected = [trained(seed) for seed in range(4)]
    results = {}

    def work(seed):
        with fo.target(target):
            results[seed] = trained(seed)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    assert [results[seed] for seed in range(4)] == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("target", COMPILED)
def test_a_forked_child_steps(target):
    code = """
import os, sys, numpy as np, fastopt as fo
def trained():
    w = np.linspace(-1, 1, 1_000_003)
    optimizer = fo.optimizers.Adam(w)
    for _ in range(3):
        optimizer.step(np.cos(w))
    return w.tobytes()
expected = trained()        # the pool's threads are there from here on
child = os.fork()
if child == 0:
    os._exit(0 if trained() == expected and len(os.listdir('/proc/self/task')) == 2 else 7)
print(os.waitpid(child, 0)[1], trained() == expected)
"""
    assert python(code, FASTOPT_TARGET=target, FASTOPT_NUM_THREADS="2") == "0 True"


# ---- one pass, in place, and nothing lost


@pytest.mark.parametrize("target", COMPILED)
def test_a_step_makes_no_hidden_copy(target):
    params = [np.zeros((1000, 100)), np.zeros((1000, 200))[:, ::2], np.zeros((100, 1000)).T]
    grads = [np.ones((1000, 100)), np.asfortranarray(np.ones((1000, 100))), np.broadcast_to(1.0, (1000, 100))]
    optimizer = fo.optimizers.AdamW(params)
    with fo.target(target):
        optimizer.step(grads)
        tracemalloc.start()
        try:
            optimizer.step(grads)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < params[0].nbytes / 10


@pytest.mark.parametrize("target", CPU_TARGETS)
def test_a_failed_step_changes_nothing(target):
    params = [np.ones(5), np.ones((4, 4), np.float32)[::2, ::-1], np.ones(())]
    grads = [np.full(param.shape, 0.5, param.dtype) for param in params]
    optimizer = fo.optimizers.RMSprop(params, momentum=0.5, centered=True)
    with fo.target(target):
        optimizer.step(grads)
        before = [array.copy() for array in params], optimizer.state_dict()
        wrong = [None, np.ones(()), np.ones((2, 5), np.float32), np.ones((2, 4), "i4"), params[1], [[1.0] * 4] * 2, "x"]
        for bad in wrong:
            with pytest.raises((ValueError, TypeError), match=r"^grads\[1\]: expected .*, got "):
                optimizer.step([grads[0], bad, grads[2]])
    np.testing.assert_equal((params, optimizer.state_dict()), before)


# ---- compiling


def test_changing_hyper_parameters_never_compiles():
    from numba.core import event

    w = np.ones(9, np.float32)
    optimizers = [
        fo.optimizers.AdamW(w, lr=lambda step: 0.1 / (step + 1)),
        fo.optimizers.SGD(np.ones(9), momentum=0.5),
    ]
    with fo.target("numba"):
        for optimizer in optimizers:
            optimizer.step(np.ones_like(optimizer.state[0][next(iter(optimizer.state[0]))]))
        before = len(jit.compiled)
        with event.install_recorder("numba:compile") as recorder:
            for lr, decay, betas in ((0.5, 0.1, (0.8, 0.9)), (0.25, 0.0, (0.0, 0.5)), (1.0, 2.0, (0.9, 0.99))):
                for _ in range(3):
                    optimizers[0].step(np.ones(9, np.float32))
                    optimizers[1].step(np.ones(9))
                optimizers[0].lr = optimizers[1].lr = lr
                optimizers[0].groups[0].update(weight_decay=decay, betas=betas, eps=lr, maximize=decay == 0)
                optimizers[1].groups[0].update(weight_decay=decay, momentum=0.9, dampening=0.1)
            fo.optimizers.AdamW(np.ones(3, np.float32), lr=0.125, betas=(0.1, 0.2)).step(np.ones(3, np.float32))
    assert recorder.buffer == []
    assert len(jit.compiled) == before


def test_the_recorder_sees_a_compilation(tmp_path):
    from numba.core import event

    (tmp_path / "rules.py").write_text(f"def fresh(x):\n    return x + {os.getpid()}.25\n")
    before = len(jit.compiled)
    with event.install_recorder("numba:compile") as recorder:
        load_rule(tmp_path / "rules.py")
    assert recorder.buffer
    assert jit.compiled[before:] == ["fresh[float64]"]


def load_rule(path):
    names: dict = {}
    exec(path.read_text(), names)
    loop = jit.elementwise_loop(names["fresh"], ("x", "y"), ("y",), ())
    return jit.load("fresh", "float64", jit.typed_source(path), loop)


STEP_ON_NUMBA = (
    "import numpy as np, fastopt as fo\n"
    "w = np.ones(3)\n"
    "with fo.target('numba'): fo.optimizers.SGD(w, lr=0.5).step(np.ones(3))\n"
    "from fastopt.kernels.runtime import jit\n"
    "print(w.tolist(), jit.cache_folder())"
)


@pytest.mark.parametrize("size", [0, 40])
def test_a_truncated_cache_heals_itself(tmp_path, size):
    expected = f"[0.5, 0.5, 0.5] {tmp_path}"
    assert python(STEP_ON_NUMBA, FASTOPT_CACHE_DIR=str(tmp_path)) == expected
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".py", ".nbi", ".nbc"}
    whole = {path.name for path in files}
    for path in files:
        os.truncate(path, size)
    assert python(STEP_ON_NUMBA, FASTOPT_CACHE_DIR=str(tmp_path)) == expected
    healed = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in healed} == whole
    assert all(path.stat().st_size > size for path in healed)


# ---- settings


@pytest.mark.parametrize(
    ("affinity", "files", "expected"),
    [
        (8, {}, 8),
        (8, {"/sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        (8, {"/sys/fs/cgroup/cpu.max": "250000 100000\n"}, 2),
        (8, {"/sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        (2, {"/sys/fs/cgroup/cpu.max": "400000 100000\n"}, 2),
        (8, {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 8),
        (8, {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_threads_are_counted_by_affinity_and_cgroup(monkeypatch, affinity, files, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(affinity)), raising=False)
    monkeypatch.setattr(settings, "_read", files.get)
    assert settings.available_cpus() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_process_bound_to_one_cpu_uses_one_thread():
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); import fastopt as fo; print({})"
    assert python(code.format("fo.get_num_threads()")) == "1"


def test_the_environment_sets_threads_and_target():
    code = "import fastopt as fo; print(fo.get_num_threads(), fo.get_target())"
    assert python(code, FASTOPT_NUM_THREADS="3", FASTOPT_TARGET="reference") == "3 reference"


@pytest.mark.parametrize("name", ["FASTOPT_NUM_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "²", "1000000000000"])
def test_a_wrong_thread_count_in_the_environment_is_refused(text, name):
    line = refused("import fastopt as fo; fo.get_num_threads()", **{"FASTOPT_NUM_THREADS": "", name: text})
    assert re.fullmatch(rf"ValueError: {name}: expected an integer .*, got .*", line)


@pytest.mark.parametrize("text", ["gpu", "Cython", ""])
def test_a_wrong_target_in_the_environment_is_refused(text):
    line = refused(
        "import numpy as np, fastopt as fo; fo.optimizers.SGD(np.ones(3)).step(np.ones(3))", FASTOPT_TARGET=text
    )
    assert line == f"ValueError: FASTOPT_TARGET: expected one of 'cython', 'numba', 'reference', 'cuda', got {text!r}"


def test_cuda_is_refused_with_its_reason():
    with pytest.raises(RuntimeError, match=r"target 'cuda' was asked for, but .+"), fo.target("cuda"):
        pass
    line = refused("import fastopt as fo; fo.get_target()", FASTOPT_TARGET="cuda")
    assert line.startswith("RuntimeError: target 'cuda' was asked for, but ")


@pytest.mark.parametrize("count", [0, -1, 1.0, "2", None, True, 10**12, np.int64(0)])
def test_a_wrong_thread_count_is_refused(count):
    before = fo.get_num_threads()
    with pytest.raises(ValueError, match=r"^count: expected an integer .*, got "):
        fo.set_num_threads(count)
    assert fo.get_num_threads() == before


def test_a_thread_count_may_be_a_numpy_integer():
    before = fo.get_num_threads()
    try:
        fo.set_num_threads(np.int64(3))
        assert fo.get_num_threads() == 3
        assert type(fo.get_num_threads()) is int
    finally:
        fo.set_num_threads(before)


@pytest.mark.parametrize("name", ["gpu", "", None, 3, ["cython"], np.array(["cython", "numba"])])
def test_an_unknown_target_is_refused(name):
    expected = r"^target: expected one of 'cython', 'numba', 'reference', 'cuda', got "
    with pytest.raises(ValueError, match=expected), fo.target(name):
        pass


def test_targets_nest_and_end_with_their_block():
    default = fo.get_target()
    with fo.target("numba"):
        with fo.target("reference"):
            assert fo.get_target() == "reference"
        assert fo.get_target() == "numba"
        with pytest.raises(ValueError, match="target"), fo.target("nowhere"):
            pass
        assert fo.get_target() == "numba"
        with pytest.raises(KeyError), fo.target("reference"):
            raise KeyError
        assert fo.get_target() == "numba"
    assert fo.get_target() == default


def test_a_target_holds_for_its_thread_and_task_alone():
    seen = {}

    def look():
        seen["thread"] = fo.get_target()

    async def task(name, other):
        with fo.target(name):
            await asyncio.sleep(0)
            return fo.get_target()

    async def both():
        return await asyncio.gather(task("reference", "numba"), task("numba", "reference"))

    default = fo.get_target()
    with fo.target("reference"):
        worker = threading.Thread(target=look)
        worker.start()
        worker.join()
    assert seen["thread"] == default
    assert asyncio.run(both()) == ["reference", "numba"]


def test_every_family_has_ops():
    assert {op.family for op in OPS} <= set(FAMILIES)
