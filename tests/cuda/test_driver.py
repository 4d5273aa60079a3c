"""The driver module and the launch path, on a stand-in for libcuda.so.1: what runs, and what every failure says."""

import subprocess
import sys
import threading

import ml_dtypes
import numpy as np
import pytest
import recipes
import stand_in as control

import fastopt as fo
from fastopt.kernels.optimizers import cuda
from fastopt.kernels.runtime import cuda as launches
from fastopt.kernels.runtime import cuda_arrays, driver, settings

PTX = ".version 7.0\n.target sm_80\n"


@pytest.fixture
def no_compiler(monkeypatch):
    """Kernels' PTX is not needed where the stand-in runs their text on the host."""
    monkeypatch.setattr(launches, "ptx", lambda kernel: f"{PTX}// {kernel.name}")


def adam(sizes=(3, 300, 8193), seed=0):
    """Return a recipe, its kernel, jobs, their arrays on the device, and the jobs after the CPU's step."""
    recipe = recipes.recipe("adam")
    kernel, rng = cuda.elements(recipe), np.random.default_rng(seed)
    jobs = recipes.jobs(recipe, sizes, rng)
    rule = rng.uniform(0.1, 0.9, len(recipe.kernel.scalars))
    expected = recipes.copies(jobs)
    recipes.by_cpu(recipe, expected, rule)
    return recipe, kernel, jobs, rule, expected


def bound(recipe, kernel, jobs, rule):
    sizes = [job["param"].size for job in jobs]
    device = driver.driver().device(0)
    made = launches.DeviceJobs(
        device, sizes, [0] * len(sizes), range(len(sizes)), len(recipe.columns), (1, len(kernel.scalars)), "float32"
    )
    made.pointers[...] = [[job[name].ctypes.data for name in recipe.columns] for job in jobs]
    made.scalars[...], made.words[...] = [*recipes.STAGES.values(), *recipes.WORDS, *rule], recipes.WORDS
    return made


def test_launch_path_has_the_bits_of_the_cpu(stand_in, no_compiler):
    recipe, kernel, jobs, rule, expected = adam()
    stand_in.register(kernel)
    before = stand_in.launches
    bound(recipe, kernel, jobs, rule).run([kernel])
    assert recipes.different(jobs, expected) == []
    assert stand_in.launches == before + 1


def test_a_call_uses_a_block_of_its_own_while_others_are_under_way(stand_in, no_compiler):
    recipe, kernel, jobs, rule, _ = adam()
    stand_in.register_nothing(kernel)
    made = bound(recipe, kernel, jobs, rule)
    used = []
    for _ in range(launches.IN_FLIGHT + 1):
        made.run([kernel])
        used.append(made._ring[-1][0].memory.address)
    assert len(set(used)) == launches.IN_FLIGHT
    assert used[0] == used[-1]


def test_a_graph_keeps_the_block_that_it_copies_again(stand_in, no_compiler):
    recipe, kernel, jobs, rule, _ = adam()
    stand_in.register_nothing(kernel)
    made = bound(recipe, kernel, jobs, rule)
    stand_in.set(capturing=1)
    made.run([kernel])
    with pytest.raises(driver.CudaError, match="run it once outside"):
        made.run([kernel])
    stand_in.set()
    made.run([kernel])
    kept = {block.memory.address for block in made._captured}
    assert kept.isdisjoint(block.memory.address for block, _ in made._ring)
    stand_in.set(capturing=1)
    made.run([kernel])
    assert len(made._captured) == 2


def test_two_threads_launch_at_once(stand_in, no_compiler):
    cases = [adam(seed=k) for k in range(2)]
    stand_in.register(cases[0][1])
    made = [bound(*case[:4]) for case in cases]
    threads = [threading.Thread(target=one.run, args=([case[1]], k)) for k, (one, case) in enumerate(zip(made, cases))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for *_, jobs, _, expected in cases:
        assert recipes.different(jobs, expected) == []


# ---- what goes wrong


def why(stand_in, **state):
    stand_in.set(**state)
    driver.driver.cache_clear()
    return driver.why_not()


def test_where_the_target_cannot_be_used_it_says_why(stand_in, monkeypatch):
    assert driver.why_not() == ""
    assert "too old: it supports CUDA 10.2" in why(stand_in, driver=10020)
    assert "no NVIDIA GPU" in why(stand_in, count=0)
    stand_in.set()
    stand_in.fail("cuInit", 100)
    assert "no NVIDIA GPU" in why(stand_in)
    stand_in.fail("cuInit", 803)
    assert "CUDA error 803" in why(stand_in)
    monkeypatch.setattr(driver, "LIBRARY", "libcuda-that-is-not-there.so")
    assert "no NVIDIA driver" in why(stand_in)
    with (
        pytest.raises(RuntimeError, match="target 'cuda' was asked for, but there is no NVIDIA driver"),
        fo.target("cuda"),
    ):
        pass
    assert settings.why_no_cuda() == driver.why_not()


def test_an_old_device_is_refused(stand_in):
    stand_in.set(capability=7)
    with pytest.raises(driver.CudaError, match=r"compute capability 7\.0.*8\.0 \(Ampere\)"):
        driver.driver().device(0)


def test_no_memory_left(stand_in):
    device = driver.driver().device(0)
    stand_in.fail("cuMemAlloc_v2", 2)
    with pytest.raises(MemoryError, match="no memory left for 123 bytes"):
        driver.DeviceMemory(device, 123)
    stand_in.fail("cuMemHostAlloc", 2)
    with pytest.raises(MemoryError, match="no memory left for 16 bytes"):
        driver.PinnedMemory(device, 16)


def test_a_late_error_names_the_launch_before(stand_in, no_compiler):
    recipe, kernel, jobs, rule, _ = adam()
    stand_in.register_nothing(kernel)
    made = bound(recipe, kernel, jobs, rule)
    made.run([kernel])
    stand_in.fail("cuMemcpyHtoDAsync_v2", 700)
    with pytest.raises(driver.CudaError, match=r"launch before, adam_float32, failed .*700.*start it anew"):
        made.run([kernel])


def test_a_rare_kernel_without_the_compiler_says_what_to_install(monkeypatch, tmp_path):
    from fastopt.kernels.runtime import cuda_compile, jit

    monkeypatch.setattr(cuda_compile, "has_compiler", lambda: False)
    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path)
    with pytest.raises(RuntimeError, match=r"rare_thing is not among .*pip install 'fastopt\[cuda\]'"):
        cuda_compile.ptx("rare_thing", "not shipped")


