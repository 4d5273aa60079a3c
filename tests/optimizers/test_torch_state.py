"""State to and from torch.optim: a run begun in one goes on in the other."""

import copy
import re

import numpy as np
import pytest
import torch

import fastopt as fo
from fastopt.optimizers.torch_state import NAMES

SHAPES = ((3, 4), (5,), ())
OPTIONS = [
    ("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.9), "maximize": True}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.1, "amsgrad": True}),
    ("RMSprop", {"weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.1, "weight_decay": 0.1}),
    ("Adamax", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {"lr": 0.1, "momentum_decay": 0.1, "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.1, "betas": (0.8, 0.9), "maximize": True}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1}),
    ("Rprop", {"lr": 0.1, "etas": (0.25, 1.5), "maximize": True}),
    ("Adafactor", {"lr": 0.1, "weight_decay": 0.1, "eps": (1e-6, 1e-3), "maximize": True}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "t0": 2, "weight_decay": 0.1, "maximize": True}),
]
TOLERANCE = {"rtol": 2e-7, "atol": 2e-8}  # torch keeps mu_product, eta and mu in float32
IDS = [f"{name}-{k}" for k, (name, _) in enumerate(OPTIONS)]
for_each_case = pytest.mark.parametrize(("name", "options"), OPTIONS, ids=IDS)


class Both:
    """An optimizer of each house on equal parameters, in two groups."""

    def __init__(self, name, options, dtype="float64", **ours):
        rng = np.random.default_rng(0)
        self.rng = np.random.default_rng(1)
        self.params = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
        self.tensors = [torch.nn.Parameter(torch.from_numpy(param.copy())) for param in self.params]
        lr = {"lr": 2 * options["lr"]} if "lr" in options else {"lr": 0.03}
        self.ours = getattr(fo.optimizers, name)(
            [{"params": self.params[:2]}, {"params": self.params[2], **lr}], **options, **ours
        )
        groups = [{"params": self.tensors[:2]}, {"params": [self.tensors[2]], **lr}]
        self.theirs = getattr(torch.optim, name)(groups, **options)

    def gradients(self):
        return [self.rng.standard_normal(shape).astype(self.params[0].dtype) for shape in SHAPES]

    def step_ours(self, gradients):
        self.ours.step([gradients[:2], gradients[2]])

    def step_theirs(self, gradients):
        for tensor, gradient in zip(self.tensors, gradients, strict=True):
            tensor.grad = torch.from_numpy(np.array(gradient))
        self.theirs.step()

    def step(self, count):
        for _ in range(count):
            gradients = self.gradients()
            self.step_ours(gradients)
            self.step_theirs(gradients)

    def assert_equal(self, **tolerance):
        for param, tensor in zip(self.params, self.tensors, strict=True):
            np.testing.assert_allclose(param, tensor.detach().numpy(), **(tolerance or TOLERANCE))


def test_every_optimizer_that_both_have_is_a_case():
    assert {name for name, _ in OPTIONS} == set(NAMES) - {"Muon"}  # whose steps differ by bfloat16


@for_each_case
def test_a_run_of_torch_goes_on_in_fastopt(name, options):
    both = Both(name, options)
    for _ in range(5):
        both.step_theirs(both.gradients())
    for param, tensor in zip(both.params, both.tensors, strict=True):
        param[...] = tensor.detach().numpy()
    if name == "SGD" and "momentum" not in options:
        both.ours.steps = 5  # torch counts none
    both.ours.lr = 7.0 if name != "Rprop" else both.ours.lr  # to be taken over
    both.ours.load_torch_state_dict(both.theirs.state_dict())
    assert both.ours.steps == (1 if name == "SGD" and "momentum" in options else 5)
    both.step(5)
    both.assert_equal()


@for_each_case
def test_a_run_of_fastopt_goes_on_in_torch(name, options):
    both = Both(name, options)
    for _ in range(5):
        both.step_ours(both.gradients())
    for param, tensor in zip(both.params, both.tensors, strict=True):
        tensor.data[...] = torch.from_numpy(param)
    for group in both.theirs.param_groups:
        group["lr"] = 7.0
    both.theirs.load_state_dict(both.ours.torch_state_dict())
    both.step(5)
    both.assert_equal()


@for_each_case
def test_the_dict_is_as_torch_makes_it(name, options):
    both = Both(name, options, dtype="float32")
    assert_same_dict(both.ours.torch_state_dict(), both.theirs.state_dict())  # nothing stepped yet
    both.step(3)
    assert_same_dict(both.ours.torch_state_dict(), both.theirs.state_dict())


def assert_same_dict(ours, theirs):
    assert ours["param_groups"] == theirs["param_groups"]
    theirs["state"] = {
        i: {key: value for key, value in entry.items() if value is not None} for i, entry in theirs["state"].items()
    }
    theirs["state"] = {i: entry for i, entry in theirs["state"].items() if entry}
    assert ours["state"].keys() == theirs["state"].keys()
    for i, entry in theirs["state"].items():
        assert ours["state"][i].keys() == entry.keys()
        for key, tensor in entry.items():
            assert ours["state"][i][key].dtype == tensor.dtype, key
            torch.testing.assert_close(ours["state"][i][key], tensor, rtol=2e-5, atol=1e-6)


@for_each_case
def test_a_dict_of_ours_comes_back(name, options):
    both = Both(name, options)
    both.step(3)
    found = copy.deepcopy(both.ours.torch_state_dict())
    before = both.ours.state_dict()
    other = Both(name, options).ours
    other.steps = 3  # what torch doesn't keep for SGD
    other.load_torch_state_dict(found)
    np.testing.assert_equal(other.state_dict()["state"], before["state"])
    assert (other.steps, other.groups) == (3, both.ours.groups)
    for entry, carried in zip(found["state"].values(), other.carried * 2, strict=False):
        for key, value in carried.items():
            assert value == entry[key].item()


def test_tensors_own_their_memory():
    both = Both("Adam", {})
    both.step(1)
    found = both.ours.torch_state_dict()["state"][0]["exp_avg"]
    found.fill_(7.0)
    assert not np.any(both.ours.state[0]["exp_avg"] == 7.0)
    both.ours.load_torch_state_dict(both.theirs.state_dict())
    both.theirs.state_dict()["state"][0]["exp_avg"].fill_(7.0)
    assert not np.any(both.ours.state[0]["exp_avg"] == 7.0)


def test_a_dict_of_nothing_stepped_begins_anew():
    both = Both("Rprop", {"lr": 0.1})
    both.step(2)
    both.ours.load_torch_state_dict(Both("Rprop", {"lr": 0.25}).theirs.state_dict())
    assert both.ours.steps == 0
    assert np.all(both.ours.state[0]["step_size"] == 0.25)
    assert np.all(both.ours.state[0]["prev"] == 0)


def test_schedules_become_numbers_and_stay():
    param = np.ones(3)
    opt = fo.optimizers.Adam(param, lr=lambda step: 0.1 / (step + 1))
    opt.step(np.ones(3))
    found = opt.torch_state_dict()
    assert found["param_groups"][0]["lr"] == 0.05
    opt.load_torch_state_dict(found)
    assert callable(opt.groups[0]["lr"])


@pytest.mark.parametrize("state_dtype", ["bfloat16", "8bit"])
def test_compressed_state_is_decoded_and_encoded(state_dtype):
    rng = np.random.default_rng(0)
    w = rng.standard_normal((80, 80)).astype(np.float32)
    ours = fo.optimizers.Adam(w, state_dtype=state_dtype)
    ours.step(rng.standard_normal(w.shape).astype(np.float32))
    found = ours.torch_state_dict()
    assert found["state"][0]["exp_avg"].dtype == torch.float32
    assert found["state"][0]["exp_avg"].shape == (80, 80)
    before = ours.state_dict()["state"]
    other = fo.optimizers.Adam(w.copy(), state_dtype=state_dtype)
    other.load_torch_state_dict(found)
    again = other.torch_state_dict()["state"][0]["exp_avg_sq"]
    torch.testing.assert_close(again, found["state"][0]["exp_avg_sq"], rtol=1e-6, atol=0)  # the scale is rounded
    assert other.state_dict()["state"].keys() == before.keys()


@pytest.mark.parametrize("rounding", ["nearest", "exact"])
def test_bfloat16_parameters_take_state_of_either_type(rounding):
    import ml_dtypes

    w = torch.nn.Parameter(torch.ones(9, dtype=torch.bfloat16))
    theirs = torch.optim.AdamW([w])
    w.grad = torch.linspace(-1, 1, 9).to(torch.bfloat16)
    theirs.step()
    ours = fo.optimizers.AdamW(np.ones(9, ml_dtypes.bfloat16), rounding=rounding)
    ours.load_torch_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(ours.state[0]["exp_avg"], theirs.state[w]["exp_avg"].float().numpy())
    theirs.load_state_dict(ours.torch_state_dict())
    assert theirs.state[w]["exp_avg"].dtype == torch.bfloat16


def test_what_torch_carries_for_each_parameter_must_agree_in_a_group():
    both = Both("NAdam", {})
    both.step(2)
    found = copy.deepcopy(both.theirs.state_dict())
    found["state"][1]["mu_product"] += 0.1
    before = both.ours.state_dict()
    with pytest.raises(ValueError, match=r"state_dict\['state'\]\[1\]: expected {'mu_product': .*}, as .*, got "):
        both.ours.load_torch_state_dict(found)
    np.testing.assert_equal(both.ours.state_dict(), before)


@pytest.mark.parametrize("name", ["Adam", "NAdam", "ASGD"])
def test_numbers_are_kept_whatever_torchs_default_type_is(name):
    """bfloat16 has no 257."""
    ours = getattr(fo.optimizers, name)(np.ones(3))
    ours.steps = 257
    wanted = ours.torch_state_dict()["state"][0]
    torch.set_default_dtype(torch.bfloat16)
    try:
        found = ours.torch_state_dict()["state"][0]
    finally:
        torch.set_default_dtype(torch.float32)
    assert found["step"].item() == 257
    for key, value in wanted.items():
        assert found[key].dtype == value.dtype
        assert torch.equal(found[key], value), key


# ---- what doesn't match


def spoilt(change):
    """Return a dict of torch's, changed in place, or what the change returns in its stead."""
    both = Both("Adam", {"amsgrad": True})
    both.step(2)
    found = copy.deepcopy(both.theirs.state_dict())
    instead = change(found)
    return found if instead is None else instead


def drop(holder, key):
    del holder[key]


WRONG = {
    "no dict": (lambda d: 3, ValueError, "state_dict: expected the keys ['param_groups', 'state'], got int 3"),
    "no state": (lambda d: {"param_groups": []}, ValueError, "state_dict: expected the keys"),
    "a group less": (lambda d: drop(d["param_groups"], 1), ValueError, "state_dict['param_groups']: expected 2 groups"),
    "a parameter less": (
        lambda d: {**d, "param_groups": [{**d["param_groups"][0], "params": [0]}, d["param_groups"][1]]},
        ValueError, "state_dict['param_groups'][0]['params']: expected 2 parameters, got [0]",
    ),
    "another optimizer": (
        lambda d: torch.optim.SGD([torch.ones(1)]).state_dict(), ValueError, "expected 2 groups",
    ),
    "options of another": (
        lambda d: drop(d["param_groups"][0], "amsgrad"), ValueError, "state_dict['param_groups'][0]: expected the keys",
    ),
    "a wrong option": (lambda d: d["param_groups"][1].update(eps=-1.0), ValueError, "eps: expected a finite"),
    "options of other state": (
        lambda d: d["param_groups"][1].update(amsgrad=False), ValueError, "expected options that keep",
    ),
    "decoupled decay": (
        lambda d: d["param_groups"][1].update(decoupled_weight_decay=True), ValueError,
        "state_dict['param_groups'][1]['decoupled_weight_decay']: expected False, got True",
    ),
    "steps that differ": (
        lambda d: d["state"][1].update(step=torch.tensor(9.0)), ValueError,
        "state_dict['state']: expected parameters of one number of steps, got [2, 9]",
    ),
    "a parameter without state": (lambda d: drop(d["state"], 1), ValueError, "of one number of steps, got [0, 2]"),
    "state missing": (
        lambda d: drop(d["state"][2], "exp_avg"), ValueError, "state_dict['state'][2]: expected 'exp_avg' among",
    ),
    "another shape": (
        lambda d: d["state"][0].update(exp_avg=torch.ones(4)), ValueError,
        "state_dict['state'][0]['exp_avg']: expected shape (3, 4), got (4,)",
    ),
    "no tensor": (
        lambda d: d["state"][0].update(exp_avg=np.ones((3, 4))), TypeError,
        "state_dict['state'][0]['exp_avg']: expected a tensor of floats, got float64",
    ),
    "a sparse tensor": (
        lambda d: d["state"][0].update(exp_avg=torch.ones(3, 4).to_sparse()), TypeError,
        "state_dict['state'][0]['exp_avg']: expected a dense tensor that holds numbers, got one of torch.sparse_coo",
    ),
    "a tensor without numbers": (
        lambda d: d["state"][0].update(exp_avg=torch.ones(3, 4, device="meta")), TypeError,
        "['exp_avg']: expected a dense tensor that holds numbers, got one of torch.strided on meta",
    ),
    "a count without a number": (
        lambda d: d["state"][0].update(step=torch.ones((), device="meta")), TypeError,
        "state_dict's step: expected a finite number ≥ 0, got Tensor",
    ),
    "counts of elements": (
        lambda d: d["state"][0].update(step=torch.ones(3)), TypeError, "state_dict's step: expected a finite number",
    ),
    "a count in words": (
        lambda d: d["state"][0].update(step="x"), TypeError, "state_dict's step: expected a finite number ≥ 0, got str",
    ),
    "a list for state": (lambda d: {**d, "state": []}, TypeError, "state_dict['state']: expected a mapping"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_dict_that_does_not_match_changes_nothing(what):
    change, error, words = WRONG[what]
    both = Both("Adam", {"amsgrad": True})
    both.step(1)
    before = both.ours.state_dict()
    found = spoilt(change)
    with pytest.raises(error) as caught:
        both.ours.load_torch_state_dict(found)
    assert re.fullmatch(r"[^\n]+: expected [^\n]+, got [^\n]+", str(caught.value))
    assert words in str(caught.value)
    np.testing.assert_equal(both.ours.state_dict(), before)


def test_what_torch_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"optimizer: expected one that torch has too .*, got Lion"):
        fo.optimizers.Lion(np.ones(3)).torch_state_dict()
    with pytest.raises(ValueError, match=r"optimizer: expected one that torch has too .*, got Momentum"):
        fo.optimizers.Momentum(np.ones(3)).load_torch_state_dict({})
    with pytest.raises(ValueError, match="decoupled_weight_decay: expected False, as in torch's RMSprop, got True"):
        fo.optimizers.RMSprop(np.ones(3), decoupled_weight_decay=True).torch_state_dict()
    with pytest.raises(ValueError, match="eps_hat: expected False, as in torch's Adam, got True"):
        fo.optimizers.Adam(np.ones(3), eps_hat=True).torch_state_dict()


def test_muon_hands_its_momentum_over():
    """torch iterates in bfloat16: trajectories agree to its digits only, momentum to all."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((6, 4)).astype(np.float32)
    param = torch.nn.Parameter(torch.tensor(w.copy()))
    theirs, ours = torch.optim.Muon([param], lr=0.1), fo.optimizers.Muon([w])
    for _ in range(3):
        param.grad = torch.tensor(rng.standard_normal((6, 4)).astype(np.float32))
        theirs.step()
    ours.load_torch_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(ours.state[0]["momentum_buffer"], theirs.state[param]["momentum_buffer"].numpy())
    assert (ours.lr, ours.groups[0]["adjust_lr_fn"]) == (0.1, "original")
    theirs.load_state_dict(ours.torch_state_dict())


def test_torchs_none_is_float32s_epsilon():
    w = np.ones((3, 4), np.float32)
    param = torch.nn.Parameter(torch.ones(3, 4))
    theirs, ours = torch.optim.Adafactor([param]), fo.optimizers.Adafactor([w], eps=(1e-5, 1e-3))
    param.grad = torch.full((3, 4), 0.5)
    theirs.step()
    ours.load_torch_state_dict(theirs.state_dict())
    assert ours.groups[0]["eps"] == (1.1920929e-07, 1e-3)


def test_counts_of_rows_have_no_place_in_torch():
    opt = fo.optimizers.Adam([np.ones((3, 2))])
    found = opt.torch_state_dict()
    opt.step_rows(0, np.array([1]), np.ones((1, 2)))
    for call in (opt.torch_state_dict, lambda: opt.load_torch_state_dict(found)):
        with pytest.raises(ValueError, match=r"^steps: expected one count for whole parameters"):
            call()
