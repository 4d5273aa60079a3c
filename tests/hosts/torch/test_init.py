"""Initializers: torch's distributions, and the same weights for any layout and number of threads."""

import math

import pytest
import torch

import fastopt as fo
from fastopt.torch import init

CASES = {
    "uniform_": {"a": -0.5, "b": 2.0}, "normal_": {"mean": 1.0, "std": 0.5}, "trunc_normal_": {"std": 0.02, "b": 0.03},
    "xavier_uniform_": {}, "xavier_normal_": {"gain": 2.0}, "kaiming_uniform_": {"a": math.sqrt(5)},
    "kaiming_normal_": {"mode": "fan_out", "nonlinearity": "relu"},
}  # fmt: skip


@pytest.mark.parametrize("name", CASES, ids=str)
def test_distributions_are_torchs(name):
    torch.manual_seed(0)
    mine = getattr(init, name)(torch.empty(300, 400), **CASES[name])
    yours = getattr(torch.nn.init, name)(torch.empty(300, 400), **CASES[name])
    for quantile in (0.01, 0.25, 0.5, 0.75, 0.99):
        wanted = yours.quantile(quantile)
        assert abs(mine.quantile(quantile) - wanted) < 0.03 * float(yours.std()), quantile


@pytest.mark.parametrize("name", [*CASES, "orthogonal_"], ids=str)
def test_weights_depend_on_the_seed_alone(name):
    found, before = [], fo.get_num_threads()
    for threads, layout in ((1, False), (2, True)):
        fo.set_num_threads(threads)
        w = torch.empty(40, 3, 5, 5)
        w = w.to(memory_format=torch.channels_last) if layout else w
        torch.manual_seed(3)
        found.append(getattr(init, name)(w, **CASES.get(name, {})))
    fo.set_num_threads(before)
    assert torch.equal(*found)


def test_orthogonal():
    w = init.orthogonal_(torch.empty(4, 6), gain=2.0)
    torch.testing.assert_close(w @ w.t(), 4.0 * torch.eye(4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_types(dtype):
    w = torch.nn.Parameter(torch.zeros(100, 100, dtype=dtype))
    assert abs(float(init.normal_(w).detach().double().std()) - 1.0) < 0.05


def test_wrong_calls():
    with pytest.raises(RuntimeError, match="uniform_ expects"):
        init.uniform_(torch.empty(3), 1.0, 0.0)
    with pytest.raises(RuntimeError, match="std >= 0"):
        init.normal_(torch.empty(3), std=-1.0)
    with pytest.raises(ValueError, match="2 or more"):
        init.orthogonal_(torch.empty(3))
    with pytest.raises(TypeError, match="expected float32"):
        init.uniform_(torch.empty(3, dtype=torch.int32))
