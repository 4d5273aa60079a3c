"""Losses of elements on a GPU: the kernels' text, their PTX, and calls as people make them on the stand-in."""

import host
import numpy as np
import ptx
import pytest
import recipes
import stand_in as control

import fastopt as fo
from fastopt.kernels.losses import cuda
from fastopt.kernels.losses.cuda_rows import Kinds
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.kernels.runtime import pipeline

RULES = [name for name, kernel in KERNELS.items() if cuda.is_of_elements(kernel)]


def case(name, sizes, dtype="float32"):
    """Return a kernel, its scalars, jobs, and the sum of values and the jobs after the CPU's kernel."""
    rng = np.random.default_rng(5)
    kernel, scalars = KERNELS[name], rng.uniform(0.1, 0.9, len(KERNELS[name].scalars))
    jobs, total = [], 0.0
    for n in sizes:
        job = {key: rng.uniform(0.0, 1.0, n).astype(dtype) for key in ("y_true", "y_pred", "gradient")}
        if n > 100:
            job["y_pred"][rng.integers(0, n, len(recipes.SPECIAL))] = recipes.SPECIAL
        jobs.append(job)
    expected = recipes.copies(jobs)
    with np.errstate(all="ignore"):
        for job in expected:
            values = np.zeros_like(job["y_pred"])
            slots = {**job, "value": values}
            pipeline.run(
                ((kernel, kernel.buffers, 1),), slots, values.size, dtype=dtype, target="cython", grain=pipeline.GRAIN,
                scalars=tuple(scalars.tolist()),
            )  # fmt: skip
            total += values[np.isfinite(values)].astype(np.float64).sum()
    return cuda.elements(kernel, Kinds(dtype, dtype, dtype), True), scalars, jobs, expected, total


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RULES)
def test_text_has_the_bits_of_the_cpu(name, dtype):
    kernel, scalars, jobs, expected, _ = case(name, recipes.SIZES, dtype)
    host.run(kernel, jobs, [scalars])
    assert recipes.different(jobs, expected) == []


@pytest.mark.parametrize("name", RULES)
def test_ptx_has_the_bits_of_the_text(name):
    kernel, scalars, jobs, *_ = case(name, (33, 300))
    found = recipes.copies(jobs)
    sums = host.run(kernel, jobs, [scalars])
    text = ptx.of(kernel)
    measured, _ = ptx.run(text, kernel, found, [scalars])
    assert recipes.different(jobs, found) == []
    np.testing.assert_array_equal(measured, sums)
    facts = ptx.facts(text)
    facts.pop("float64")  # the sums
    facts.pop("fma")  # exp and log write them themselves
    assert facts == dict.fromkeys(facts, 0)


# ---- as people call them

LOSSES = {
    "mean squared": fo.losses.MeanSquaredError(), "summed": fo.losses.MeanAbsoluteError("sum"),
    "huber": fo.losses.Huber(0.3), "logits": fo.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
    "probabilities": fo.losses.BinaryCrossentropy(), "hinge": fo.losses.Hinge(),
    "log cosh": fo.losses.LogCosh(),
    "focal": fo.losses.BinaryFocalCrossentropy(),
}  # fmt: skip


def arrays(shape=(40, 25), dtype=np.float32):
    rng = np.random.default_rng(2)
    return rng.integers(0, 2, shape).astype(dtype), rng.uniform(0.1, 0.9, shape).astype(dtype)


@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient(gpu, name):
    loss, (y_true, y_pred) = LOSSES[name], arrays()
    value, gradient = loss.value_and_grad(y_true, y_pred)
    with fo.target("cuda"):
        given = control.on_device([y_true, y_pred])
        found, own = loss.value_and_grad(*given)
        alone = loss(*given)
        again, in_place = loss.value_and_grad(*given, out=given[1])
    np.testing.assert_allclose([found, alone, again], value, rtol=1e-6)
    np.testing.assert_array_equal(own.copy(), gradient)
    np.testing.assert_array_equal(in_place.array, gradient)


def test_values_outside_the_domain_have_the_sentence_of_the_cpu(gpu):
    y_true, y_pred = arrays()
    y_pred[3, 4] = 1.5
    loss = fo.losses.BinaryCrossentropy()
    with pytest.raises(ValueError) as expected:  # noqa: PT011
        loss(y_true, y_pred)
    with fo.target("cuda"), pytest.raises(ValueError) as found:  # noqa: PT011
        loss(*control.on_device([y_true, y_pred]))
    assert str(found.value) == str(expected.value)


def test_nan_travels(gpu):
    y_true, y_pred = arrays()
    y_pred[0, 0] = np.nan
    with fo.target("cuda"):
        assert np.isnan(fo.losses.BinaryCrossentropy()(*control.on_device([y_true, y_pred])))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda t, p: fo.losses.Huber()(t, p.array), TypeError, "y_pred: expected an array on a GPU"),
        (lambda t, p: fo.losses.Huber()(t.array, p), TypeError, "y_true: expected an array on a GPU"),
        (lambda t, p: fo.losses.Huber()(control.Array(t.array[:3]), p), ValueError, r"y_true: expected shape \(40, 25"),
        (lambda t, p: fo.losses.Huber().value_and_grad(t, p, out=t), ValueError, "out: expected memory apart from y_t"),
        (lambda t, p: fo.losses.Huber()(t, p, sample_weight=t), ValueError, r"sample_weight: expected shape \(40,\)"),
        (lambda t, p: fo.losses.GaussianNLL()(t, p, p), NotImplementedError, "no kernel for gaussian_nll yet"),
    ],
)  # fmt: skip
def test_calls_that_are_refused(gpu, call, error, words):
    with fo.target("cuda"), pytest.raises(error, match=words):
        call(*control.on_device(arrays()))
