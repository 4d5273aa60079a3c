"""Optimizers beside torch's own: what their tables of configurations don't try."""

import copy

import pytest
import torch
from pairs import LAYOUTS, close, give, params_of

import fastopt.torch
from fastopt.torch import optim


def test_is_torchs(pair):
    ours, theirs = pair
    assert issubclass(ours, theirs)
    optimizer = ours(params_of())
    assert isinstance(optimizer, theirs)
    assert optimizer.defaults == theirs(params_of()).defaults


def test_schedulers(pair):
    ours, theirs = pair
    mine, yours = params_of(), params_of()
    a, b = ours(mine, lr=0.1), theirs(yours, lr=0.1)
    schedulers = [torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=8, cycle_momentum=False) for o in (a, b)]
    for step in range(6):
        give(step, mine, yours)
        for optimizer, scheduler in zip((a, b), schedulers, strict=True):
            optimizer.step()
            scheduler.step()
    close(a, b, mine, yours)


def test_groups_change_between_steps(pair):
    ours, theirs = pair
    mine, yours = params_of(), params_of()
    a, b = ours(mine[:2]), theirs(yours[:2])
    for step in range(8):
        give(step, mine, yours)
        for optimizer, params in ((a, mine), (b, yours)):
            group = optimizer.param_groups[0]
            if step == 2:
                optimizer.add_param_group({"params": params[2:], "lr": 0.05})
            if step == 3:
                group["lr"] = torch.tensor(0.02)
            if step == 4 and "weight_decay" in group:
                group["weight_decay"] = 0.1
            if step == 5 and "maximize" in group:
                group["maximize"] = True
            optimizer.step()
    close(a, b, mine, yours)


def test_momentum_goes_to_zero_and_back():
    mine, yours = params_of(), params_of()
    a, b = optim.SGD(mine, lr=0.1, momentum=0.9, nesterov=False), torch.optim.SGD(yours, lr=0.1, momentum=0.9)
    for step, momentum in enumerate((0.9, 0.9, 0.0, 0.0, 1.5, 0.5)):
        give(step, mine, yours)
        for optimizer in (a, b):
            optimizer.param_groups[0]["momentum"] = momentum
            optimizer.step()
    close(a, b, mine, yours)


def test_closures_and_hooks(pair):
    ours, _ = pair
    mine, seen = params_of(), []
    a = ours(mine)
    a.register_step_pre_hook(lambda *_: seen.append("before"))
    a.register_step_post_hook(lambda *_: seen.append("after"))

    def closure():
        a.zero_grad()
        loss = sum((p**2).sum() for p in mine)
        loss.backward()
        return loss

    loss = a.step(closure)
    assert seen == ["before", "after"]
    assert float(loss.detach()) > float(closure().detach())


def test_memory_that_moved_is_followed(pair):
    ours, theirs = pair
    mine, yours = params_of(), params_of()
    a, b = ours(mine), theirs(yours)
    old = mine[0].data
    for step in range(4):
        give(step, mine, yours)
        if step == 2:
            before = old.clone()
            mine[0].data = mine[0].data.clone()
        a.step()
        b.step()
    close(a, b, mine, yours)
    assert torch.equal(old, before)


@pytest.mark.parametrize("grads", LAYOUTS, ids=str)
@pytest.mark.parametrize("params", LAYOUTS, ids=str)
def test_layouts(pair, params, grads):
    ours, theirs = pair
    shape = (6, 5, 4, 3)
    torch.manual_seed(0)
    start = torch.randn(shape)
    mine = [torch.nn.Parameter(LAYOUTS[params](start.clone()))]
    yours = [torch.nn.Parameter(start.clone())]
    a, b = ours(mine), theirs(yours)
    for step in range(3):
        torch.manual_seed(step)
        grad = torch.randn(shape)
        mine[0].grad, yours[0].grad = LAYOUTS[grads](grad), grad
        a.step()
        b.step()
    close(a, b, mine, yours)


def test_zero_size_and_scalar_parameters(pair):
    ours, theirs = pair
    mine, yours = params_of(((0,), (), (3, 0), (2, 2))), params_of(((0,), (), (3, 0), (2, 2)))
    a, b = ours(mine), theirs(yours)
    for step in range(2):
        give(step, mine, yours)
        a.step()
        if ours is not optim.Adafactor:  # torch's own divides by zero
            b.step()
    for p, q in zip(mine, yours, strict=True) if ours is not optim.Adafactor else ():
        torch.testing.assert_close(p, q)
    if "step" in a.state[mine[0]]:
        assert a.state[mine[0]]["step"] == 2


