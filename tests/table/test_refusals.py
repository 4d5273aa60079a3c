"""What a refusal says to write instead, by what came, wherever it came in."""

import inspect

import numpy as np
import pytest
import torch

import fastopt as fo

GOOD = np.ones((4, 3), np.float32)


class Series:
    """Stands for whatever turns itself into an array, as tables of other libraries do."""

    def to_numpy(self):
        return GOOD


CAME = [
    ([1.0, 2.0], r"write np.asarray\({name}.*\)"),
    (1.0, r"write np.asarray\({name}.*\)"),
    ((x for x in (1.0, 2.0)), r"write np.array\(list\({name}\).*\)"),
    (torch.ones(4, 3), r"write {name}.detach\(\).numpy\(\)"),
    (Series(), r"write {name}.to_numpy\(.*\)"),
    (GOOD.astype(np.int64), r"convert it with astype\('float32'\)"),
    (GOOD.astype(bool), r"convert it with astype\('float32'\)"),
    (GOOD.astype(">f4"), r"convert it with astype\('float32'\)"),
]
CALLS = {
    "y_pred": lambda x: fo.losses.mean_squared_error(GOOD, x),
    "x": lambda x: fo.normalization.layer_norm_forward(x, GOOD[0], GOOD[0]),
    "out": lambda x: fo.initializers.normal((4, 3), seed=0, out=x),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("came", "remedy"), CAME, ids=lambda value: type(value).__name__)
def test_the_remedy_is_made_from_what_came(name, came, remedy):
    if name == "out" and "astype" in remedy:
        remedy = r"make one with np.empty\(.*, 'float32'\)"  # a converted copy would take the results along
    with pytest.raises(TypeError, match=f"^{name}: expected .*, got .*; {remedy.format(name=name)}$"):
        CALLS[name](came)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", [np.ma.array, lambda a: a.view(np.recarray)])
def test_subclasses_that_mean_something_are_refused(name, kind):
    with pytest.raises(TypeError, match=f"^{name}: expected a plain NumPy array"):
        CALLS[name](kind(GOOD))


def test_a_memory_map_is_an_array(tmp_path):
    param = np.memmap(tmp_path / "param", np.float32, "w+", shape=(4, 3))
    fo.optimizers.SGD(param, lr=1.0).step(GOOD)
    np.testing.assert_array_equal(param, -GOOD)


def test_no_wrong_gradient_of_a_subclass_is_stepped():
    optimizer = fo.optimizers.SGD(GOOD.copy())
    optimizer.step(GOOD)
    with pytest.raises(TypeError, match="a masked array"):
        optimizer.step(np.ma.array(GOOD, mask=GOOD > 0))


@pytest.mark.parametrize(
    ("given", "nearest"),
    [("weight_deacy", "weight_decay"), ("learning_rate", "lr"), ("beta_1", "betas"), ("epsilon", "eps"),
     ("clipnorm", "clip_each"), ("amsgrd", "amsgrad")],
)  # fmt: skip
def test_a_misspelt_argument_of_an_optimizer_is_told_the_nearest(given, nearest):
    with pytest.raises(TypeError, match=rf"^{given}: expected one of lr, .*, got '{given}'; did you mean '{nearest}'"):
        fo.optimizers.Adam(GOOD.copy(), **{given: 1.0})


FAMILIES = (fo.arrays, fo.initializers, fo.losses, fo.metrics, fo.normalization, fo.optimizers, fo.schedules)
CALLABLES = [
    pytest.param(value, id=f"{module.__name__}.{name}")
    for module in FAMILIES
    for name in module.__all__
    if callable(value := getattr(module, name)) and value not in (fo.metrics.Metric, fo.optimizers.Optimizer)
]


@pytest.mark.parametrize("value", [*CALLABLES, fo.set_num_threads, fo.target])
def test_a_misspelt_argument_of_anything_is_told_the_nearest(value):
    various = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    *needed, last = [one for one in inspect.signature(value).parameters.values() if one.kind not in various]
    given, wrong = {one.name: GOOD.copy() for one in needed if one.default is one.empty}, f"{last.name}x"
    words = rf"^{wrong}: expected one of .*{last.name}.*, got '{wrong}'; did you mean '{last.name}'\?$"
    with pytest.raises(TypeError, match=words):
        value(**given, **{wrong: 1})


class Nameless:
    """What can't even be shown, as an array of JAX's that has been deleted."""

    __hash__ = None  # nor kept

    def __repr__(self):
        raise RuntimeError("deleted")


@pytest.mark.parametrize("value", CALLABLES)
def test_what_cannot_be_shown_is_refused_all_the_same(value):
    named = [one.name for one in inspect.signature(value).parameters.values() if one.kind is not one.VAR_KEYWORD]
    with pytest.raises((TypeError, ValueError), match=r"^\w+(\[0\])?: expected .*Nameless|^shape: "):
        value(**dict.fromkeys(named, Nameless()))


def test_an_error_shows_one_line_however_long_the_value():
    with pytest.raises(ValueError, match=r"^target: expected one of .*, got array\(\[\[[^\n]{60,80}$"):
        fo.target(np.zeros((9, 9)))


def test_an_option_that_steps_do_not_know_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"^name: expected one of 'clip_norm', .*, got 'rounding'$"):
        fo.optimizers.SGD(GOOD.copy()).change_option("rounding", "stochastic")
