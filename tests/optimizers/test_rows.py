"""Steps of single rows: like steps of a table that holds those rows alone, whatever the optimizer and the storage."""

import ml_dtypes
import numpy as np
import pytest
import torch

import fastopt as fo
from fastopt.optimizers import Optimizer

TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", TARGETS)
LAYERS = ("LARS", "LAMB", "Adafactor", "Muon")
BY_ROWS = [name for name in fo.optimizers.__all__ if name not in ("Optimizer", *LAYERS)]
OPTIONS = (
    {},
    {"clip_norm": 1.0, "ema_decay": 0.9},
    {"clip_value": 0.5, "copy_to": "bfloat16", "state_dtype": "bfloat16"},
    {"state_dtype": "8bit", "decoupled_weight_decay": True},
)


def made(name, param, **options):
    weight_decay = {"weight_decay": 0.1} if name not in ("Rprop",) else {}
    if name in ("Rprop", "AdamWScheduleFree"):  # they have no decay to decouple
        options.pop("decoupled_weight_decay", None)
    return getattr(fo.optimizers, name)([param], lr=0.01, **weight_decay, **options)


@for_each_target
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options) or "plain")
@pytest.mark.parametrize("name", BY_ROWS)
def test_rows_step_as_a_table_of_their_own(name, options, target):
    rng = np.random.default_rng(0)
    table, rows = rng.standard_normal((50, 512)).astype(np.float32), np.array([7, 3, 49])
    start, own = table.copy(), np.ones((9, 512), np.float32)  # enough elements for 8-bit state
    own[:3] = table[np.sort(rows)]
    many, few = made(name, table, **options), made(name, own, **options)
    with fo.target(target):
        for _ in range(3):
            grads = rng.standard_normal((3, 512)).astype(np.float32)
            many.step_rows(0, rows, grads)
            few.step([np.concatenate([grads[np.argsort(rows)], np.zeros((6, 512), np.float32)])])
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if "clip_norm" in options else {"rtol": 1e-6, "atol": 1e-7}
    # Second moments draw other random numbers: a code of 2^-3 under a root, in three steps that are up to 10 lr long.
    loose = "state_dtype" in options
    tolerance = {"rtol": 1e-6, "atol": 3 * 10 * 0.01 * 2**-4} if loose else tolerance
    np.testing.assert_allclose(table[np.sort(rows)], own[:3], **tolerance)
    others = np.setdiff1d(np.arange(50), rows)
    np.testing.assert_array_equal(table[others], start[others])
    for key, array in many.state[0].items():
        if key == "steps_of_rows":
            assert set(array[rows]) == {3}
            assert set(array[others]) == {0}
        elif not key.endswith("_of_rows") and not key.endswith("_scale") and array.dtype != np.uint8:
            np.testing.assert_allclose(
                array[np.sort(rows)].astype(float), few.state[0][key][:3].astype(float),
                rtol=2**-6 if loose else 1e-4, atol=2e-2 if loose else 1e-6,
            )  # fmt: skip


@for_each_target
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam", "AdamWScheduleFree"])
def test_each_row_counts_its_own_steps(name, dtype, target):
    """A row that comes late steps as a row that came first did."""
    dtype = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    table = np.ones((3, 5), dtype)
    opt, grads = made(name, table), np.random.default_rng(0).standard_normal((4, 1, 5)).astype(dtype)
    with fo.target(target):
        for grad in grads:
            opt.step_rows(0, np.array([0]), grad)
        for grad in grads:
            opt.step_rows(0, np.array([2]), grad)
    np.testing.assert_array_equal(table[0], table[2])
    np.testing.assert_array_equal(table[1], np.ones(5, dtype))
    np.testing.assert_array_equal(opt.state[0]["steps_of_rows"], [4, 0, 4])
    assert opt.steps == 8


@for_each_target
def test_a_row_named_twice_gets_the_sum(target):
    rng = np.random.default_rng(0)
    one, two = np.ones((6, 4), np.float32), np.ones((6, 4), np.float32)
    rows, grads = np.array([5, 1, 5, 0, 5, 1]), rng.standard_normal((6, 4)).astype(np.float32)
    with fo.target(target):
        fo.optimizers.AdamW([one]).step_rows(0, rows, grads)
        total = np.stack([grads[3], grads[1] + grads[5], grads[0] + grads[2] + grads[4]])
        fo.optimizers.AdamW([two]).step_rows(0, np.array([0, 1, 5]), total)
    np.testing.assert_array_equal(one, two)


