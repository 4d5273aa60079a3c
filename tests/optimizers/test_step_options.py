"""What one step can do besides the rule, and how numbers are kept: the same for every optimizer."""

import copy
import pickle
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
import torch

import fastopt as fo
from fastopt.kernels.runtime import kinds

OPTIMIZERS = [
    name
    for name in fo.optimizers.__all__
    if name != "Optimizer" and "options" in getattr(fo.optimizers, name).__init__.__annotations__
]
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
TARGETS = ("cython", "numba")
STORAGES = (  # parameters, rounding, gradients, state
    ("float32", "nearest", "float32", None),
    ("float32", "nearest", "bfloat16", "bfloat16"),
    ("float32", "nearest", "float64", "8bit"),
    ("float64", "nearest", "float64", "8bit"),
    ("float64", "nearest", "float32", "bfloat16"),
    ("float64", "nearest", "float16", "float32"),
    ("bfloat16", "nearest", "bfloat16", None),
    ("bfloat16", "stochastic", "bfloat16", "8bit"),
    ("bfloat16", "stochastic", "float32", "bfloat16"),
    ("bfloat16", "exact", "bfloat16", "bfloat16"),
    ("bfloat16", "exact", "float16", "8bit"),
    ("float16", "nearest", "float16", "8bit"),
    ("float16", "nearest", "float32", None),
)
OPTIONS = (
    {},
    {"clip_norm": 1.0, "ema_decay": 0.9},
    {"clip_value": 0.5, "copy_to": "bfloat16"},
    {"decoupled_weight_decay": True, "clip_norm": 100.0, "clip_value": 0.1},
    {"ema_decay": 0.5, "copy_to": "float16", "decoupled_weight_decay": True},
)
# Each optimizer with each storage, and each storage with each option; the options take turns.
PAIRS = [
    pytest.param(name, storage, OPTIONS[(i + j) % len(OPTIONS)], id=f"{name}-{'-'.join(map(str, storage))}")
    for i, name in enumerate(OPTIMIZERS)
    for j, storage in enumerate(STORAGES)
]
EACH_STORAGE = [pytest.param(storage, id="-".join(map(str, storage))) for storage in STORAGES]


def dtype(name):
    return BFLOAT16 if name == "bfloat16" else np.dtype(name)


