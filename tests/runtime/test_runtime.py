"""The runtime: pipelines, grains, strided blocks and partial sums."""

import math
from pathlib import Path

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.runtime import jit, pipeline
from fastopt.kernels.runtime.kernel import Kernel, address
from fastopt.kernels.runtime.launch import Pipeline, instruction_set
from fastopt.kernels.runtime.stages import GATHER, SCATTER
from fastopt.kernels.runtime.tables import address as data_address
from fastopt.kernels.runtime.tables import bind
from fastopt.table.optimizers import KERNELS

RUNTIME = Path(__file__).parents[2] / "kernels" / "runtime"  # wheels don't hold the headers
ITEMS = ("i1", "u2", "f4", "i8", "f8", "?")
SGD = KERNELS["sgd"]


def table(*arrays):
    return np.array([[0 if array is None else data_address(array) for array in arrays]], np.uintp)


def numbers(*values):
    return np.array([values], np.int64)


# ---- what a pipeline refuses


@pytest.mark.parametrize("slot", [-1, 2, 100])
def test_a_stage_can_not_name_a_slot_that_is_not_there(slot):
    with pytest.raises(ValueError, match=rf"slot {slot}, but the pipeline has 2"):
        Pipeline([(address(SGD, "float32", "cython"), (0, slot), 1, 0, 0)], (0, 0))


def test_a_pipeline_has_few_slots():
    with pytest.raises(ValueError, match=r"at most 32 slots, got 33"):
        Pipeline([], (0,) * 33)
    with pytest.raises(ValueError, match=r"at most 32 slots, got 33"):
        Pipeline([(address(SGD, "float32", "cython"), (0,) * 33, 1, 0, 0)], (0, 0))


@pytest.mark.parametrize(("grain", "block"), [(0, 0), (-1, 0), (8, -1)])
def test_grains_and_blocks_have_a_size(grain, block):
    x = np.ones(3)
    plan = Pipeline([(address(SGD, "float64", "cython"), (0, 1), 1, 0, 0)], (0, 0))
    with pytest.raises(ValueError, match=r"grain: expected .* got -?\d+"):
        plan.run(table(x, x), np.array([3]), grain, block, scalars=np.zeros((1, 3)))


def test_a_kernel_has_an_address_on_compiled_targets_alone():
    for target in ("cython", "numba"):
        assert address(SGD, "float32", target) != address(SGD, "float64", target) != 0
    with pytest.raises(
        ValueError, match=r"^target: expected 'cython' or 'numba' for a compiled kernel, got 'reference'"
    ):
        address(SGD, "float32", "reference")


# ---- strided arrays


def views(rng, dtype):
    """Return views of odd strides: each a way to hold elements apart, backwards, turned or again."""
    memory = (rng.standard_normal((7, 6, 5, 4)) * 100).astype(dtype)
    return {
        "steps": memory[::2, ::3, ::2, ::3],
        "backwards": memory[::-1, ::-1, ::-1, ::-1],
        "turned": memory.transpose(2, 0, 3, 1),
        "rows apart": memory[:, :, :, 1:3],
        "a line": memory[:, 1, 2, 3],
        "a diagonal": np.lib.stride_tricks.as_strided(memory, (4,), (sum(memory.strides),)),
        "lengths of 1": memory[2:3, :, 4:5, ::2],
        "again": np.broadcast_to(memory[:, :1, 2, 3], (7, 9)),
        "one for all": np.broadcast_to(memory[0, 0, 0, 0], (3, 1, 4)),
        "a record's field": np.zeros(33, [("x", "i1"), ("y", dtype)])["y"],
    }


@pytest.mark.parametrize("block", [1, 3, 64])
@pytest.mark.parametrize("dtype", ITEMS)
def test_gather_and_scatter_move_every_element_to_its_place(dtype, block):
    for name, source in views(np.random.default_rng(0), dtype).items():
        dims = pipeline.strides(source)
        target = np.zeros((source.size, 3), dtype)[:, 1]
        packed = np.zeros(source.size, dtype)
        plan = Pipeline(
            [
                (GATHER[source.itemsize], (0, 1), 1, 0, 0),
                (SCATTER[source.itemsize], (2, 1), 1, len(dims), 0),
                (GATHER[source.itemsize], (2, 3), 1, len(dims), 0),
            ],
            (0, source.itemsize, 0, 0),
        )
        sizes = numbers(*dims, *pipeline.strides(target))
        plan.run(table(source, None, target, packed), np.array([source.size]), 10, block, dims=sizes, threads=2)
        np.testing.assert_array_equal(target, source.ravel(), err_msg=name)
        np.testing.assert_array_equal(packed, source.ravel(), err_msg=name)


