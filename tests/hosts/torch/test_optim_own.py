"""What torch lacks: fastopt's own optimizers, options of groups, the reference target."""

import copy

import pytest
import torch
from pairs import OWN, close, give, params_of

import fastopt.torch
from fastopt.torch import optim


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", OWN, ids=str)
def test_what_torch_lacks_is_fastopts(name, dtype):
    mine = params_of(dtype=dtype)
    arrays = [p.detach().numpy().copy() for p in mine]
    a = getattr(optim, name)(mine, lr=0.05, **OWN[name])
    b = getattr(fastopt.optimizers, name)(arrays, lr=0.05, **OWN[name])
    for step in range(4):
        give(step, mine)
        a.step()
        b.step([p.grad.numpy() for p in mine])
    if name == "AdamWScheduleFree":
        a.eval()
        b.eval()
    for p, array in zip(mine, arrays, strict=True):
        torch.testing.assert_close(p.detach(), torch.from_numpy(array), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", OWN, ids=str)
def test_what_torch_lacks_checks_its_arguments(name):
    with pytest.raises(ValueError, match="lr: expected"):
        getattr(optim, name)(params_of(), lr=-1.0)
    with pytest.raises(TypeError, match="lr: expected"):
        getattr(optim, name)(params_of(), lr=lambda step: 0.1)


def test_schedule_free_turns_its_parameters():
    mine = params_of()
    a = optim.AdamWScheduleFree(mine)
    give(0, mine)
    a.step()
    before = [p.detach().clone() for p in mine]
    a.eval()
    with pytest.raises(RuntimeError, match="eval"):
        a.step()
    b = copy.deepcopy(a)
    assert not b.param_groups[0]["train_mode"]
    a.train()
    for p, old in zip(mine, before, strict=True):
        torch.testing.assert_close(p.detach(), old)


def test_groups_by_name():
    model = torch.nn.Sequential(
        torch.nn.Linear(2, 2), torch.nn.LayerNorm(2), torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    )
    optimizer = optim.AdamW(optim.decay_groups(model, 0.3))
    assert [len(group["params"]) for group in optimizer.param_groups] == [3, 5]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]
    rates = [group["lr"] for group in optim.layerwise_rates(model, 1.0, 0.5)]
    assert rates == [0.125, 0.25, 0.5, 1.0]


def test_the_reference_target_judges():
    mine, yours = params_of(), params_of()
    a, b = optim.AdamW(mine), optim.AdamW(yours)
    for step in range(2):
        give(step, mine, yours)
        a.step()
        with fastopt.target("reference"):
            b.step()
    close(a, b, mine, yours)
