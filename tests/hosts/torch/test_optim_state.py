"""What an optimizer keeps: checkpoints, copies of it, and copies of parameters."""

import copy
import io
import pickle

import pytest
import torch
from pairs import close, give, params_of

from fastopt.torch import optim


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


def test_float32_state_of_sixteen_bit_parameters_survives_a_checkpoint():
    mine = params_of(dtype=torch.bfloat16)
    a = optim.AdamW(mine)
    give(0, mine)
    a.step()
    b = optim.AdamW(mine)
    b.load_state_dict(copy.deepcopy(a.state_dict()))
    assert all(torch.equal(a.state[p]["exp_avg"], b.state[p]["exp_avg"]) for p in mine)
    assert b.state[mine[0]]["exp_avg"].dtype == torch.float32


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


def test_hooks_of_a_load_have_the_last_word(pair):
    """What a hook before the load returns is loaded, in its own types; hooks after it see the state as it stays."""
    ours, _ = pair
    mine, seen = params_of(dtype=torch.bfloat16), []
    a = ours(mine)
    give(0, mine)
    a.step()
    saved = copy.deepcopy(a.state_dict())

    def emptied(optimizer, state_dict):
        return {**state_dict, "state": {0: state_dict["state"][0]} if 0 in state_dict["state"] else {}}

    def look(optimizer):
        seen.extend(optimizer.state_dict()["state"].items())

    a.register_load_state_dict_pre_hook(emptied)
    a.register_load_state_dict_post_hook(look)
    a.load_state_dict(saved)
    assert len(a.state) == len(seen) <= 1
    for number, state in seen:
        for name, value in state.items():
            wanted = saved["state"][number][name]
            assert torch.equal(value, wanted)
            assert value.dtype == wanted.dtype


@pytest.mark.parametrize("name", ["Adafactor", "Muon", "LAMB", "LARS"])
def test_state_of_layers_that_was_replaced_is_followed(name):
    mine, yours = params_of(((3, 2),)), params_of(((3, 2),))
    a, b = getattr(optim, name)(mine), getattr(optim, name)(yours)
    for step in range(3):
        give(step, mine, yours)
        a.step()
        b.step()
        for key, value in a.state[mine[0]].items():
            if value.dim():
                a.state[mine[0]][key] = 3.0 * value
                b.state[yours[0]][key].mul_(3.0)
    assert torch.equal(mine[0], yours[0])


@pytest.mark.parametrize("name", ["Adafactor", "Adam", "LAMB"])
def test_state_of_another_shape_is_refused(name):
    mine = params_of(((4, 3),))
    a = getattr(optim, name)(mine)
    give(0, mine)
    a.step()
    mine[0].data = torch.ones(6, 5)
    mine[0].grad = torch.ones(6, 5)
    with pytest.raises(RuntimeError, match=r"state '.*': expected"):
        a.step()
    assert (mine[0] == 1.0).all()


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
def test_a_parameter_that_a_group_names_twice_is_stepped_twice(pair):
    ours, theirs = pair
    mine, yours = params_of(), params_of()
    a, b = ours([mine[0], *mine]), theirs([yours[0], *yours])
    for step in range(3):
        give(step, mine, yours)
        a.step()
        b.step()
    close(a, b, mine, yours)
