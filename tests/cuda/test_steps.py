"""Optimizers on a GPU as people call them, on the driver's stand-in: bits, options, refusals."""

import numpy as np
import pytest
import stand_in as control

import fastopt as fo

SHAPES = ((3,), (40, 130), (9000,))
CLASSES = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True}, "Adam": {}, "AdamW": {"weight_decay": 0.1}, "RMSprop": {},
    "Adagrad": {"initial_accumulator_value": 0.5}, "NAdam": {}, "RAdam": {}, "Adamax": {}, "Adadelta": {}, "Rprop": {},
    "ASGD": {}, "Lion": {}, "AdEMAMix": {}, "FTRL": {}, "AdamWScheduleFree": {}, "Momentum": {}, "LARS": {}, "LAMB": {},
}  # fmt: skip
OPTIONS = {
    "clipped": {"clip_norm": 1.0, "clip_value": 0.5},
    "averaged, copied": {"ema_decay": 0.9, "copy_to": "bfloat16", "decoupled_weight_decay": True},
    "8-bit": {"state_dtype": "8bit"},
    "bfloat16": {"state_dtype": "bfloat16"},
}


def arrays(seed, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]


def both(name, options, steps=3, dtype=np.float32, **asked):
    """Return an optimizer's parameters after some steps, on the CPU and on the device, and what steps returned."""
    ours, theirs = arrays(0, dtype), control.on_device(arrays(0, dtype))
    cls = getattr(fo.optimizers, name)
    on_cpu = cls(ours, **options)
    with fo.target("cuda"):
        on_gpu = cls(theirs, **options)
    for k in range(steps):
        expected = on_cpu.step(arrays(k + 1, dtype), **asked)
        with fo.target("cuda"):
            found = on_gpu.step(control.on_device(arrays(k + 1, dtype)), **asked)
    return on_cpu, on_gpu, ours, [array.array for array in theirs], expected, found


@pytest.mark.parametrize("name", CLASSES)
def test_steps_have_the_bits_of_the_cpu(gpu, name):
    on_cpu, on_gpu, ours, theirs, *_ = both(name, CLASSES[name])
    for a, b in zip(ours, theirs, strict=True):
        if name in ("LARS", "LAMB"):  # whose rates follow from sums, which are added in another order
            np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-7)
        else:
            np.testing.assert_array_equal(a, b)
    assert on_gpu.steps == on_cpu.steps == 3


@pytest.mark.parametrize("options", OPTIONS)
def test_options_have_the_bits_of_the_cpu(gpu, options):
    on_cpu, on_gpu, ours, theirs, *_ = both("Adam", OPTIONS[options])
    for a, b in zip(ours, theirs, strict=True):
        if options == "clipped":  # by a norm, whose squares are added in another order
            np.testing.assert_allclose(b, a, rtol=1e-6)
        else:
            np.testing.assert_array_equal(a, b)
    for a, b in zip(on_cpu.state, on_gpu.state, strict=True):
        assert a.keys() == b.keys()
        for name in a if options != "clipped" else ():
            np.testing.assert_array_equal(a[name].view(np.uint8), b[name].copy().view(np.uint8))
    if options == "averaged, copied":
        for a, b in zip(on_cpu.copies, on_gpu.copies, strict=True):
            np.testing.assert_array_equal(a.view(np.uint16), b.copy().view(np.uint16))


def test_float64_and_stats(gpu):
    *_, ours, theirs, expected, found = both("AdamW", {}, dtype=np.float64, return_stats=True)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-13)


def test_skipped_steps_and_zeroed_gradients(gpu):
    params, grads = control.on_device(arrays(0)), arrays(1)
    grads[1][3, 4] = np.nan
    with fo.target("cuda"):
        opt = fo.optimizers.Adam(params)
        given = control.on_device(grads)
        assert opt.step(given, skip_nonfinite=True, zero_grads=True, return_stats=True).skipped
        assert opt.steps == 0
        assert not any(array.array.any() for array in given)
        given = control.on_device(arrays(2))
        opt.step(given, zero_grads=True)
    assert not any(array.array.any() for array in given)


