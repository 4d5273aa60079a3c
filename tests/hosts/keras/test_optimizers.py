"""fastopt.keras.optimizers beside Keras's own: variables, state, everything that a step can do, saved models."""

import doctest
import inspect
import pickle

import keras
import numpy as np
import pytest
import torch

from fastopt.keras import optimizers as ours
from fastopt.keras.optimizers import classes

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's to NumPy

SHAPES = [(6, 5), (7,), (), (2, 3, 4)]
RATES = [0.1, 0.1, 0.05, 0.2, 0.01, 0.1]  # where the rate stands shows when it changes
CASES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"nesterov": True}),
    ("Adam", {"epsilon": 1e-3}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    ("AdamW", {"weight_decay": 0.1}),
    ("RMSprop", {"epsilon": 1e-3}),
    ("RMSprop", {"epsilon": 1e-2, "momentum": 0.5, "centered": True, "weight_decay": 0.1}),
    ("Adagrad", {"epsilon": 1e-2}),
    ("Adadelta", {}),
    ("Adamax", {"epsilon": 1e-2, "weight_decay": 0.1}),
    ("Nadam", {}),
    ("Nadam", {"weight_decay": 0.1}),
    ("Ftrl", {"l1_regularization_strength": 0.01, "l2_regularization_strength": 0.25, "beta": 0.5}),
    ("Ftrl", {"learning_rate_power": -0.3, "l2_shrinkage_regularization_strength": 0.1}),
    ("Lion", {}),
    ("Lion", {"weight_decay": 0.1}),
    ("Lamb", {"weight_decay": 0.1}),
    ("Adafactor", {}),
    ("Adafactor", {"weight_decay": 0.1, "epsilon_1": 1e-10}),
    ("Muon", {}),
    ("Muon", {"nesterov": False, "rms_rate": None, "adam_lr_ratio": 0.5, "weight_decay": 0.2, "ns_steps": 3}),
    ("ScheduleFreeAdamW", {}),
    ("ScheduleFreeAdamW", {"warmup_steps": 3, "weight_decay": 0.1}),
]
IDS = [f"{number}-{case[0]}" for number, case in enumerate(CASES)]
CLIPPED = [{"clipnorm": 0.7}, {"global_clipnorm": 0.7}, {"clipvalue": 0.1}]
AROUND = [
    *CLIPPED, {"use_ema": True, "ema_momentum": 0.8}, {"use_ema": True, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2, "clipnorm": 0.5, "use_ema": True}, {"loss_scale_factor": 8.0},
]  # fmt: skip


def variables(dtype="float32", shapes=SHAPES):
    rng = np.random.default_rng(1)
    return [keras.Variable(rng.standard_normal(shape), dtype=dtype, name=f"v{k}") for k, shape in enumerate(shapes)]


def stepped(room, name, options, given=None, dtype="float32", missing=(), shapes=SHAPES):
    """Return variables after some steps, and the optimizer."""
    given = variables(dtype, shapes) if given is None else given
    rng = np.random.default_rng(2)
    optimizer = getattr(room, name)(learning_rate=0.1, **options)
    for step, rate in enumerate(RATES):
        optimizer.learning_rate = rate
        grads = [keras.ops.convert_to_tensor(rng.standard_normal(tuple(one.shape)), dtype) for one in given]
        apply(optimizer, [None if (step, k) in missing else grad for k, grad in enumerate(grads)], given)
    return given, optimizer


def apply(optimizer, grads, given):
    """Step. Keras's schedule-free class, under torch, takes z after its step for z before it, but where it writes
    nothing in place: its judge is `stateless_apply`."""
    if isinstance(optimizer, ours.ScheduleFreeAdamW) or not isinstance(optimizer, keras.optimizers.ScheduleFreeAdamW):
        optimizer.apply(grads, given)
        return
    if not optimizer.built:
        optimizer.build(given)
    found = optimizer.stateless_apply([one.value for one in optimizer.variables], grads, [one.value for one in given])
    for variables, tensors in zip((given, optimizer.variables), found, strict=True):
        for variable, tensor in zip(variables, tensors, strict=True):
            variable.assign(tensor)


