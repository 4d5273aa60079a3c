"""Losses of rows on a GPU: their PTX, run step by step, has the bits of the CPU's kernels; and calls as people make
them.
"""

import host
import ml_dtypes
import numpy as np
import ptx
import pytest
import recipes
import stand_in as control

import fastopt as fo
from fastopt.cli import check
from fastopt.kernels.losses import cpu, cuda, cuda_rows, formulas
from fastopt.kernels.losses.cuda_rows import Kinds
from fastopt.table import OPS

CLASSES = 2500
FORMULAS = {  # of a number of classes
    "softmax": lambda n: formulas.categorical_crossentropy(n, True, 0.1, 0.01),
    "softmax, weighed": lambda n: formulas.categorical_crossentropy(n, True, 0.1, 0.0, 0.0, True),
    "sparse": lambda n: formulas.sparse_categorical_crossentropy(n, True, 2),
    "sparse, smoothed": lambda n: formulas.sparse_categorical_crossentropy(n, True, None, 0.1, 0.01),
    "sparse, weighed": lambda n: formulas.sparse_categorical_crossentropy(n, True, 2, 0.0, 0.0, 0.0, True),
    "spread": lambda n: formulas.sparse_categorical_crossentropy(n, True, 2, 0.1, 0.0, 0.0, True),
    "probabilities": lambda n: formulas.categorical_crossentropy(n, False, 0.1),
    "sparse probabilities": lambda n: formulas.sparse_categorical_crossentropy(n, False, 2),
    "generalized": lambda n: formulas.categorical_generalized_cross_entropy(0.7),
    "focal probabilities": lambda n: formulas.categorical_focal_crossentropy(n, 0.25, 2.0, False, 0.1),
    "focal": lambda n: formulas.categorical_focal_crossentropy(n, 0.25, 2.0, True, 0.1),
    "cosine": lambda n: formulas.cosine_proximity(),
    "hinge": lambda n: formulas.categorical_hinge(),
    "tversky": lambda n: formulas.tversky(0.3, 0.7),
    "margin": lambda n: formulas.multi_margin(2, 1.0),
}
OF_PROBABILITIES = (
    "probabilities",
    "probabilities_sparse",
    "generalized_crossentropy",
    "focal_probabilities",
    "overlap",
)


