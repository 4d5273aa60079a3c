"""Every argument of every loss, class and function, has an effect or is refused; a function is its class's value."""

import copy
import doctest
import inspect
import pickle

import numpy as np
import pytest

import fastopt as fo

L = fo.losses
CLASSES = {name: value for name, value in vars(L).items() if inspect.isclass(value) and name in L.__all__}
CLASSES = {value.__name__: value for value in CLASSES.values() if value is not L.Loss}
FUNCTIONS = {
    value.__name__: value for name, value in vars(L).items() if inspect.isfunction(value) and name in L.__all__
}
OTHER = {  # another value of an option than its default, and what must stand beside it for an effect
    "alpha": (0.7, {"apply_class_balancing": True}),
    "apply_class_balancing": (True, {}),
    "axis": (0, {"reduction": "none"}),
    "beta": (0.2, {}),
    "class_weight": (np.array([0.5, 2.0, 1.0]), {"from_logits": True}),
    "delta": (0.1, {}),
    "eps": (0.9, {}),
    "from_logarithms": (True, {}),
    "from_logits": (True, {}),
    "full": (True, {}),
    "gamma": (0.5, {}),
    "ignore_class": (1, {}),
    "label_smoothing": (0.3, {"from_logits": True}),
    "logit_softcap": (0.5, {"from_logits": True}),
    "margin": (0.3, {}),
    "p": (2, {}),
    "power": (1.2, {}),
    "q": (0.9, {}),
    "quantile": (0.9, {}),
    "reduction": ("sum", {}),
    "z_loss": (0.5, {"from_logits": True}),
}
SAME_VALUE = {
    ("LinearCrossEntropy", "layout"), ("LinearCrossEntropy", "max_bytes"),  # they say how, not what
    ("BinaryCrossentropy", "clip_logarithms"),  # for probabilities below exp(-100): test_losses.py
}  # fmt: skip


def function(cls):
    return next(f for f in FUNCTIONS.values() if f.__doc__.count(f"The value of :class:`{cls.__name__}`."))


def arrays(cls):
    rng = np.random.default_rng(3)
    scores = rng.uniform(0.05, 0.95, (3, 3))
    if cls is L.LinearCrossEntropy:
        return {"x": scores, "weight": rng.standard_normal((3, 3)), "y_true": np.array([1, 2, 0]), "bias": scores[0]}
    if cls._takes_labels:
        return {"y_true": np.array([1, 2, 0]), "y_pred": scores}
    given = {"y_true": np.eye(3)[[1, 0, 2]] + (0.5 if cls is L.Gamma else 0.0), "y_pred": scores}
    return given | ({"var": rng.uniform(0.2, 1.5, (3, 3))} if cls is L.GaussianNLL else {})


def options(cls):
    """Yield each option, another value for it, and the constructor's arguments without and with it."""
    for name in cls._checks:
        if (cls.__name__, name) in SAME_VALUE:
            continue
        value, beside = OTHER[name]
        beside = {key: other for key, other in beside.items() if key in cls._checks and key != name}
        yield name, value, beside, {**beside, name: value}


def results(loss, given, **call):
    """Return the value and the gradients, flat."""
    found = loss.value_and_grad(**given, **call)
    gradients = found[1] if isinstance(found[1], tuple) else found[1:]
    return np.concatenate([np.ravel(part) for part in (found[0], *gradients)])


for_each_class = pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in CLASSES.items()])


def test_every_class_has_its_function_and_every_function_its_class():
    assert {function(cls) for cls in CLASSES.values()} == set(FUNCTIONS.values())


@for_each_class
def test_every_option_has_an_effect(cls):
    given = arrays(cls)
    for name, _, without, changed in options(cls):
        before, after = results(cls(**without), given), results(cls(**changed), given)
        assert before.shape != after.shape or not np.array_equal(before, after), name


@for_each_class
def test_an_option_that_is_set_is_an_option_that_was_given(cls):
    given = arrays(cls)
    for name, value, without, changed in options(cls):
        loss = cls(**without)
        setattr(loss, name, value)
        np.testing.assert_array_equal(results(loss, given), results(cls(**changed), given), err_msg=name)


@for_each_class
def test_a_function_is_the_value_of_its_class(cls):
    given, weight, mask = arrays(cls), np.array([0.5, 2.0, 1.0]), np.array([True, False, True])
    for _, _, without, changed in options(cls):
        for own in (without, changed):
            value = cls(**own)(**given)
            np.testing.assert_array_equal(function(cls)(**given, **own), value)
            np.testing.assert_array_equal(function(cls)(*given.values(), **own), value)
    for call in ({"sample_weight": weight}, {"mask": mask}):
        value = function(cls)(**given, **call)
        assert value == cls()(**given, **call)
        assert value != cls()(**given)


@for_each_class
def test_a_function_takes_what_its_class_takes_in_the_same_order(cls):
    taken = list(inspect.signature(function(cls)).parameters.values())
    call = [p.name for p in inspect.signature(cls.__call__).parameters.values()][1:]
    behind = [p for p in inspect.signature(cls).parameters.values()]
    names = [name for name in call if name not in ("sample_weight", "mask")]
    assert [p.name for p in taken] == [*names, *(p.name for p in behind), "sample_weight", "mask"]
    assert [p.default for p in taken][len(names) : -2] == [p.default for p in behind]
    assert all(p.kind is p.KEYWORD_ONLY for p in taken[-2:])