def test_neighbouring_axes_are_merged():
    a = np.zeros((4, 5, 6))
    assert pipeline.strides(a) == (1, 120, 8)
    assert pipeline.strides(a[:, :, ::2]) == (1, 60, 16)
    assert pipeline.strides(a[:, :, :3]) == (2, 20, 3, 48, 8)
    assert pipeline.strides(a[::2]) == (2, 2, 30, 480, 8)
    assert pipeline.strides(a[:1, :1, :1]) == (1, 1, 0)
    assert pipeline.strides(np.zeros(())) == (1, 1, 0)


@pytest.mark.parametrize("target", ["cython", "numba"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("block", [0, 1, 7])
def test_strided_arrays_through_a_kernel(target, threads, block):
    before = fo.get_num_threads()
    fo.set_num_threads(threads)
    rng = np.random.default_rng(0)
    memory, grads = rng.standard_normal((9, 8, 7)), rng.standard_normal((14, 8, 9))
    for k in range(3):
        own = memory.copy()
        param = (own[::2, ::-1], own.T[:, 1:2, :3], own[4])[k]
        grad = (grads.T[:5, :, ::2], grads[::2, :1, :3], np.broadcast_to(grads[0, 0, :7], (8, 7)))[k]
        expected = param - 0.5 * (grad + 0.25 * param)
        pipeline.run(
            [(SGD, ("p", "g"), 1)], {"p": param, "g": grad}, param.size,
            dtype="float64", target=target, grain=50, block=block, scalars=(0.5, 0.25, 1.0),
        )  # fmt: skip
        np.testing.assert_array_equal(param, expected)
    fo.set_num_threads(before)


def test_elements_between_those_of_a_view_stay_as_they_were():
    memory = np.arange(100.0)
    pipeline.run(
        [(SGD, ("p", "g"), 1)], {"p": memory[5:90:7], "g": np.ones(13)}, 13,
        dtype="float64", target="cython", grain=4, block=3, scalars=(1.0, 0.0, 1.0),
    )  # fmt: skip
    expected = np.arange(100.0)
    expected[5:90:7] -= 1.0
    np.testing.assert_array_equal(memory, expected)


# ---- jobs, grains and blocks


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("grain", [1, 4, 1000])
def test_jobs_of_all_sizes_run_with_their_own_scalars(threads, grain):
    params = [np.ones(n) for n in (0, 1, 13, 0, 0, 8, 100, 0)]
    grads = [np.full(param.size, float(k)) for k, param in enumerate(params)]
    plan = Pipeline([(address(SGD, "float64", "cython"), (0, 1), 1, 0, 0)], (0, 0))
    rows = np.array([k % 3 for k in range(len(params))])
    scalars = np.array([[lr, 0.0, 1.0] for lr in (0.5, 0.25, 0.125)])
    plan.run(
        np.concatenate([table(*pair) for pair in zip(params, grads, strict=True)]),
        np.array([param.size for param in params]),
        grain, 3, scalars=scalars, scalars_row=rows, threads=threads,
    )  # fmt: skip
    for k, param in enumerate(params):
        np.testing.assert_array_equal(param, np.full(param.size, 1 - scalars[k % 3, 0] * k))


def test_stages_share_a_block_of_scratch_that_is_each_threads_own():
    """x → scratch → y through SGD with p = 0 there: a block that another thread wrote would show."""
    x, y, zero = np.arange(10_000.0), np.zeros(10_000), np.zeros(10_000)
    dims = pipeline.strides(zero)
    plan = Pipeline(
        [
            (GATHER[8], (2, 3), 1, 0, 0),  # scratch ← 0
            (address(SGD, "float64", "cython"), (3, 0), 1, 0, 0),  # scratch ← −x
            (SCATTER[8], (1, 3), 1, 0, 0),  # y ← scratch
        ],
        (0, 0, 0, 8),
    )
    arrays = table(x, y, zero, None)
    plan.run(arrays, np.array([x.size]), 64, 16, dims=numbers(*dims), scalars=np.array([[1.0, 0.0, 1.0]]), threads=7)
    np.testing.assert_array_equal(y, -x)


@pytest.fixture(scope="module")
def total(tmp_path_factory):
    """A kernel that adds up its range, one element after the other, compiled by Numba."""
    path = tmp_path_factory.mktemp("rules") / "total.py"
    path.write_text(
        "def total(x, dims, scalars, start, stop, partials):\n"
        "    for i in range(start, stop):\n"
        "        partials[0] += x[i]\n"
        "        partials[1] += 1.0\n"
    )
    names: dict = {}
    exec(path.read_text(), names)
    body = jit.handwritten(names["total"], ("x",), {})
    return jit.load("total", "float64", jit.typed_source(path), body).kernel.address


def added(values):
    """Return the sum, one after the other (Python's own sum has compensated since 3.12)."""
    total = 0.0
    for value in values:
        total += float(value)
    return total


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("block", [0, 1, 5])
def test_partial_sums_are_added_in_the_order_of_grains(total, threads, block):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(1003), np.ones(5)
    plan = Pipeline([(total, (0,), 1, 0, 0)], (0,))
    pointers, units = np.concatenate([table(x), table(y), table(y)]), np.array([1003, 0, 5])
    each = plan.run(pointers, units, 10, block, partials=2, threads=threads, per_grain=True)
    sums = plan.run(pointers, units, 10, block, partials=2, threads=threads)
    assert (each.shape, sums.shape) == ((102, 2), (3, 2))
    grains = [added(x[k : k + 10]) for k in range(0, 1003, 10)]
    np.testing.assert_array_equal(each[:101, 0], grains)
    np.testing.assert_array_equal(each[:, 1], [10.0] * 100 + [3.0, 5.0])
    assert added(grains[::-1]) != added(grains)  # or the order would not be tested
    np.testing.assert_array_equal(sums, [[added(grains), 1003.0], [0.0, 0.0], [5.0, 5.0]])


def test_no_partial_sums_are_asked_for(total):
    w = np.ones(3)
    done = pipeline.run(
        [(SGD, ("p", "g"), 1)], {"p": w, "g": np.ones(3)}, 3,
        dtype="float64", target="cython", grain=2, scalars=(0.5, 0.0, 1.0),
    )  # fmt: skip
    assert done is None
    np.testing.assert_array_equal(w, [0.5] * 3)


def test_bind_names_the_first_array_that_can_not_be_used_as_it_is():
    like = [np.ones((2, 3)) for _ in range(3)]
    good = np.ones((2, 3))
    read_only = np.ones((2, 3))
    read_only.setflags(write=False)
    unusable = [
        np.ones((2, 3), np.float32), np.ones((2, 3), ">f8"), np.ones((3, 2)), np.ones(6), np.ones((3, 2)).T,
        np.ones((2, 6))[:, ::2], np.ones(49, np.uint8)[1:].view("f8").reshape(2, 3), [[1.0] * 3] * 2,
    ]  # fmt: skip
    pointers = np.zeros((3, 4), np.uintp)
    assert bind([good] * 3, like, pointers, 2) == -1
    assert pointers[:, 2].tolist() == [data_address(good)] * 3
    assert not pointers[:, [0, 1, 3]].any()
    for array in unusable:
        assert bind([good, array, good], like, pointers, 2) == 1
    assert bind([good, good, read_only], like, pointers, 2) == -1
    assert bind([good, good, read_only], like, pointers, 2, True) == 2


def test_the_machine_is_described():
    assert instruction_set()


# ---- from a rule to a kernel


def test_rules_are_compiled_in_the_kernels_own_type():
    source = jit.typed_source(Path(jit.__file__).parent.parent / "optimizers" / "rules.py")
    assert "real(0.0)" in source
    assert "import" not in source
    assert '"""' not in source


def test_a_kernel_row_knows_its_defaults():
    kernel = Kernel("name", "room", ("x",), ("x",))
    assert (kernel.unit, kernel.scalars, kernel.dims, kernel.rule, kernel.sequential) == ("element", (), (), True, "")


@pytest.mark.parametrize(
    ("shape", "block", "overlaps", "streams"),
    [
        ((8192, 1024), 16, False, True),
        ((8192, 1024), 16, True, False),  # in place: the lines are in the cache already
        ((1000, 1024), 16, False, False),  # a small array: it stays in a cache
        ((8, 1_000_000), 16, False, False),  # 64 MB of scratch memory a thread
        ((8, 1_000_000), 0, False, False),
        ((100, 100_000), 0, False, True),
        ((8_388_608,), 16, False, False),  # blocks of a cache line
    ],
)
def test_what_goes_around_the_cache(shape, block, overlaps, streams):
    x = np.empty(shape, np.float32)
    y = x if overlaps else np.empty_like(x)
    packed, dims = pipeline._packed((), {"x": x, "y": y}, shape[0], 32, block, (7,), "float32", (), ("y",))
    assert [part.streams for part in packed] == [True] * streams
    assert dims == ((7, 32 * math.prod(shape[1:]), x.size) if streams else (7,))
