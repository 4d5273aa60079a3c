"""Optimizers beside torch's own: what their tables of configurations don't try."""

import copy
import io
import pickle
import weakref

import pytest
import torch

import fastopt.torch
from fastopt.torch import optim

PAIRS = {
    name: (getattr(optim, name), getattr(torch.optim, name)) for name in optim.__all__ if hasattr(torch.optim, name)
}
DENSE = {name: pair for name, pair in PAIRS.items() if name not in ("SparseAdam", "Muon")}
ELEMENTWISE = {name: pair for name, pair in DENSE.items() if name != "Adafactor"}


@pytest.fixture(params=DENSE, ids=str)
def pair(request):
    return DENSE[request.param]


def params_of(shapes=((4, 3), (5,), (2, 3, 4, 5)), dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in shapes]


def give(step, *lists, like=None):
    torch.manual_seed(100 + step)
    for params in zip(*lists, strict=True):
        grad = torch.randn(params[0].shape)
        for param in params:
            param.grad = grad.to(param.dtype).clone() if like is None else torch.empty_like(like(param)).copy_(grad)


def close(ours, theirs, mine, yours):
    for p, q in zip(mine, yours, strict=True):
        torch.testing.assert_close(p, q, rtol=2e-5, atol=1e-5)
        for name, value in theirs.state[q].items():
            torch.testing.assert_close(ours.state[p][name], value, rtol=2e-5, atol=1e-5)


def test_is_torchs(pair):
    ours, theirs = pair
    assert issubclass(ours, theirs)
    optimizer = ours(params_of())
    assert isinstance(optimizer, theirs)
    assert optimizer.defaults == theirs(params_of()).defaults


def test_state_dict_goes_both_ways(pair):
    ours, theirs = pair
    mine, yours = params_of(), params_of()
    a, b = ours(mine), theirs(yours)
    for step in range(3):
        give(step, mine, yours)
        mine[1].grad = yours[1].grad = None if step == 1 else mine[1].grad  # counts of their own
        a.step()
        b.step()
    first, second = copy.deepcopy(a.state_dict()), copy.deepcopy(b.state_dict())
    a, b = ours(mine), theirs(yours)
    a.load_state_dict(second)
    b.load_state_dict(first)
    for step in range(3, 6):
        give(step, mine, yours)
        a.step()
        b.step()
    close(a, b, mine, yours)


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "save"])
def test_copies_go_on(pair, how):
    ours, _ = pair
    mine = params_of()
    a = ours(mine, ema_decay=0.9)
    give(0, mine)
    a.step()
    if how == "deepcopy":
        other, copied = copy.deepcopy((a, mine))
    elif how == "pickle":
        other, copied = pickle.loads(pickle.dumps((a, mine)))
    else:
        file = io.BytesIO()
        torch.save((a, mine), file)
        file.seek(0)
        other, copied = torch.load(file, weights_only=False)
    for step in range(1, 3):
        give(step, mine, copied)
        a.step()
        other.step()
    for p, q in zip(mine, copied, strict=True):
        assert torch.equal(p, q)
        assert torch.equal(a.state[p]["average"], other.state[q]["average"])


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


LAYOUTS = {
    "packed": lambda t: t,
    "channels last": lambda t: t.to(memory_format=torch.channels_last),
    "transposed": lambda t: t.transpose(0, -1).contiguous().transpose(0, -1),
    "strided": lambda t: torch.zeros(*t.shape[:-1], 2 * t.shape[-1])[..., ::2].copy_(t),
}


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


def test_float32_state_of_sixteen_bit_parameters_survives_a_checkpoint():
    mine = params_of(dtype=torch.bfloat16)
    a = optim.AdamW(mine)
    give(0, mine)
    a.step()
    b = optim.AdamW(mine)
    b.load_state_dict(copy.deepcopy(a.state_dict()))
    assert all(torch.equal(a.state[p]["exp_avg"], b.state[p]["exp_avg"]) for p in mine)
    assert b.state[mine[0]]["exp_avg"].dtype == torch.float32


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


def test_eight_bit_state_survives_a_checkpoint():
    mine = params_of(((64, 128),))
    a = optim.Adam(mine, state_dtype="8bit", clip_value=1.0)
    for step in range(3):
        give(step, mine)
        a.step()
    state = a.state[mine[0]]
    assert state["exp_avg"].dtype == torch.uint8
    assert state["exp_avg_scale"].shape == (32,)
    b = optim.Adam(mine, state_dtype="8bit")
    b.load_state_dict(copy.deepcopy(a.state_dict()))
    assert torch.equal(b.state[mine[0]]["exp_avg"], state["exp_avg"])


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