def values(given):
    return [keras.ops.convert_to_numpy(keras.ops.cast(one, "float64")) for one in given]


def assert_same(own, theirs, **tolerance):
    tolerance = tolerance or {"rtol": 2e-4, "atol": 2e-5}
    for found, expected in zip(values(own[0]), values(theirs[0]), strict=True):
        np.testing.assert_allclose(found, expected, **tolerance)
    for one, found, expected in zip(
        own[1].variables, values(own[1].variables), values(theirs[1].variables), strict=True
    ):
        if isinstance(own[1], ours.Adafactor) and "velocity" in one.path and found.ndim > 1:
            continue  # what follows from rows and columns is not written
        np.testing.assert_allclose(found, expected, **tolerance)


def taken(optimizer):
    """Whether the kernels have stepped."""
    return optimizer._plan is not None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_variables_and_state_are_those_of_keras(name, options, dtype):
    own = stepped(ours, name, options, dtype=dtype)
    assert_same(own, stepped(keras.optimizers, name, options, dtype=dtype))
    odd = {"epsilon_1"} & set(options)
    assert taken(own[1]) == (not odd)


@pytest.mark.parametrize("around", AROUND, ids=str)
@pytest.mark.parametrize("name", ["SGD", "AdamW", "Lamb", "Adafactor", "Muon"])
def test_what_stands_around_a_step_is_keras(name, around):
    own = stepped(ours, name, around)
    assert_same(own, stepped(keras.optimizers, name, around))
    assert taken(own[1])


def excluding(room, name):
    """Return a room with a class that keeps the first and the third variable from decay."""

    class Excluding(getattr(room, name)):
        def build(self, variables):
            self.exclude_from_weight_decay(var_list=variables[:1], var_names=["v2"])
            super().build(variables)

    return type("Room", (), {name: Excluding})


@pytest.mark.parametrize("name", ours.__all__)
@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")
def test_missing_gradients_and_excluded_variables(name):
    options, missing = {"weight_decay": 0.2, "use_ema": True}, {(1, 0), (2, 3), (4, 1)}
    own, theirs = (stepped(excluding(room, name), name, options, missing=missing) for room in (ours, keras.optimizers))
    assert_same(own, theirs)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "Lion", "Ftrl", "Lamb"])
