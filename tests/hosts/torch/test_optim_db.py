"""torch's own table of optimizers drives ours: every configuration and error input of the CPU."""

import copy
import warnings

import pytest
import torch
from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

import fastopt.torch

INFOS = {info.name: info for info in optim_db if hasattr(fastopt.torch.optim, info.name)}
CASES = [
    pytest.param(info, k, dtype, id=f"{name}-{k}-{dtype}".replace("torch.", ""))
    for name, info in INFOS.items()
    if not info.only_supports_sparse_grads
    for dtype in (torch.float32, torch.float64)
    for k in range(len(info.optim_inputs_func(device="cpu", dtype=dtype)))
]
SHAPES = [(3, 5), (1, 1), (40, 30), (2, 3)]


def params_of(dtype, shapes=SHAPES):
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in shapes]


def compare(ours, theirs, mine, yours, dtype):
    tolerance = {"rtol": 2e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-9, "atol": 1e-10}
    if dtype == torch.float64 and isinstance(ours, torch.optim.NAdam):
        tolerance = {"rtol": 1e-6, "atol": 1e-6}  # torch rounds the product of its betas to float32 before it is used
    if dtype == torch.float64 and isinstance(ours, torch.optim.Muon):
        tolerance = {"rtol": 1e-6, "atol": 1e-6}  # both iterate in bfloat16, whose roundings may differ
    for p, q in zip(mine, yours, strict=True):
        torch.testing.assert_close(p, q, **tolerance)
        assert set(ours.state[p]) == set(theirs.state[q])
        for name, value in theirs.state[q].items():
            if isinstance(value, torch.Tensor):
                assert ours.state[p][name].dtype == value.dtype, name
                torch.testing.assert_close(ours.state[p][name], value, **tolerance)


@pytest.mark.parametrize(("info", "k", "dtype"), CASES)
def test_trajectory_and_state(info, k, dtype):
    given = info.optim_inputs_func(device="cpu", dtype=dtype)[k]
    keywords = copy.deepcopy(given.kwargs)
    mine, yours = params_of(dtype), params_of(dtype)
    ours = getattr(fastopt.torch.optim, info.name)(mine, **copy.deepcopy(keywords))
    theirs = info.optim_cls(yours, **copy.deepcopy(keywords))
    for step in range(6):
        torch.manual_seed(step)
        for i, (p, q) in enumerate(zip(mine, yours, strict=True)):
            grad = torch.randn_like(p)
            absent = i == 1 and step in (0, 3)
            p.grad, q.grad = (None, None) if absent else (grad, grad.clone())
        ours.step()
        theirs.step()
        compare(ours, theirs, mine, yours, dtype)


ERRORS = [
    pytest.param(name, k, dtype, id=f"{name}-{k}-{dtype}".replace("torch.", ""))
    for name, info in INFOS.items()
    for dtype in (torch.float32, torch.float64)
    for k in range(len(info.optim_error_inputs_func(device="cpu", dtype=dtype)))
]


@pytest.mark.parametrize(("name", "k", "dtype"), ERRORS)
def test_error_inputs(name, k, dtype):
    """As `TestOptimRenewed.test_errors`."""
    error = INFOS[name].optim_error_inputs_func(device="cpu", dtype=dtype)[k]
    given, ours = error.optimizer_error_input, getattr(fastopt.torch.optim, name)
    params = given.params if given.params is not None else params_of(dtype, [(2, 3), (3, 3)])
    if error.error_on == OptimizerErrorEnum.CONSTRUCTION_ERROR:
        if issubclass(error.error_type, Warning):
            with pytest.warns(error.error_type, match=error.error_regex):
                ours(params, **given.kwargs)
        else:
            with pytest.raises(error.error_type, match=error.error_regex):
                ours(params, **given.kwargs)
    else:
        optimizer = ours(params, **given.kwargs)
        for param in params:
            param.grad = torch.ones_like(param)
        with warnings.catch_warnings(), pytest.raises(error.error_type, match=error.error_regex):
            optimizer.step()


def sparse_options(info, dtype):
    """What the table says of sparse gradients; every configuration where it knows no others."""
    every = info.optim_inputs_func(device="cpu", dtype=dtype) if info.only_supports_sparse_grads else []
    return [info.metadata_for_sparse[0], *[given.kwargs for given in every]]


SPARSE = [
    pytest.param(name, keywords, dtype, id=f"{name}-{number}-{dtype}".replace("torch.", ""))
    for name, info in INFOS.items()
    if info.supports_sparse or info.only_supports_sparse_grads
    for dtype in (torch.float32, torch.float64)
    for number, keywords in enumerate(sparse_options(info, dtype))
]


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch's own Adagrad
@pytest.mark.parametrize(("name", "keywords", "dtype"), SPARSE)
def test_sparse_gradients(name, keywords, dtype):
    """With the options that the table has for them; rows are named more than once, or not at all."""
    mine, yours = params_of(dtype, [(20, 3), (5, 2)]), params_of(dtype, [(20, 3), (5, 2)])
    ours = getattr(fastopt.torch.optim, name)(mine, **copy.deepcopy(keywords))
    theirs = INFOS[name].optim_cls(yours, **copy.deepcopy(keywords))
    for step in range(5):
        torch.manual_seed(step)
        for p, q in zip(mine, yours, strict=True):
            rows = torch.randint(0, len(p), (0 if step == 2 else 7,))
            values = torch.randn(len(rows), p.shape[1], dtype=dtype)
            p.grad, q.grad = (torch.sparse_coo_tensor(rows[None], values, p.shape) for _ in range(2))
        ours.step()
        theirs.step()
        compare(ours, theirs, mine, yours, dtype)