@for_each_class
def test_options_are_checked_whenever_they_are_set(cls):
    loss = cls()
    before = repr(loss)
    for name in cls._checks:
        with pytest.raises((TypeError, ValueError), match=rf"^{name}: expected .*, got "):
            setattr(loss, name, "avg")
        with pytest.raises((TypeError, ValueError), match=rf"^{name}: expected .*, got "):
            cls(**{name: "avg"})
        with pytest.raises(AttributeError, match=f"^{name}: "):
            delattr(loss, name)
    with pytest.raises(AttributeError, match=r"^reducton: expected one of .*did you mean 'reduction'"):
        loss.reducton = "sum"
    assert repr(loss) == before


@for_each_class
def test_a_misspelt_argument_names_the_nearest(cls):
    with pytest.raises(TypeError, match=r"^reducton: expected one of .*did you mean 'reduction'"):
        cls(reducton="sum")
    with pytest.raises(TypeError, match=r"^sample_weigth: expected one of .*did you mean 'sample_weight'"):
        function(cls)(**arrays(cls), sample_weigth=None)


@for_each_class
def test_losses_are_copied_and_pickled(cls):
    for _, _, _, changed in options(cls):
        loss = cls(**changed)
        for again in (copy.copy(loss), copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
            np.testing.assert_array_equal(results(again, arrays(cls)), results(loss, arrays(cls)))


def test_class_weights_are_a_copy_that_cannot_be_written():
    weight = np.ones(3)
    loss = L.CategoricalCrossentropy(class_weight=weight)
    weight[:] = -1
    assert (loss.class_weight == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        loss.class_weight[0] = -1


def test_options_that_do_not_go_together_are_refused_when_set():
    loss = L.SparseCategoricalCrossentropy()
    with pytest.raises(ValueError, match=r"^z_loss: expected from_logits=True"):
        loss.z_loss = 0.1
    loss.from_logits = True
    loss.z_loss = 0.1
    with pytest.raises(ValueError, match=r"^z_loss: expected from_logits=True"):
        loss.from_logits = False
    assert loss.from_logits


def test_the_base_of_all_says_what_to_use():
    with pytest.raises(NotImplementedError, match="expected one of the losses"):
        L.Loss()(np.ones(3), np.ones(3))


@pytest.mark.parametrize("name", L.__all__)
def test_the_examples_run(name):
    finder, runner = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestRunner()
    found = [test for test in finder.find(getattr(L, name), name, globs={}) if test.examples]
    assert found
    for test in found:
        assert runner.run(test).failed == 0


# ---- axes

TARGETS = ("cython", "numba", "reference")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "name", ["MeanSquaredError", "BinaryCrossentropy", "KLDivergence", "CosineProximity", "Tversky", "Dice", "LogCosh"]
)
@pytest.mark.parametrize(
    ("axis", "order", "rows"),
    [
        ((1, 2), (0, 1, 2), (2, 12)),
        ((2, 0), (1, 0, 2), (3, 8)),
        ((0, -2), (2, 0, 1), (4, 6)),
        (None, (0, 1, 2), (1, 24)),
    ],
)
def test_several_axes_are_one_sample(name, axis, order, rows, target):
    rng = np.random.default_rng(5)
    moved = rng.dirichlet(np.ones(rows[1]), rows[0]), rng.uniform(0.05, 0.95, rows)
    shape = tuple((2, 3, 4)[k] for k in order)
    y_true, y_pred = (array.reshape(shape).transpose(np.argsort(order)) for array in moved)
    with fo.target(target):
        wanted, slope = getattr(L, name)(reduction="none").value_and_grad(*moved)
        value, gradient = getattr(L, name)(reduction="none", axis=axis).value_and_grad(y_true, y_pred)
        mean = getattr(L, name)(axis=axis)(y_true, y_pred)
    np.testing.assert_allclose(np.ravel(value), wanted, rtol=1e-13)
    assert np.size(value) == rows[0]
    np.testing.assert_allclose(gradient.transpose(order).reshape(rows), slope, rtol=1e-13, atol=1e-16)
    assert mean == pytest.approx(wanted.mean(), rel=1e-13)


@pytest.mark.parametrize("target", TARGETS)
def test_the_axis_of_the_functions_is_heard(target):
    with fo.target(target):
        value = L.mean_squared_error(np.zeros((2, 1)), np.array([[1.0], [3.0]]), axis=0, reduction="none")
        assert value.tolist() == [5.0]
        cosine = L.cosine_similarity(np.array([[1.0, 1.0], [0.0, 0.0]]), np.eye(2), axis=0)
    assert cosine == pytest.approx(-0.5, rel=1e-15)


@pytest.mark.parametrize(
    ("axis", "words"),
    [((0, 0), "axis: expected axes"), ((0, 5), "axis: expected axes"), ((), "axis: expected an axis, a tuple"),
     ((0, 0.5), r"axis\[1\]: expected an integer"), (7, "axis: expected an axis of y_pred")],
)  # fmt: skip
def test_wrong_axes_are_refused(axis, words):
    with pytest.raises((TypeError, ValueError), match=f"^{words}"):
        L.MeanSquaredError(axis=axis)(np.zeros((2, 3)), np.ones((2, 3)))