def test_torchs_sparse_adam_goes_the_same_way_where_all_rows_are_new():
    rng = np.random.default_rng(0)
    table = rng.standard_normal((30, 8))
    param = torch.nn.Parameter(torch.tensor(table.copy()))
    tiny = {"lr": 0.1, "eps": 1e-14}  # torch adds it before the bias correction there
    opt, judge = fo.optimizers.Adam([table], **tiny), torch.optim.SparseAdam([param], **tiny)
    rows = np.array([3, 29, 0, 3, 11])
    for _ in range(20):
        grads = rng.standard_normal((5, 8))
        param.grad = torch.sparse_coo_tensor(
            torch.tensor(rows[None]), torch.tensor(grads), (30, 8), check_invariants=True
        ).coalesce()
        opt.step_rows(0, rows, grads)
        judge.step()
    np.testing.assert_allclose(table, param.detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic", "exact"])
@pytest.mark.parametrize("target", TARGETS[:2])
def test_threads_change_no_bit(target, rounding):
    rng = np.random.default_rng(0)
    rows, grads = rng.integers(0, 300, 2000), rng.standard_normal((2000, 256)).astype(np.float32)
    bits = set()
    for threads in (1, 2, 3, 7):
        table = np.ones((300, 256), ml_dtypes.bfloat16)
        opt = fo.optimizers.AdamW([table], state_dtype="8bit", rounding=rounding, clip_norm=1.0, ema_decay=0.9)
        before = fo.get_num_threads()
        fo.set_num_threads(threads)
        with fo.target(target):
            opt.step_rows(0, rows, grads)
            opt.step_rows(0, rows, grads)
        fo.set_num_threads(before)
        bits.add((table.tobytes(), *(array.tobytes() for array in opt.state[0].values())))
    assert len(bits) == 1


@for_each_target
@pytest.mark.parametrize(
    "view",
    [lambda a: a[:, ::2], lambda a: a[::2, :20], lambda a: a[::-1, :20], lambda a: np.asfortranarray(a[:, :20])],
)
def test_strided_tables_and_values(view, target):
    rng = np.random.default_rng(0)
    strided = view(rng.standard_normal((12, 40)))
    packed = np.ascontiguousarray(strided)
    rows, grads = np.array([4, 2, 4]), rng.standard_normal((3, 40))[:, ::2]
    with fo.target(target):
        for table in (strided, packed):
            opt = fo.optimizers.Adam([table], ema_decay=0.5)
            opt.step_rows(0, rows, grads)
            opt.step_rows(0, rows, grads)
    np.testing.assert_array_equal(strided, packed)


@for_each_target
def test_vectors_have_rows_of_one_element_and_no_rows_are_no_work(target):
    w = np.ones(5)
    opt = fo.optimizers.SGD([w], lr=0.5)
    with fo.target(target):
        opt.step_rows(0, np.array([3, 1]), np.array([1.0, 2.0]))
        stats = opt.step_rows(0, np.array([], np.int64), np.zeros(0), return_stats=True)
    np.testing.assert_array_equal(w, [1.0, 0.0, 1.0, 0.5, 1.0])
    assert stats == (0.0, 0.0, False)


@for_each_target
def test_scaled_skipped_and_told(target):
    table = np.zeros((4, 3))
    opt = fo.optimizers.SGD([table], lr=1.0)
    with fo.target(target):
        stats = opt.step_rows(0, np.array([1]), np.array([[6.0, 0.0, 8.0]]), grad_scale=2.0, return_stats=True)
        assert stats == (5.0, 5.0, False)
        bad = np.array([[1.0, np.inf, 1.0]])
        assert opt.step_rows(0, np.array([2]), bad, skip_nonfinite=True, return_stats=True).skipped
    assert opt.steps == 1
    np.testing.assert_array_equal(table, [[0, 0, 0], [-3, 0, -4], [0, 0, 0], [0, 0, 0]])


def test_rows_after_whole_steps_go_on_counting_and_whole_steps_are_refused_then():
    table, dense = np.ones((3, 2)), np.ones((3, 2))
    one, two = fo.optimizers.NAdam([table]), fo.optimizers.NAdam([dense])
    grads = np.random.default_rng(0).standard_normal((4, 3, 2))
    for grad in grads[:2]:
        one.step([grad])
        two.step([grad])
    for grad in grads[2:]:
        one.step_rows(0, np.arange(3), grad)
        two.step([grad])
    np.testing.assert_array_equal(table, dense)
    with pytest.raises(ValueError, match=r"^step: expected step_rows, .*got step$"):
        one.step([grads[0]])


@pytest.mark.parametrize("name", ["Adam", "NAdam"])
def test_counts_are_saved_and_loaded(name, tmp_path):
    rng = np.random.default_rng(0)
    table = rng.standard_normal((5, 4))
    one = made(name, table)
    one.step_rows(0, np.array([1, 3]), rng.standard_normal((2, 4)))
    one.save(tmp_path / "state")
    copy = table.copy()
    other = made(name, copy)
    other.load(tmp_path / "state")
    grads = rng.standard_normal((3, 4))
    for opt in (one, other):
        opt.step_rows(0, np.array([0, 1, 2]), grads)
    np.testing.assert_array_equal(table, copy)
    fresh = made(name, copy).state_dict()
    one.load_state_dict(fresh)  # and back to whole steps
    one.step([np.ones((5, 4))])


WRONG = [
    (lambda a: a.update(index=1), ValueError, r"^index: expected an integer in \[0, 1\), got 1"),
    (lambda a: a.update(index="w"), TypeError, "^index: "),
    (lambda a: a.update(rows=[0, 1]), TypeError, "^rows: expected an array of integers"),
    (lambda a: a.update(rows=np.array([0.0, 1.0])), TypeError, "^rows: expected an array of integers"),
    (lambda a: a.update(rows=np.array([[0, 1]])), ValueError, "^rows: expected one axis"),
    (lambda a: a.update(rows=np.array([0, 5])), ValueError, r"^rows: expected numbers in \[0, 5\), got 5"),
    (lambda a: a.update(rows=np.array([-1, 2])), ValueError, r"^rows: expected numbers in \[0, 5\), got -1"),
    (lambda a: a.update(values=np.ones((2, 3))), ValueError, "^values: expected shape"),
    (lambda a: a.update(values=np.ones((2, 4), int)), TypeError, "^values: "),
    (lambda a: a.update(values=None), TypeError, "^values: "),
    (lambda a: a.update(values=a["table"][1:3]), ValueError, "^values: expected memory apart"),
    (lambda a: a.update(grad_scale=0.0), ValueError, "^grad_scale: "),
    (lambda a: a.update(skip_nonfinite="no"), TypeError, "^skip_nonfinite: "),
    (lambda a: a["table"].setflags(write=False), ValueError, "writable"),
]


@pytest.mark.parametrize(("spoil", "error", "words"), WRONG)
def test_a_wrong_call_gets_one_sentence_and_changes_nothing(spoil, error, words):
    table = np.ones((5, 4))
    opt = fo.optimizers.Adam([table])
    arguments = {"index": 0, "rows": np.array([1, 2]), "values": np.ones((2, 4)), "table": table}
    spoil(arguments)
    del arguments["table"]
    with pytest.raises(error, match=words):
        opt.step_rows(**arguments)
    np.testing.assert_array_equal(table, 1.0)
    assert opt.steps == 0
    assert "steps_of_rows" not in opt.state[0]


@pytest.mark.parametrize("name", LAYERS)
def test_optimizers_of_layers_have_no_rows(name):
    opt = getattr(fo.optimizers, name)([np.ones((3, 4))])
    with pytest.raises(TypeError, match=f"^step_rows: expected an optimizer that knows no layers, got {name}"):
        opt.step_rows(0, np.array([0]), np.ones((1, 4)))


def test_a_number_has_no_rows_and_8_bits_need_whole_groups():
    with pytest.raises(ValueError, match=r"^params\[0\]: expected an array that has rows, got shape \(\)"):
        fo.optimizers.Adam([np.ones(())]).step_rows(0, np.array([0]), np.ones(1))
    opt = fo.optimizers.Adam([np.ones((100, 100))], state_dtype="8bit")
    with pytest.raises(ValueError, match="a multiple of 256 elements for 8-bit state, got 100"):
        opt.step_rows(0, np.array([0]), np.ones((1, 100)))


def test_every_optimizer_is_of_one_kind():
    assert {*BY_ROWS, *LAYERS} == {
        name for name in fo.optimizers.__all__ if issubclass(getattr(fo.optimizers, name), Optimizer)
    } - {"Optimizer"}
