"""Schedules against torch's, by their formulas, in an optimizer, and called wrongly."""

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

import fastopt as fo
from fastopt.schedules import (
    Constant,
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LinearWarmup,
    PiecewiseConstant,
    PolynomialDecay,
    StepDecay,
)

ALL = [
    Constant(0.3),
    PiecewiseConstant([3, 9], [1.0, 0.5, 0.1]),
    StepDecay(1.0, 4, 0.5),
    ExponentialDecay(1.0, 7, 0.5),
    ExponentialDecay(1.0, 7, 0.5, staircase=True),
    InverseTimeDecay(1.0, 5, 0.5),
    PolynomialDecay(1.0, 20, end=0.1, power=2.0),
    PolynomialDecay(1.0, 20, cycle=True),
    CosineDecay(1.0, 20, end=0.1),
    CosineDecayRestarts(1.0, 4, t_mul=1.5, m_mul=0.9, end=0.1),
    LinearWarmup(CosineDecay(1.0, 20), 5),
    LinearWarmup(0.5, 5, start=0.1),
]


def torch_rates(make, lr, count):
    """The rates that torch uses for its first `count` steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer)
    rates = []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


TORCH = torch.optim.lr_scheduler


@pytest.mark.parametrize(
    ("ours", "theirs", "count"),
    [
        (Constant(0.5), lambda o: TORCH.LambdaLR(o, lambda step: 1.0), 5),
        (PiecewiseConstant([3, 9], [0.5, 0.05, 0.005]), lambda o: TORCH.MultiStepLR(o, [3, 9], gamma=0.1), 20),
        (StepDecay(0.5, 4, 0.3), lambda o: TORCH.StepLR(o, 4, gamma=0.3), 20),
        (ExponentialDecay(0.5, 1, 0.9), lambda o: TORCH.ExponentialLR(o, 0.9), 20),
        (PolynomialDecay(0.5, 15, power=2.0), lambda o: TORCH.PolynomialLR(o, 15, power=2.0), 20),
        (CosineDecay(0.5, 15, end=0.1), lambda o: TORCH.CosineAnnealingLR(o, 15, eta_min=0.1), 16),
        (
            CosineDecayRestarts(0.5, 4, t_mul=2, end=0.1),
            lambda o: TORCH.CosineAnnealingWarmRestarts(o, 4, T_mult=2, eta_min=0.1), 40,
        ),
        (
            CosineDecayRestarts(0.5, 4, t_mul=1),
            lambda o: TORCH.CosineAnnealingWarmRestarts(o, 4), 40,
        ),
        (LinearWarmup(0.5, 10, start=0.125), lambda o: TORCH.LinearLR(o, 0.25, total_iters=10), 20),
    ],
)  # fmt: skip
def test_same_rates_as_torch(ours, theirs, count):
    np.testing.assert_allclose([ours(step) for step in range(count)], torch_rates(theirs, 0.5, count), rtol=1e-12)


@pytest.mark.parametrize("step", [0, 1, 6, 7, 20, 21, 40, 1000])
def test_formulas_written_out(step):
    assert ExponentialDecay(0.5, 7, 0.3)(step) == pytest.approx(0.5 * 0.3 ** (step / 7))
    assert ExponentialDecay(0.5, 7, 0.3, staircase=True)(step) == pytest.approx(0.5 * 0.3 ** (step // 7))
    assert InverseTimeDecay(0.5, 7, 0.3)(step) == pytest.approx(0.5 / (1 + 0.3 * step / 7))
    assert InverseTimeDecay(0.5, 7, 0.3, staircase=True)(step) == pytest.approx(0.5 / (1 + 0.3 * (step // 7)))
    assert PolynomialDecay(0.5, 20, end=0.1)(step) == pytest.approx(0.1 + 0.4 * max(0, 1 - step / 20))
    whole = 20 * max(1, np.ceil(step / 20))
    assert PolynomialDecay(0.5, 20, cycle=True)(step) == pytest.approx(0.5 * (1 - step / whole))


def test_ends_and_restarts():
    decay = CosineDecay(1.0, 10, end=0.25)
    assert [decay(10), decay(11), decay(10**9)] == [0.25] * 3
    restarts = CosineDecayRestarts(1.0, 10, t_mul=2.0, m_mul=0.5, end=0.2)  # periods begin at 0, 10, 30, 70
    assert [restarts(step) for step in (0, 10, 30, 70)] == pytest.approx([1.0, 0.6, 0.4, 0.3])
    assert restarts(20) == pytest.approx(0.2 + 0.4 / 2)
    long = CosineDecayRestarts(1.0, 10, t_mul=1.0, m_mul=0.999)
    assert long(10**6) == pytest.approx(0.999**100_000)


def test_warmup_hands_over_at_step_0_of_its_schedule():
    inner = ExponentialDecay(1.0, 10, 0.5)
    warm = LinearWarmup(inner, 4, start=0.2)
    assert [warm(step) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert [warm(step) for step in range(4, 30)] == [inner(step) for step in range(26)]
    assert LinearWarmup(lambda steps: 3.0, 2)(1) == 1.5


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_schedules_are_values(schedule):
    again = pickle.loads(pickle.dumps(schedule))
    assert again == schedule
    assert hash(again) == hash(schedule)
    assert eval(repr(schedule)) == schedule
    with pytest.raises(FrozenInstanceError):
        schedule.lr = 1.0
    for step in (0, 1, 19, 20, 21, np.int64(7), 10**7):
        assert type(schedule(step)) is float
        assert 0 <= schedule(step) <= 1


@pytest.mark.parametrize("schedule", ALL, ids=repr)
@pytest.mark.parametrize(("step", "error"), [(-1, ValueError), (1.0, TypeError), (True, TypeError), ("1", TypeError)])
def test_a_step_is_an_integer_from_0_on(schedule, step, error):
    with pytest.raises(error, match="step: expected an integer ≥ 0, got"):
        schedule(step)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_any_optimizer_takes_them_and_counts_from_0(schedule, optimizer):
    make = getattr(fo.optimizers, optimizer)
    grad = np.array([1.0, -2.0])
    scheduled, by_hand = np.ones(2), np.ones(2)
    one, other = make(scheduled, lr=schedule), make(by_hand, lr=0.0)
    for step in range(8):
        other.groups[0]["lr"] = schedule(step)
        one.step(grad)
        other.step(grad)
        np.testing.assert_array_equal(scheduled, by_hand)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Constant(-1.0), ValueError, "lr: expected a finite number ≥ 0, got -1.0"),
        (lambda: Constant(float("nan")), ValueError, "lr: expected a finite number ≥ 0, got nan"),
        (lambda: Constant("fast"), TypeError, "lr: expected a finite number ≥ 0, got str 'fast'"),
        (lambda: StepDecay(1.0, 0), ValueError, "step_size: expected an integer ≥ 1, got 0"),
        (lambda: StepDecay(1.0, 2.5), TypeError, "step_size: expected an integer ≥ 1, got float 2.5"),
        (lambda: StepDecay(1.0, 2, 0.0), ValueError, "gamma: expected a number in (0, 1], got 0.0"),
        (lambda: ExponentialDecay(1.0, 2, 1.5), ValueError, "decay_rate: expected a number in (0, 1], got 1.5"),
        (lambda: ExponentialDecay(1.0, 2, 0.5, staircase=1), TypeError, "staircase: expected True or False, got int 1"),
        (lambda: InverseTimeDecay(1.0, 2, -1.0), ValueError, "decay_rate: expected a finite number ≥ 0, got -1.0"),
        (lambda: PolynomialDecay(1.0, 2, power=0), ValueError, "power: expected a finite number > 0, got 0"),
        (lambda: PolynomialDecay(1.0, 2, end=-1), ValueError, "end: expected a finite number ≥ 0, got -1"),
        (lambda: PolynomialDecay(1.0, 2, cycle="no"), TypeError, "cycle: expected True or False, got str 'no'"),
        (lambda: CosineDecay(1.0, True), TypeError, "decay_steps: expected an integer ≥ 1, got bool True"),
        (lambda: CosineDecayRestarts(1.0, 2, t_mul=0.5), ValueError, "t_mul: expected a finite number ≥ 1, got 0.5"),
        (lambda: CosineDecayRestarts(1.0, 2, m_mul=2), ValueError, "m_mul: expected a number in (0, 1], got 2"),
        (lambda: PiecewiseConstant(3, [1, 2]), TypeError, "boundaries: expected a list of numbers, got int 3"),
        (lambda: PiecewiseConstant([3, 3], [1, 2, 3]), ValueError, "boundaries: expected increasing steps, got [3, 3]"),
        (lambda: PiecewiseConstant([0], [1, 2]), ValueError, "boundaries[0]: expected an integer ≥ 1, got 0"),
        (lambda: PiecewiseConstant([3], [1]), ValueError, "values: expected 2 rates, one more than boundaries, got 1"),
        (lambda: PiecewiseConstant([3], [1, -1]), ValueError, "values[1]: expected a finite number ≥ 0, got -1"),
        (lambda: LinearWarmup("x", 3), TypeError, "schedule: expected a finite number ≥ 0, got str 'x'"),
        (lambda: LinearWarmup(1.0, 0), ValueError, "warmup_steps: expected an integer ≥ 1, got 0"),
        (lambda: LinearWarmup(1.0, 1, start=-0.5), ValueError, "start: expected a finite number ≥ 0, got -0.5"),
    ],
)  # fmt: skip
def test_a_wrong_argument_gets_one_sentence(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == words