def made(name, storage, options=None, sizes=(5000, 700), seed=0):
    """Return an optimizer, its parameters, and a maker of gradients; Muon's are matrices of about these sizes."""
    if name == "Muon":
        sizes = [(-(-size // 100), 100) for size in sizes]
    param, rounding, grad, state = storage
    without = ("decoupled_weight_decay",) if name in ("Rprop", "AdamWScheduleFree") else ()  # no decay to decouple
    options = {key: value for key, value in (options or {}).items() if key not in without}
    rng = np.random.default_rng(seed)
    params = [rng.standard_normal(size).astype(dtype(param)) for size in sizes]
    hyper = {"weight_decay": 0.1} if "weight_decay" in getattr(fo.optimizers, name).__init__.__annotations__ else {}
    optimizer = getattr(fo.optimizers, name)(
        params, lr=0.01, **hyper, state_dtype=state, rounding=rounding, seed=3, **(options or {})
    )
    return optimizer, params, lambda: [rng.standard_normal(size).astype(dtype(grad)) for size in sizes]


def everything(optimizer):
    """Return every array an optimizer holds, by name."""
    held = {f"param{i}": param for i, param in enumerate(optimizer._store.params)}
    held |= {f"{name}{i}": array for i, state in enumerate(optimizer.state) for name, array in state.items()}
    return held | {f"copy{i}": array for i, array in enumerate(optimizer._store.copies)}


def bits(optimizer):
    return {name: array.tobytes() for name, array in everything(optimizer).items()}


def decoded(optimizer):
    """Return the numbers that the arrays stand for, in float64, and by how much rounding may move each."""
    numbers = {}
    for i, (param, state) in enumerate(zip(optimizer._store.params, optimizer.state, strict=True)):
        recipe = optimizer._store.recipe(i, "float32")
        lost = [state["param_lost_bits"]] if recipe.param == "split" else []
        numbers[f"param{i}"] = value_and_step(recipe.param, [param, *lost], recipe.compute)
        for name, kind in recipe.kinds.items():
            if name not in state:
                continue
            arrays = [state[key] for key in (name, f"{name}_scale") if key in state]
            value, step = value_and_step(kind, arrays, recipe.compute)
            # Where decay nearly cancels a gradient, its few digits left decide Adadelta's squared update.
            numbers[f"{name}{i}"] = value, step * (50 if name == "acc_delta" else 1)
        if "average" in state:
            numbers[f"average{i}"] = value_and_step(recipe.compute, [state["average"]], recipe.compute)
    for i, array in enumerate(optimizer._store.copies):
        numbers[f"copy{i}"] = value_and_step(optimizer.options.copy_to, [array], "float32")
    return numbers


# Relative distance of neighbours, and the distance near zero as a share of the largest. float32: a dozen roundings.
STEPS = {"float64": (1e-13, 1e-15), "float32": (5e-6, 1e-6), "split": (5e-6, 1e-6), "float16": (2**-10, 2**-20)}
STEPS |= {
    "square16": (2**-7, 1e-6),
    "bfloat16": (2**-7, 1e-6),
    "stochastic": (2**-7, 1e-6),
    "mean8": (1 / 7, 2**-14),
    "square8": (1 / 7, 2**-30),
}


def value_and_step(kind, arrays, compute):
    value = kinds.read(kind, arrays, compute).astype(np.float64)
    relative, absolute = STEPS[kind]
    if compute == "float32":
        absolute = max(absolute, 1e-6)
    return value, relative * np.abs(value) + absolute * np.max(np.abs(value), initial=1e-30)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("name", "storage", "options"), PAIRS)
def test_every_optimizer_with_every_storage_and_option_is_the_references(name, storage, options, target):
    optimizer, _, gradients = made(name, storage, options)
    for _ in range(3):  # from the same state at every step: a code that rounds the other way is not carried on
        judge, grads = copy.deepcopy(optimizer), gradients()
        with fo.target("reference"):
            expected_stats = judge.step(grads, grad_scale=2.0, return_stats=True)
        with fo.target(target):
            stats = optimizer.step(grads, grad_scale=2.0, return_stats=True)
        assert stats.gradient_norm == pytest.approx(expected_stats.gradient_norm, rel=1e-6)
        # the update is a difference of rounded parameters: half a last place of each
        places = 2**-24 * np.sqrt(sum(np.sum(param.astype(np.float64) ** 2) for param in optimizer._store.params))
        assert stats.update_norm == pytest.approx(expected_stats.update_norm, rel=1e-5, abs=places)
        got, expected = decoded(optimizer), decoded(judge)
        assert got.keys() == expected.keys()
        for key, (value, step) in expected.items():
            worst = np.argmax(np.abs(got[key][0] - value) - step)
            assert (np.abs(got[key][0] - value) <= step).all(), (key, worst, got[key][0].flat[worst], value.flat[worst])


@pytest.mark.parametrize("storage", EACH_STORAGE)
def test_cython_and_numba_give_the_same_bits_in_every_storage(storage):
    results = []
    for target in TARGETS:
        optimizer, _, gradients = made("AdamW", storage, {"ema_decay": 0.9, "clip_norm": 1.0})
        with fo.target(target):
            for _ in range(2):
                optimizer.step(gradients())
        results.append(bits(optimizer))
    assert results[0] == results[1]


@pytest.mark.parametrize("storage", EACH_STORAGE)
def test_any_number_of_threads_gives_the_same_bits_in_every_storage(storage):
    before, results = fo.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            fo.set_num_threads(threads)
            optimizer, _, gradients = made(
                "AdamW", storage, {"clip_norm": 1.0, "ema_decay": 0.9}, (200_003, 33, 70_001)
            )
            stats = [optimizer.step(gradients(), return_stats=True) for _ in range(2)]
            results.append((bits(optimizer), stats))
    finally:
        fo.set_num_threads(before)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("target", [*TARGETS, "reference"])
@pytest.mark.parametrize("storage", EACH_STORAGE)
def test_any_strides_are_right_in_every_storage(storage, target):
    param, rounding, grad, state = storage
    rng = np.random.default_rng(0)
    values = rng.standard_normal((130, 70)).astype(dtype(param))
    slope = rng.standard_normal((130, 70)).astype(dtype(grad))
    layouts = (np.array, np.asfortranarray, lambda a: np.repeat(a, 2, axis=1)[:, ::2], lambda a: a[::-1].copy()[::-1])
    results = []
    for layout in layouts:
        weight, gradient = layout(values), layout(slope)
        optimizer = fo.optimizers.AdamW([weight, np.ones((), dtype(param))], state_dtype=state, rounding=rounding)
        with fo.target(target):
            optimizer.step([gradient, np.ones((), dtype(grad))], zero_grads=True)
        assert not gradient.any()
        results.append({name: np.array(array, order="C").tobytes() for name, array in everything(optimizer).items()})
    assert all(result == results[0] for result in results)


# ---- options


@pytest.mark.parametrize("target", [*TARGETS, "reference"])
def test_clipping_is_torchs(target):
    rng = np.random.default_rng(0)
    params = [rng.standard_normal(300), rng.standard_normal((40, 5))]
    theirs = [torch.tensor(param.copy(), requires_grad=True) for param in params]
    ours = fo.optimizers.AdamW(params, lr=0.1, clip_norm=2.0)
    other = torch.optim.AdamW(theirs, lr=0.1)
    for _ in range(5):
        grads = [rng.standard_normal(param.shape) for param in params]
        for tensor, grad in zip(theirs, grads, strict=True):
            tensor.grad = torch.tensor(grad)
        norm = torch.nn.utils.clip_grad_norm_(theirs, 2.0)
        other.step()
        with fo.target(target):
            stats = ours.step(grads, return_stats=True)
        assert stats.gradient_norm == pytest.approx(float(norm), rel=1e-12)
    for param, tensor in zip(params, theirs, strict=True):
        np.testing.assert_allclose(param, tensor.detach().numpy(), rtol=1e-5)  # torch divides by norm + 1e-6


@pytest.mark.parametrize("target", [*TARGETS, "reference"])
def test_averages_copies_and_zeroed_gradients(target):
    rng = np.random.default_rng(0)
    params = {"w": rng.standard_normal((60, 9)).astype(np.float32), "b": np.zeros(7, np.float32)}
    expected = {name: param.copy() for name, param in params.items()}
    optimizer = fo.optimizers.SGD(params, lr=0.1, ema_decay=0.75, copy_to="bfloat16")
    for _ in range(3):
        grads = {name: rng.standard_normal(param.shape).astype(np.float32) for name, param in params.items()}
        with fo.target(target):
            optimizer.step(grads, zero_grads=True)
        assert not any(grad.any() for grad in grads.values())
        expected = {name: 0.75 * expected[name] + 0.25 * params[name] for name in params}
    for name, param in params.items():
        np.testing.assert_allclose(optimizer.averages[name], expected[name], rtol=1e-6)
        assert (optimizer.copies[name] == param.astype(BFLOAT16)).all()
    before = {name: param.copy() for name, param in params.items()}
    with optimizer.averaged():
        np.testing.assert_array_equal(params["w"], optimizer.averages["w"])
    np.testing.assert_array_equal(params["w"], before["w"])


@pytest.mark.parametrize("target", [*TARGETS, "reference"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("storage", EACH_STORAGE)
def test_a_skipped_step_leaves_everything(storage, wrong, target):
    optimizer, _, gradients = made("AdamW", storage, {"clip_norm": 1.0, "ema_decay": 0.9, "copy_to": "float16"})
    optimizer.step(gradients(), skip_nonfinite=True)
    before, grads = bits(optimizer), gradients()
    grads[1][-1] = wrong
    with fo.target(target):
        stats = optimizer.step(grads, skip_nonfinite=True, return_stats=True)
    assert stats.skipped
    assert not np.isfinite(stats.gradient_norm)
    assert stats.update_norm == 0
    assert bits(optimizer) == before
    assert optimizer.steps == 1


def test_decoupled_decay_of_adam_is_adamw():
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal(900), None
    other = one.copy()
    adam = fo.optimizers.Adam(one, lr=0.1, weight_decay=0.2, decoupled_weight_decay=True)
    adamw = fo.optimizers.AdamW(other, lr=0.1, weight_decay=0.2)
    for _ in range(5):
        grad = rng.standard_normal(900)
        adam.step(grad)
        adamw.step(grad)
    assert one.tobytes() == other.tobytes()


def test_an_update_norm_is_what_was_added():
    weight = np.zeros(5000, np.float32)
    stats = fo.optimizers.SGD(weight, lr=0.5).step(np.ones(5000, np.float32), return_stats=True)
    assert stats.gradient_norm == pytest.approx(np.sqrt(5000))
    assert stats.update_norm == pytest.approx(0.5 * np.sqrt(5000))
    assert not stats.skipped


# ---- wrong calls


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clip_norm": 0.0}, "clip_norm: expected a finite number > 0, got 0.0"),
        ({"clip_value": "big"}, "clip_value: expected a finite number > 0, got str 'big'"),
        ({"ema_decay": 1.0}, r"ema_decay: expected a number in \[0, 1\), got 1.0"),
        ({"copy_to": "float8"}, "copy_to: expected one of 'bfloat16', 'float16', got 'float8'"),
        ({"state_dtype": "4bit"}, "state_dtype: expected one of 'float32', 'bfloat16', '8bit', got '4bit'"),
        ({"rounding": "up"}, "rounding: expected one of 'nearest', 'stochastic', 'exact', got 'up'"),
        ({"seed": -1}, r"seed: expected an integer in \[0, 4294967296\), got -1"),
        ({"decoupled_weight_decay": 1}, "decoupled_weight_decay: expected True or False, got int 1"),
        ({"foreach": True}, "foreach: expected one of lr, .*, clip_norm, .*, got 'foreach'"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises((TypeError, ValueError), match=f"^{words}$"):
        fo.optimizers.AdamW(np.ones(3), **options)


def test_wrong_steps_are_refused_and_change_nothing():
    weights = [np.ones(5), np.ones(5)]
    optimizer = fo.optimizers.Adam(weights, ema_decay=0.5)
    shared, fixed = np.ones(5), np.ones(5)
    fixed.setflags(write=False)
    for call, words in (
        (lambda: optimizer.step([shared, shared], zero_grads=True), r"grads\[1\]: expected memory apart from every"),
        (lambda: optimizer.step([np.ones(5), fixed], zero_grads=True), r"grads\[1\]: expected a writable array"),
        (lambda: optimizer.step([shared, shared], grad_scale=0.0), "grad_scale: expected a finite number > 0, got 0"),
        (lambda: optimizer.step([shared, shared], zero_grads=1), "zero_grads: expected True or False, got int 1"),
        (lambda: optimizer.step([shared, shared], skip_nonfinite="no"), "skip_nonfinite: expected True or False"),
        (lambda: optimizer.step([shared, shared], return_stats=2), "return_stats: expected True or False"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            call()
    assert optimizer.steps == 0
    assert all((weight == 1).all() for weight in weights)
    optimizer.step([shared, shared])  # without zeroing, sharing is fine
    with pytest.raises(ValueError, match="ema_decay: expected"), fo.optimizers.SGD(np.ones(2)).averaged():
        pass


# ---- state that lasts


@pytest.mark.parametrize("storage", EACH_STORAGE)
def test_a_saved_run_goes_on_to_the_same_bits(storage):
    optimizer, _, gradients = made("AdamW", storage, {"ema_decay": 0.9})
    optimizer.step(gradients())
    twin = pickle.loads(pickle.dumps(optimizer))
    other, params, _ = made("AdamW", storage, {"ema_decay": 0.9}, seed=9)
    other.load_state_dict(optimizer.state_dict())
    for param, source in zip(params, optimizer._store.params, strict=True):
        param[...] = source
    for _ in range(2):
        grads = gradients()
        for each in (optimizer, twin, other):
            each.step(grads)
    assert bits(optimizer) == bits(twin) == bits(other)


def test_a_state_of_another_storage_is_refused():
    whole, short = (made("AdamW", ("float32", "nearest", "float32", state))[0] for state in (None, "bfloat16"))
    before = bits(whole)
    with pytest.raises(TypeError, match="expected float32, got bfloat16"):
        whole.load_state_dict(short.state_dict())
    assert bits(whole) == before


def test_a_step_takes_no_memory_to_speak_of():
    weight, grad = np.ones(3_000_000, np.float32), np.ones(3_000_000, BFLOAT16)
    optimizer = fo.optimizers.AdamW(weight, state_dtype="8bit", ema_decay=0.9, clip_norm=1.0)
    optimizer.step(grad)
    tracemalloc.start()
    optimizer.step(grad, return_stats=True, zero_grads=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


@pytest.mark.parametrize("state_dtype", ["bfloat16", "8bit"])
@pytest.mark.parametrize("grad", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_what_is_fused_by_hand_gives_the_bits_of_the_pipeline(name, grad, state_dtype):
    """Cython has Adam with 16- and 8-bit state in one loop; for Numba, decoding and encoding are stages."""
    found = []
    for target in TARGETS:
        optimizer, _, gradients = made(name, ("float32", "nearest", grad, state_dtype), {"clip_value": 0.5})
        special = gradients()
        special[0][:4] = [np.nan, np.inf, 0.0, 1e-40]
        with fo.target(target), np.errstate(all="ignore"):
            for grads in (gradients(), gradients(), special, gradients()):
                optimizer.step(grads)
        found.append(bits(optimizer))
    assert found[0] == found[1]


def test_gradients_that_moved_are_looked_at_again():
    w = np.ones(8)
    optimizer, grad = fo.optimizers.SGD([w[:4]], lr=1.0), np.ones(4)
    optimizer.step([grad])
    with pytest.raises(ValueError, match="overlap"):
        optimizer.step([w[2:6]])
    optimizer.step([w[4:]])
    np.testing.assert_array_equal(w[:4], -1.0)
    two = fo.optimizers.SGD([np.ones(4), np.ones(4)])
    two.step([grad, grad])
    with pytest.raises(ValueError, match="every other gradient"):
        two.step([grad, grad], zero_grads=True)
    two.step([grad, np.ones(4)], zero_grads=True)
    other = np.ones(4)
    with pytest.raises(ValueError, match="every other gradient"):
        two.step([other, other], zero_grads=True)