# ---- arrays


def test_arrays_by_their_interface(stand_in):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = cuda_arrays.device_array(control.Array(x), "x")
    assert found[:6] == (x.ctypes.data, (2, 3), "float32", 0, True, None)
    assert found.nbytes == 24
    turned = cuda_arrays.device_array(control.Array(x.T), "x")
    assert turned.layout == (1, 3)
    assert not cuda_arrays.device_array(control.Array(x, read_only=True), "x").writable
    half = x.astype(ml_dtypes.bfloat16)
    assert cuda_arrays.device_array(control.Array(half), "x").dtype == "bfloat16"
    stand_in.set(ordinal=3)
    assert cuda_arrays.device_array(control.Array(x), "x").ordinal == 3


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (np.zeros(3), TypeError, "x: expected an array on a GPU.*numpy.ndarray of float64 and shape .3,. in the host"),
        ([1.0], TypeError, "x: expected an array on a GPU.*list"),
        (control.Array(np.zeros((4, 4))[::2]), ValueError, "x: expected an array whose elements fill its memory"),
        (control.Array(np.zeros(3, np.complex64)), TypeError, "x: expected one of float32.*<c8"),
    ],
)
def test_arrays_that_are_refused(stand_in, value, error, words):
    with pytest.raises(error, match=words):
        cuda_arrays.device_array(value, "x")


def test_an_address_of_the_hosts_is_refused(stand_in):
    stand_in.set(memory=1)
    with pytest.raises(TypeError, match="x: expected memory on a GPU, got an address of the host's"):
        cuda_arrays.device_array(control.Array(np.zeros(3)), "x")


def test_a_tensor_of_the_hosts_is_refused(stand_in):
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"x: expected a tensor on a GPU.*on cpu; move it with \.cuda\(\)"):
        cuda_arrays.device_array(torch.zeros(3), "x")


class _Tensor:
    """What the target asks of torch's tensors, over the stand-in's memory."""

    is_cuda, device = True, type("device", (), {"index": 0})

    def __init__(self, array, dtype="torch.float32"):
        self.array, self.shape, self.dtype = array, array.shape, dtype

    def data_ptr(self):
        return self.array.ctypes.data

    def is_contiguous(self):
        return self.array.flags.c_contiguous

    def stride(self):
        return tuple(step // self.array.itemsize for step in self.array.strides)

    def get_device(self):
        return 0

    def numel(self):
        return self.array.size


def test_tensors_by_their_address(stand_in):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert cuda_arrays.device_array(_Tensor(x), "x")[:6] == (x.ctypes.data, (2, 3), "float32", 0, True, None)
    assert cuda_arrays.device_array(_Tensor(x.T), "x").layout == (1, 3)
    assert cuda_arrays.quick(_Tensor(x), (2, 3), 0) == (x.ctypes.data, "float32", True)
    assert cuda_arrays.quick(_Tensor(x), (3, 2), 0) is None
    assert cuda_arrays.quick(_Tensor(x), (2, 3), 1) is None
    assert cuda_arrays.quick(_Tensor(x.T), (3, 2), 0) is None
    half = _Tensor(x.astype(ml_dtypes.bfloat16), "torch.bfloat16")
    assert cuda_arrays.device_array(half, "x").dtype == "bfloat16"
    with pytest.raises(TypeError, match=r"x: expected one of .*torch\.complex64"):
        cuda_arrays.device_array(_Tensor(x, "torch.complex64"), "x")


def test_import_loads_nothing_of_it():
    own = "[m for m in sys.modules if m.startswith('fastopt') and ('cuda' in m or 'driver' in m)]"
    code = f"import fastopt as fo, sys; fo.optimizers.Adam, fo.losses.Huber; print({own})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class _Foreign:
    """An array that tells by DLPack alone, as JAX's do."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return cuda_arrays.CUDA, 0

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)


def test_arrays_by_dlpack(stand_in):
    x = np.arange(6.0).reshape(2, 3)
    found = cuda_arrays.device_array(_Foreign(x), "x")
    assert found[:6] == (x.ctypes.data, (2, 3), "float64", 0, True, None)
    x.flags.writeable = False
    assert not cuda_arrays.device_array(_Foreign(x), "x").writable


def test_own_arrays_come_and_go(stand_in):
    x = np.arange(5, dtype=np.float32)
    made = cuda_arrays.OwnArray(driver.driver().device(0), (5,), x.dtype)
    np.testing.assert_array_equal(made.copy(), np.zeros(5))
    made.fill(x)
    np.testing.assert_array_equal(made.copy(), x)
    assert cuda_arrays.device_array(made, "x").address == made.place.address


def test_every_function_of_the_table_is_the_stand_ins(library):
    import ctypes

    loaded = ctypes.CDLL(str(library))
    assert all(hasattr(loaded, name) for name in driver.ARGUMENTS)