OWN = {
    "Momentum": {}, "Lion": {}, "AdEMAMix": {"alpha_warmup": 5.0, "beta3_warmup": 5.0}, "FTRL": {"l1": 0.01},
    "LARS": {}, "LAMB": {"weight_decay": 0.01}, "AdamWScheduleFree": {"warmup_steps": 2.0},
}  # fmt: skip


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


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch's own Adagrad
@pytest.mark.parametrize("name", ["SparseAdam", "SGD", "Adagrad"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sparse_gradients(name, dtype):
    torch.manual_seed(0)
    mine = torch.nn.Embedding(50, 7, sparse=True, dtype=dtype)
    yours = copy.deepcopy(mine)
    a, b = getattr(optim, name)(mine.parameters(), lr=0.1), getattr(torch.optim, name)(yours.parameters(), lr=0.1)
    for step in range(4):
        ids = torch.randint(0, 50, (30 if step != 2 else 0,))
        for table, optimizer in ((mine, a), (yours, b)):
            optimizer.zero_grad()
            (table(ids) ** 2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(mine.weight, yours.weight, rtol=1e-5, atol=1e-6)
    for key, value in b.state[yours.weight].items():
        torch.testing.assert_close(a.state[mine.weight][key], value, rtol=1e-5, atol=1e-6)


def test_sparse_and_dense_gradients_take_turns():
    torch.manual_seed(0)
    mine = torch.nn.Parameter(torch.randn(6, 2))
    yours = torch.nn.Parameter(mine.detach().clone())
    a, b = optim.Adagrad([mine], lr=0.1), torch.optim.Adagrad([yours], lr=0.1)
    for step in range(4):
        grad = torch.randn(6, 2)
        mine.grad, yours.grad = (grad.to_sparse(1), grad.to_sparse(1)) if step % 2 else (grad, grad.clone())
        a.step()
        b.step()
    torch.testing.assert_close(mine, yours)
    assert a.state[mine]["step"] == 4


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


def test_sparse_gradients_beside_options_are_right_or_refused():
    """Nothing is stepped where a rule's momentum would move rows that a gradient doesn't name."""
    decay = {"weight_decay": 0.1}
    for name, keywords in (("SGD", {"momentum": 0.9}), ("SGD", decay), ("Adagrad", decay)):
        table = torch.nn.Parameter(torch.ones(6, 2))
        dense = torch.nn.Parameter(torch.ones(3))
        optimizer = getattr(optim, name)([dense, table], lr=0.1, **keywords)
        table.grad, dense.grad = torch.ones(6, 2).to_sparse(1), torch.ones(3)
        with pytest.raises(RuntimeError, match=r"dense gradient where there is momentum|not compatible with sparse"):
            optimizer.step()
        assert (table == 1.0).all()
        assert (dense == 1.0).all()
    for keywords in ({"maximize": True}, {"lr": 0.5, "maximize": True}):
        mine, yours = (torch.nn.Parameter(torch.ones(6, 2)) for _ in range(2))
        a, b = optim.SGD([mine], **keywords), torch.optim.SGD([yours], **keywords)
        for _ in range(3):
            for p, o in ((mine, a), (yours, b)):
                p.grad = torch.arange(12.0).reshape(6, 2).to_sparse(1)
                o.step()
        torch.testing.assert_close(mine, yours)


def test_copies_in_memory_of_the_callers():
    mine, yours = params_of(), params_of()
    copies = [torch.zeros_like(p, dtype=torch.bfloat16) for p in mine]
    a, b = optim.AdamW(mine, copies=copies), optim.AdamW(yours, copy_to="bfloat16")
    assert all(torch.equal(c, p.detach().bfloat16()) for c, p in zip(copies, mine, strict=True))
    for step in range(3):
        give(step, mine, yours)
        a.step()
        b.step()
    for c, p, q in zip(copies, mine, yours, strict=True):
        assert a.state[p]["copy"] is c
        assert torch.equal(c, b.state[q]["copy"])
    other = copy.deepcopy(a)
    assert all(one["copy"] is not c for one, c in zip(other.state.values(), copies, strict=True))
    saved = copy.deepcopy(a.state_dict())
    with torch.no_grad():
        for p in mine:
            p.fill_(2.0)
    a.load_state_dict(saved)
    assert all((c == 2.0).all() for c in copies)
    give(4, mine)
    a.step()
    assert all(torch.equal(c, p.detach().bfloat16()) for c, p in zip(copies, mine, strict=True))


def test_wrong_copies():
    with pytest.raises(ValueError, match="copies: expected a list of 3 tensors"):
        optim.AdamW(params_of(), copies=[])
    with pytest.raises(TypeError, match=r"copies\[0\]: expected a tensor of bfloat16"):
        optim.AdamW(params_of(), copies=[torch.zeros(4, 3)] * 3)
    with pytest.raises(ValueError, match=r"copies\[1\]: expected a dense tensor of shape \(5,\)"):
        optim.AdamW(params_of(), copies=[torch.zeros(4, 3, dtype=torch.bfloat16)] * 3)
    with pytest.raises(ValueError, match="copy_to: expected 'bfloat16'"):
        optim.AdamW(params_of(((5,),)), copies=[torch.zeros(5, dtype=torch.bfloat16)], copy_to="float16")


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
