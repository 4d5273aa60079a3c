"""torch's own table of operators drives our functions: samples and error inputs of the CPU, values and gradients."""

import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

from fastopt.torch import functional as ours

INFOS = {
    info.name.removeprefix("nn.functional."): info
    for info in op_db
    if info.name.removeprefix("nn.functional.") in ours.__all__ and not info.variant_test_name
}
# A norm of equal elements multiplies what their gradients' roundings leave by 1 / sqrt(eps), 316.
TOLERANCE = {torch.float32: {"rtol": 1e-4, "atol": 5e-5}, torch.float64: {"rtol": 1e-9, "atol": 1e-10}}
MOST = 150  # samples of one function and type
for_each_info = pytest.mark.parametrize("name", sorted(INFOS))
for_each_type = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def test_every_function_has_its_samples():
    assert set(INFOS) == set(ours.__all__)


def outcome(function, sample):
    """Return the value and the gradients of all inputs, or the error's type."""
    inputs, args, kwargs = torch.utils._pytree.tree_map(fresh, (sample.input, sample.args, sample.kwargs))
    leaves = [one for one in torch.utils._pytree.tree_leaves((inputs, args, kwargs)) if isinstance(one, torch.Tensor)]
    value = function(inputs, *args, **kwargs)
    if value.requires_grad:
        torch.manual_seed(1)
        value.backward(torch.randn(value.shape, dtype=value.dtype))
    return value.detach(), [one.grad for one in leaves], [one.detach() for one in leaves]


def fresh(one):
    return one.detach().clone().requires_grad_(one.requires_grad) if isinstance(one, torch.Tensor) else one


@pytest.mark.filterwarnings("ignore")  # torch's advice, on both sides
@for_each_type
@for_each_info
def test_samples(name, dtype):
    info, found = INFOS[name], 0
    samples = [
        sample
        for sample in info.sample_inputs("cpu", dtype, requires_grad=True)
        if "options" not in sample.kwargs  # of torch's own way through chunks
    ]
    for number, sample in enumerate(samples[:: 1 + len(samples) // MOST]):
        torch.manual_seed(number)
        wanted, grads, leaves = outcome(info.op, sample)
        value, own, mine = outcome(getattr(ours, name), sample)
        what = f"{name}, sample {number}: {sample}"
        torch.testing.assert_close(value, wanted, equal_nan=True, **TOLERANCE[dtype], msg=lambda m, w=what: f"{w}\n{m}")
        for one, other in zip([*own, *mine], [*grads, *leaves], strict=True):
            assert (one is None) == (other is None), what
            if one is not None:
                torch.testing.assert_close(
                    one, other, equal_nan=True, **TOLERANCE[dtype], msg=lambda m, w=what: f"{w}\n{m}"
                )
        found += 1
    assert found


@pytest.mark.filterwarnings("ignore")
@for_each_info
def test_error_inputs(name):
    info = INFOS[name]
    if info.error_inputs_func is None:
        return
    for error in info.error_inputs("cpu"):
        sample = error.sample_input
        if "options" in sample.kwargs:
            continue
        with pytest.raises(error.error_type):
            getattr(ours, name)(sample.input, *sample.args, **sample.kwargs)


@pytest.mark.filterwarnings("ignore")
@for_each_info
def test_gradients_are_those_of_finite_differences(name):
    info = INFOS[name]
    samples = [
        sample
        for sample in info.sample_inputs("cpu", torch.float64, requires_grad=True)
        if "options" not in sample.kwargs and 0 < sample.input.numel() < 200
    ]
    assert samples
    for sample in samples[:4]:
        call = lambda x, sample=sample: getattr(ours, name)(x, *sample.args, **sample.kwargs)  # noqa: E731
        assert torch.autograd.gradcheck(call, (fresh(sample.input),), fast_mode=True, nondet_tol=0.0)