def test_state_goes_from_the_cpu_to_the_device_and_back(gpu):
    on_cpu, on_gpu, ours, *_ = both("Adam", {})
    saved = on_gpu.state_dict()
    with fo.target("cuda"):
        other = fo.optimizers.Adam(control.on_device(ours))
        other.load_state_dict(on_cpu.state_dict())
    for a, b in zip(saved["state"].values(), other.state_dict()["state"].values(), strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
    assert saved["steps"] == other.steps == 3


def test_schedule_free_moves_to_its_average(gpu):
    on_cpu, on_gpu, ours, theirs, *_ = both("AdamWScheduleFree", {})
    on_cpu.eval()
    with fo.target("cuda"):
        on_gpu.eval()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_launch_for_all_arrays_of_a_recipe(gpu):
    params = control.on_device(arrays(0))
    with fo.target("cuda"):
        opt = fo.optimizers.Adam(params)
        before = gpu.launches
        opt.step(control.on_device(arrays(1)))
    assert gpu.launches == before + 1


# ---- refusals


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda grads: [None, *grads[1:]], ValueError, r"grads\[0\]: expected a gradient for every parameter"),
        (lambda grads: [grads[0].array, *grads[1:]], TypeError, r"grads\[0\]: expected an array on a GPU"),
        (lambda grads: [*grads[:2], control.Array(np.zeros(3, np.float32))], ValueError, r"grads\[2\]: expected shape"),
        (lambda grads: [control.Array(np.zeros(3, np.int64)), *grads[1:]], TypeError, r"grads\[0\]: expected float32"),
        (
            lambda grads: [grads[0], control.Array(np.zeros((130, 40), np.float32).T), grads[2]],
            ValueError, r"grads\[1\]: expected a packed array in C order",
        ),
    ],
)  # fmt: skip
def test_gradients_that_are_refused(gpu, spoil, error, words):
    params = control.on_device(arrays(0))
    with fo.target("cuda"):
        opt = fo.optimizers.Adam(params)
        with pytest.raises(error, match=words):
            opt.step(spoil(control.on_device(arrays(1))))
    assert opt.steps == 0
    for array, before in zip(params, arrays(0), strict=True):
        np.testing.assert_array_equal(array.array, before)


def test_gradients_in_the_parameters_memory_are_refused(gpu):
    params = control.on_device(arrays(0))
    with fo.target("cuda"):
        opt = fo.optimizers.Adam(params)
        with pytest.raises(ValueError, match=r"grads\[0\]: expected memory apart"):
            opt.step(params)


def test_a_step_under_another_target_is_refused(gpu):
    on_host, on_device = fo.optimizers.Adam(np.ones(3)), control.on_device([np.ones(3)])
    with fo.target("cuda"):
        opt = fo.optimizers.Adam(on_device)
        with pytest.raises(TypeError, match="step: expected parameters on a GPU under target 'cuda', got NumPy arrays"):
            on_host.step(np.ones(3))
    with pytest.raises(TypeError, match="step: expected target 'cuda', for the parameters are on a GPU, got 'cython'"):
        opt.step(control.on_device([np.ones(3)]))


def test_what_a_device_cannot_do_yet_says_so(gpu):
    with fo.target("cuda"):
        with pytest.raises(TypeError, match="params: expected an array on a GPU"):
            fo.optimizers.Adam(np.ones(3))
        with pytest.raises(ValueError, match="params: expected a writable array"):
            fo.optimizers.Adam(control.Array(np.ones(3), read_only=True))
        with pytest.raises(NotImplementedError, match="no kernel for adafactor"):
            fo.optimizers.Adafactor(control.Array(np.ones((3, 4))))
        opt = fo.optimizers.Adam(control.Array(np.ones((3, 4))), ema_decay=0.5)
        with pytest.raises(NotImplementedError, match="step_rows: not for parameters on a GPU yet"):
            opt.step_rows(0, np.array([0]), np.ones((1, 4)))
        with pytest.raises(NotImplementedError, match="averaged"), opt.averaged():
            pass


def test_no_memory_for_state(gpu):
    params = control.on_device(arrays(0))
    gpu.fail("cuMemAlloc_v2", 2)
    with fo.target("cuda"), pytest.raises(MemoryError, match="the GPU has no memory left for 12 bytes"):
        fo.optimizers.Adam(params)


def test_gradients_are_not_kept(gpu):
    import weakref

    params, grads = control.on_device(arrays(0)), control.on_device(arrays(1))
    with fo.target("cuda"):
        opt = fo.optimizers.Adam(params)
        opt.step(grads)
        opt.step(grads)
        gone = [weakref.ref(grad) for grad in grads]
        grads.clear()
        assert [ref() for ref in gone] == [None] * 3
        opt.step(control.on_device(arrays(2)))
    assert opt.steps == 3