def test_versions_are_counted():
    w = torch.nn.Parameter(torch.ones(3))
    loss = (w**2).sum()
    w.grad = torch.ones(3)
    optim.Adam([w]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits(pair, dtype):
    ours, theirs = pair
    mine, yours = params_of(dtype=dtype), params_of(dtype=dtype)
    wide = [torch.nn.Parameter(p.detach().float()) for p in yours]
    a, b = ours(mine, lr=0.01), theirs(wide, lr=0.01)
    for step in range(3):
        give(step, mine, wide)
        for p, q in zip(mine, wide, strict=True):
            q.grad = p.grad.float()
        a.step()
        b.step()
    for p, q in zip(mine, wide, strict=True):
        torch.testing.assert_close(p.float(), q.detach(), rtol=0.03, atol=0.03)


def test_grad_scaler():
    mine, yours = params_of(), params_of()
    a, b = optim.AdamW(mine), torch.optim.AdamW(yours)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(torch.zeros(()))
    for step in range(4):
        give(step, mine, yours)
        for p in mine:
            p.grad *= scaler.get_scale()
        if step == 2:
            mine[1].grad[0] = float("inf")
        else:
            b.step()
        scaler.step(a)
        scaler.update()
    close(a, b, mine, yours)


def test_counts_go_on_beyond_float32():
    w = torch.nn.Parameter(torch.ones(3))
    a = optim.Adam([w])
    w.grad = torch.ones(3)
    a.step()
    a.state[w]["step"].fill_(2.0**24 - 1)
    for _ in range(3):
        a.step()
    assert a._batches[0].table.counts.tolist() == [2**24 + 2]
    assert a.state[w]["step"] == 2.0**24 + 2
    a.step()
    assert a._batches[0].table.counts.tolist() == [2**24 + 3]


REFUSED = {
    "complex": lambda: torch.nn.Parameter(torch.ones(2, dtype=torch.complex64)),
    "meta": lambda: torch.nn.Parameter(torch.ones(2, device="meta")),
}


@pytest.mark.parametrize("kind", REFUSED, ids=str)
def test_nothing_is_stepped_when_one_is_refused(pair, kind):
    ours, _ = pair
    good, bad = torch.nn.Parameter(torch.ones(2, 2)), REFUSED[kind]()
    a = ours([good])
    good.grad = torch.ones(2, 2)
    a.step()
    before, state = good.detach().clone(), copy.deepcopy(a.state_dict()["state"])
    bad.grad = torch.ones_like(bad)
    a.add_param_group({"params": [bad]})
    with pytest.raises(RuntimeError, match=r"expected|complex"):
        a.step()
    assert torch.equal(good, before)
    after = a.state_dict()["state"]
    for name, value in state[0].items() if state else ():
        assert torch.equal(after[0][name], value), name


def test_options():
    mine, yours = params_of(), params_of()
    a = optim.SGD(mine, lr=1.0, clip_norm=0.5, ema_decay=0.5, copy_to="bfloat16")
    b = torch.optim.SGD(yours, lr=1.0)
    start = [p.detach().clone() for p in yours]
    give(0, mine, yours)
    torch.nn.utils.clip_grad_norm_(yours, 0.5)
    a.step()
    b.step()
    for p, q, old in zip(mine, yours, start, strict=True):
        torch.testing.assert_close(p, q)
        torch.testing.assert_close(a.state[p]["average"], 0.5 * old + 0.5 * q.detach())
        assert torch.equal(a.state[p]["copy"], p.detach().bfloat16())


def test_wrong_options():
    with pytest.raises(RuntimeError, match="differentiable: expected False"):
        optim.SGD(params_of(), differentiable=True)
    with pytest.raises((TypeError, ValueError), match="clip_norm"):
        optim.SGD(params_of(), clip_norm=-1.0)
    with pytest.raises(TypeError, match="clip_nrm"):
        optim.SGD(params_of(), clip_nrm=1.0)


def test_an_empty_optimizer_is_torchs_error():
    with pytest.raises(ValueError, match="empty parameter list"):
        fastopt.torch.optim.Adam([])


def test_groups_that_change_in_place_between_steps_are_read_again():
    found = []
    for package in (fastopt.torch.optim, torch.optim):
        w = torch.nn.Parameter(torch.linspace(-1, 1, 7))
        lr = torch.tensor(0.1)
        optimizer = package.Adam([w], lr=lr, betas=(0.9, 0.99))
        group = optimizer.param_groups[0]
        group["betas"] = [0.9, 0.99]
        for k in range(8):
            w.grad = torch.cos(w.detach() + k)
            optimizer.step()
            if k == 1:
                lr.fill_(0.05)
            elif k == 2:
                group["betas"][0] = 0.5
            elif k == 4:
                group |= {"lr": 0.01, "betas": (0.5, 0.9)}
            elif k == 5:
                group["lr"] = 0.02
        found.append(w.detach())
    torch.testing.assert_close(*found)
