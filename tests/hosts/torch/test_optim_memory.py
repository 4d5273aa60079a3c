"""How long gradients live: a step in the backward pass, and one that keeps none."""

import copy
import weakref

import pytest
import torch
from pairs import DENSE, LAYOUTS, OWN, give, params_of

from fastopt.torch import optim


def test_step_in_backward():
    def model():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))

    mine, yours = model(), model()
    steps = optim.step_in_backward(mine, optim.AdamW, lr=0.1)
    plain = torch.optim.AdamW(yours.parameters(), lr=0.1)
    for _ in range(3):
        mine(torch.ones(2, 4)).sum().backward()
        plain.zero_grad()
        yours(torch.ones(2, 4)).sum().backward()
        plain.step()
    for p, q in zip(mine.parameters(), yours.parameters(), strict=True):
        torch.testing.assert_close(p, q)
        assert p.grad is None
    state = copy.deepcopy(steps.state_dict())
    steps.load_state_dict(state)
    steps.remove()
    mine(torch.ones(2, 4)).sum().backward()
    assert all(p.grad is not None for p in mine.parameters())
    with pytest.raises(ValueError, match="clip_norm"):
        optim.step_in_backward(mine, optim.AdamW, clip_norm=1.0)


def test_gradients_are_never_all_in_memory():
    """While the backward pass steps parameters, the gradient of one of them at most is alive."""
    model = torch.nn.Sequential(*[torch.nn.Linear(50, 50, bias=False) for _ in range(8)])
    params, made, alive = list(model.parameters()), [], []

    def count(param):
        made.append(weakref.ref(param.grad))
        alive.append(sum(gradient() is not None for gradient in made))

    for param in params:
        param.register_post_accumulate_grad_hook(count)
    model(torch.ones(2, 50)).sum().backward()
    assert max(alive) == len(params)
    model.zero_grad()
    made.clear()
    alive.clear()
    optim.step_in_backward(model, optim.SGD, lr=0.1)
    model(torch.ones(2, 50)).sum().backward()
    assert alive == [1] * len(params)


@pytest.mark.parametrize("name", [*DENSE, "Muon", *OWN], ids=str)
@pytest.mark.parametrize("layout", ["packed", "strided"])
def test_a_step_keeps_no_gradient(name, layout):
    mine = params_of(((8, 6), (4, 3)))
    optimizer = getattr(optim, name)(mine, clip_norm=1.0)
    for step in range(2):
        give(step, mine)
        if layout == "strided":
            for p in mine:
                p.grad = LAYOUTS["strided"](p.grad)
        gradients = [weakref.ref(p.grad) for p in mine]
        optimizer.step()
        optimizer.zero_grad()
        assert [gradient() for gradient in gradients] == [None, None]