def test_variables_of_16_bits(name, dtype):
    own = stepped(ours, name, {}, dtype=dtype)
    exact = stepped(keras.optimizers, name, {}, dtype="float32")
    assert taken(own[1])
    for found, expected in zip(values(own[0]), values(exact[0]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0.1, atol=0.06)


@pytest.mark.parametrize("name", ["AdamW", "Adafactor"])
def test_odd_gradients_are_stepped_right(name):
    """Strided, of integers, of NumPy, of another float type, the variable itself; and variables that are strided."""
    rng = np.random.default_rng(0)
    start = [rng.standard_normal((6, 5)).astype(np.float32) for _ in range(5)]
    grad = rng.standard_normal((5, 6)).astype(np.float32)
    results = []
    for room in (ours, keras.optimizers):
        given = [keras.Variable(one) for one in start]
        given.append(keras.Variable(torch.nn.Parameter(torch.tensor(start[0].T.copy()).T)))
        optimizer = getattr(room, name)(0.1)
        for _ in range(3):
            grads = [torch.tensor(grad).T, torch.ones(6, 5), grad.T, torch.tensor(grad).T.double(), given[4].value,
                     torch.tensor(grad).T]  # fmt: skip
            if room is ours:
                grads[1] = torch.ones((6, 5), dtype=torch.int64)
            else:
                grads = [keras.ops.convert_to_tensor(one, "float32") for one in grads]
            optimizer.apply(grads, given)
        results.append((given, optimizer))
    assert_same(*results)


@pytest.mark.parametrize("name", ours.__all__)
def test_classes_are_keras_classes_with_their_arguments(name):
    own, theirs = getattr(ours, name), getattr(keras.optimizers, name)
    assert issubclass(own, theirs)
    assert inspect.signature(own) == inspect.signature(theirs)
    one = own(0.25, clipnorm=1.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(one))
    assert type(again) is own
    assert again.get_config() == one.get_config()
    assert type(pickle.loads(pickle.dumps(one))) is own


@pytest.mark.parametrize("name", ours.__all__)
def test_state_goes_from_keras_to_here_and_back(name):
    whole = stepped(keras.optimizers, name, {})
    given = variables()
    rooms = [keras.optimizers, ours, keras.optimizers]
    rng, state = np.random.default_rng(2), None
    for part, room in enumerate(rooms):
        optimizer = getattr(room, name)(0.1)
        optimizer.build(given)
        if state is not None:
            optimizer.set_weights(state)
        for rate in RATES[2 * part : 2 * part + 2]:
            optimizer.learning_rate = rate
            grads = [keras.ops.convert_to_tensor(rng.standard_normal(tuple(one.shape)), "float32") for one in given]
            apply(optimizer, grads, given)
        state = [keras.ops.convert_to_numpy(one) for one in optimizer.variables]
    assert_same((given, optimizer), whole)


def test_hyper_parameters_may_change_between_steps():
    results = []
    for room in (ours, keras.optimizers):
        given = variables()
        optimizer = room.Adam(0.1)
        for step in range(4):
            optimizer.beta_1 = 0.9 if step < 2 else 0.5
            optimizer.weight_decay = None if step < 3 else 0.3
            optimizer.apply([keras.ops.ones(one.shape) for one in given], given)
        results.append((given, optimizer))
    assert_same(*results)


def test_a_variable_may_get_other_memory():
    results = []
    for room in (ours, keras.optimizers):
        given = variables()
        optimizer = room.SGD(0.1, momentum=0.9)
        for _ in range(3):
            optimizer.apply([keras.ops.ones(one.shape) for one in given], given)
            for one in (*given, *optimizer.momentums):
                one._value = torch.nn.Parameter(one._value.detach().clone(), requires_grad=False)
        results.append((given, optimizer))
    assert_same(*results)


@pytest.mark.parametrize("options", [{"epsilon": 0.0}, {"beta_1": 1.0}, {"learning_rate": -0.1}], ids=str)
def test_numbers_that_the_kernels_refuse_mean_what_they_mean_to_keras(options):
    results = []
    for room in (ours, keras.optimizers):
        given, optimizer = variables(), room.Adam(**options)
        optimizer.apply([keras.ops.ones(one.shape) for one in given], given)
        results.append((given, optimizer))
    assert_same(*results)
    assert not taken(results[0][1])


@pytest.mark.parametrize("rate", [-0.1, np.nan])
def test_a_rate_that_the_kernels_refuse_may_come_later(rate):
    results = []
    for room in (ours, keras.optimizers):
        given, optimizer = variables(), room.Adam(0.1)
        for each in (0.1, rate, 0.1):
            optimizer.learning_rate = each
            optimizer.apply([keras.ops.ones(one.shape) for one in given], given)
        results.append((given, optimizer))
    assert_same(*results)


def test_a_variable_may_be_its_own_gradient():
    results = []
    for room in (ours, keras.optimizers):
        given, optimizer = variables(), room.AdamW(0.1)
        for _ in range(2):
            optimizer.apply([one.value.detach() for one in given], given)
        results.append((given, optimizer))
    assert_same(*results)
    assert not taken(results[0][1])


def test_variables_that_share_memory_are_stepped_one_after_another():
    value = torch.ones(5)
    one, other = keras.Variable(value), keras.Variable(value)
    one._value = other._value
    results = []
    for given in ([one, other], [one, one]):
        optimizer = ours.SGD(0.1)
        optimizer.build([one, other])
        optimizer.apply([torch.full((5,), 1.0), torch.full((5,), 2.0)], given)
        results.append(one.numpy().copy())
        assert not taken(optimizer)
    np.testing.assert_allclose(results, [[0.7] * 5, [0.4] * 5], rtol=1e-6)


@pytest.mark.parametrize(("name", "options"), [("Adam", {"weight_decay": -0.1}), ("Muon", {"adam_lr_ratio": -0.5})])
def test_negative_factors_mean_what_they_mean_to_keras(name, options):
    assert_same(stepped(ours, name, options), stepped(keras.optimizers, name, options))


@pytest.mark.parametrize(("name", "options"), [("Adam", {"weight_decay": "x"}), ("Muon", {"adam_lr_ratio": "x"})])
def test_what_is_no_number_is_refused_in_keras_words(name, options):
    with pytest.raises(ValueError, match="Invalid dtype"):
        stepped(ours, name, options)


def test_a_nan_spoils_lions_variables():
    given, optimizer = [keras.Variable([1.0, 2.0])], ours.Lion(0.1)
    optimizer.apply([keras.ops.array([np.nan, 1.0])], given)
    np.testing.assert_allclose(values(given)[0], [np.nan, 1.9], rtol=1e-6)


@pytest.mark.parametrize("clip", CLIPPED, ids=str)
@pytest.mark.parametrize("odd", [np.inf, np.nan])
def test_gradients_that_are_not_finite_spoil_what_they_spoil_in_keras(clip, odd):
    results = []
    for room in (ours, keras.optimizers):
        given, optimizer = variables(), room.SGD(0.1, **clip)
        grads = [torch.ones(tuple(one.shape)) for one in given]
        grads[1][2] = odd
        optimizer.apply(grads, given)
        results.append((given, optimizer))
    assert_same(*results)


def test_stateless_apply_writes_nothing():
    given, results = variables(), []
    start, grads = values(given), [keras.ops.ones(one.shape) for one in given]
    for room in (ours, keras.optimizers):
        optimizer = room.Adam(0.1)
        optimizer.build(given)
        state, tensors = ([one.value.clone() for one in each] for each in (optimizer.variables, given))
        results.append(optimizer.stateless_apply(state, grads, tensors))
    torch.testing.assert_close(*results)
    for now, before in zip(values(given), start, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("name", ["SGD", "Adam", "Muon", "Nadam"])
def test_a_model_fits_is_saved_and_goes_on(name, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 8)).astype(np.float32), rng.integers(0, 3, 64)
    histories = []
    for room in (ours, keras.optimizers):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(6, activation="relu", kernel_constraint="max_norm"), keras.layers.Dense(3)]
        model = keras.Sequential([keras.Input((8,)), *layers])
        schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 5, 0.9)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(getattr(room, name)(schedule, clipnorm=1.0), loss)
        history = model.fit(x, y, epochs=3, batch_size=16, verbose=0, shuffle=False).history["loss"]
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert type(again.optimizer) is type(model.optimizer)
        history += again.fit(x, y, epochs=2, batch_size=16, verbose=0, shuffle=False).history["loss"]
        histories.append(history)
    np.testing.assert_allclose(*histories, rtol=1e-4)


@pytest.mark.parametrize("wrap", [
    keras.optimizers.LossScaleOptimizer,
    lambda own: keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(own)),
])  # fmt: skip
def test_keras_wrappers_take_them(wrap):
    results = []
    for room in (ours, keras.optimizers):
        given, optimizer = variables(), wrap(room.Adam(0.1))
        optimizer.build(given)
        for _ in range(3):
            optimizer.apply([100.0 * keras.ops.ones(one.shape) for one in given], given)
        results.append((given, optimizer))
    assert_same(*results)


def test_examples_do_what_they_say():
    result = doctest.testmod(classes)
    assert result.attempted > 0
    assert result.failed == 0