def case(formula, rows, columns, dtype="float32", kind=""):
    """Return a kernel, its arguments, and what the CPU's kernels make: values and gradient, weighed and masked."""
    rng = np.random.default_rng(3)
    name = "softmax_spread" if formula.weighs == "spread" else formula.kernel
    labels, stored = name in cuda_rows.LABELS, ml_dtypes.bfloat16 if kind else dtype
    pred = rng.uniform(0.01, 1, (rows, columns)) if name in OF_PROBABILITIES else rng.normal(0, 3, (rows, columns))
    pred = pred.astype(stored)
    if not labels and name not in OF_PROBABILITIES:
        pred[rows // 2, columns // 2], pred[rows // 3, -1], pred[0, 0] = np.nan, np.inf, -np.inf
        pred[1] *= 1e30  # rows whose squares overflow
    true = rng.integers(0, columns, rows) if labels else rng.dirichlet(np.ones(columns), rows).astype(dtype)
    weight, mask = rng.uniform(0.5, 2, rows).astype(dtype), rng.uniform(size=rows) < 0.8
    classes = rng.uniform(0.5, 2, columns).astype(dtype) if formula.weighs else None
    gradient = np.zeros_like(pred)
    with np.errstate(all="ignore"):
        values = cpu.evaluate(
            "cython", formula, true, pred, gradient, leading=(rows,), factor=0.37, reduced=False, weight=weight,
            mask=mask, class_weight=classes,
        )  # fmt: skip
    kernel, scalars, _ = cuda._kernel(formula, columns, Kinds(kind or dtype, str(true.dtype), dtype), True, 0.37)
    dims = [columns, 1, 1, 1, 1, formula.ignore_class, int(classes is not None)]
    found = np.full(rows, 9, dtype)
    return kernel, [true, pred, pred, found, weight, mask, classes], rows, columns, dims, scalars, values, gradient


def compare(arrays, values, gradient):
    assert recipes.same(arrays[3], values)
    assert recipes.same(arrays[1], gradient)  # it took the predictions' place


@pytest.mark.parametrize("columns", [10, 33, CLASSES])
@pytest.mark.parametrize("name", FORMULAS)
def test_ptx_has_the_bits_of_the_cpu(name, columns):
    kernel, arrays, *rest, values, gradient = case(FORMULAS[name](columns), 3 if columns > 33 else 37, columns)
    ptx.run_rows(ptx.of(kernel), kernel, arrays, *rest)
    compare(arrays, values, gradient)


@pytest.mark.parametrize("columns", [10, 33])
def test_ptx_of_16_bits_has_the_bits_of_the_cpu(columns):
    kernel, arrays, *rest, values, gradient = case(FORMULAS["sparse, smoothed"](columns), 9, columns, kind="bfloat16")
    ptx.run_rows(ptx.of(kernel), kernel, arrays, *rest)
    compare(arrays, values, gradient)


@pytest.mark.parametrize(("name", "columns"), [("sparse, smoothed", 31), ("cosine", 1030)])
def test_text_of_float64_has_the_bits_of_the_cpu(name, columns):
    kernel, arrays, *rest, values, gradient = case(FORMULAS[name](columns), 5, columns, "float64")
    host.run_rows(kernel, arrays, *rest)
    compare(arrays, values, gradient)


OF_ROWS = [kernel for kernel in cuda.common() if isinstance(kernel, cuda_rows.Rows)]


@pytest.mark.parametrize("kernel", OF_ROWS, ids=lambda kernel: kernel.name)
def test_ptx_holds_nothing_inexact(kernel):
    facts = ptx.facts(ptx.of(kernel))
    facts.pop("float64"), facts.pop("fma")  # sums; exp and log write theirs
    assert facts == dict.fromkeys(facts, 0)


def test_warps_of_a_row_leave_room_for_registers():
    """A block of 16 warps may use 128 registers a thread; test_shipped.py counts them."""
    assert max(kernel.shape(1, 1 << 30)[1] for kernel in OF_ROWS) * 128 <= 65536


# ---- as people call them

LABELS = np.array([[3, 0, 2, 1], [2, -1, 1, 0]])
LOSSES = {
    "sparse": fo.losses.SparseCategoricalCrossentropy(True, -1),
    "sparse, all options": fo.losses.SparseCategoricalCrossentropy(
        True, -1, label_smoothing=0.1, z_loss=0.01, logit_softcap=3.0, reduction="sum"
    ),
    "dense": fo.losses.CategoricalCrossentropy(True, 0.1, class_weight=np.linspace(0.5, 2, 7, dtype=np.float32)),
    "cosine": fo.losses.CosineProximity(reduction="sum"),
    "kullback": fo.losses.KLDivergence(),
    "huber": fo.losses.Huber(0.3),
}


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient(gpu, name, weighed):
    rng, loss = np.random.default_rng(4), LOSSES[name]
    y_pred = rng.dirichlet(np.ones(7), (2, 4)).astype(np.float32)
    y_true = LABELS if "sparse" in name else rng.dirichlet(np.ones(7), (2, 4)).astype(np.float32)
    more = {"sample_weight": rng.uniform(size=2).astype(np.float32), "mask": rng.uniform(size=(2, 4)) < 0.7}
    more = more if weighed else {}
    value, gradient = loss.value_and_grad(y_true, y_pred, **more)
    with fo.target("cuda"):
        given = control.on_device([y_true, y_pred])
        placed = {name: control.Array(array) for name, array in more.items()}
        found, own = loss.value_and_grad(*given, **placed)
        again, in_place = loss.value_and_grad(*given, out=given[1], **placed)
    np.testing.assert_allclose([found, again], value, rtol=1e-6)
    np.testing.assert_array_equal(own.copy(), gradient)
    np.testing.assert_array_equal(in_place.array, gradient)


def test_sums_have_the_bits_of_the_cpu(gpu):
    """Many rows: several grains, and a block that ends before its grain."""
    rng = np.random.default_rng(6)
    y_true, y_pred = rng.integers(0, 10, 5001), rng.standard_normal((5001, 10)).astype(np.float32)
    loss = LOSSES["sparse"]
    with fo.target("cuda"):
        found = loss(*control.on_device([y_true, y_pred]))
    assert found == loss(y_true, y_pred)


def test_values_of_samples_stay_on_the_device(gpu):
    rng = np.random.default_rng(4)
    y_pred = rng.standard_normal((2, 4, 7)).astype(np.float32)
    loss = fo.losses.SparseCategoricalCrossentropy(True, -1, reduction="none")
    with fo.target("cuda"):
        found = loss(*control.on_device([LABELS, y_pred]))
    assert hasattr(found, "__cuda_array_interface__")
    np.testing.assert_array_equal(found.copy(), loss(LABELS, y_pred))


@pytest.mark.parametrize("name", ["sparse_categorical_crossentropy", "cosine_proximity"])
def test_check_has_a_kernel_for_every_case(gpu, name):
    verdict = check.check(next(op for op in OPS if op.name == name), ["cuda"])[0]
    assert verdict.passed, verdict.failure
    assert verdict.missing == 0


PRED = np.full((2, 4, 7), 0.5, np.float32)


@pytest.mark.parametrize(
    ("loss", "arrays", "words"),
    [
        (LOSSES["sparse"], {"y_true": LABELS + 5}, "y_true: expected labels in .0, 7., got 8"),
        (LOSSES["sparse"], {"y_true": LABELS[:1]}, r"y_true: expected shape \(2, 4\), got \(1, 4\)"),
        (LOSSES["sparse"], {"y_true": LABELS.astype(np.float32)}, "y_true: expected int64 or int32, got float32"),
        (LOSSES["sparse"], {"sample_weight": np.ones(3, np.float32)}, r"sample_weight: expected shape \(2, 4\)"),
        (LOSSES["sparse"], {"sample_weight": -np.ones(2, np.float32)}, "sample_weight: expected finite numbers ≥ 0"),
        (LOSSES["sparse"], {"sample_weight": np.ones(2)}, "sample_weight: expected float32, got float64"),
        (LOSSES["sparse"], {"mask": np.ones((2, 4), np.int32)}, "mask: expected bool, got int32"),
        (LOSSES["sparse"], {"mask": np.ones(2, bool)}, r"mask: expected shape \(2, 4\), got \(2,\)"),
        (LOSSES["dense"], {"y_true": PRED}, "y_true: expected rows in .0, 1. that sum to 1"),
        (fo.losses.CosineProximity(axis=0), {"y_true": PRED}, "axis: target 'cuda' takes samples along the last axes"),
    ],
)
def test_calls_that_are_refused(gpu, loss, arrays, words):
    given = {name: control.Array(array) for name, array in ({"y_true": LABELS} | arrays).items()}
    with fo.target("cuda"), pytest.raises((TypeError, ValueError, NotImplementedError), match=words):
        loss.value_and_grad(y_pred=control.Array(PRED), **given)
