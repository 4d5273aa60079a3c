"""torch's own table of modules drives ours: outputs, gradients and buffers beside torch's, in training and without."""

import pytest
import torch
from torch.testing._internal.common_modules import module_db
from torch.utils._pytree import tree_map

from fastopt.torch import nn

INFOS = {info.module_cls.__name__: info for info in module_db if hasattr(nn, info.module_cls.__name__)}
CASES = [(name, training) for name, info in INFOS.items() for training in (True, *[False] * info.train_and_eval_differ)]
MOST = 60  # samples of one module and type
TOLERANCE = {torch.float32: {"rtol": 1e-4, "atol": 1e-5}, torch.float64: {"rtol": 1e-9, "atol": 1e-10}}


def test_every_module_has_its_samples():
    ours = {name for name, kind in vars(nn).items() if isinstance(kind, type) and issubclass(kind, torch.nn.Module)}
    assert {*INFOS, "SyncBatchNorm"} == {name for name in ours if name[0] != "_"}


def fresh(one):
    return one.detach().clone().requires_grad_(one.requires_grad) if isinstance(one, torch.Tensor) else one


def outcome(module, forward):
    args, kwargs = tree_map(fresh, (forward.args, forward.kwargs))
    inputs = [one for one in (*args, *kwargs.values()) if isinstance(one, torch.Tensor)]
    value = module(*args, **kwargs)
    if value.requires_grad:
        torch.manual_seed(1)
        value.backward(torch.randn(value.shape, dtype=value.dtype))
    grads = [one.grad for one in (*inputs, *module.parameters())]
    return [value.detach(), *grads, *module.buffers()]


@pytest.mark.filterwarnings("ignore")  # torch's advice, on both sides
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("name", "training"), CASES)
def test_samples(name, training, dtype):
    info = INFOS[name]
    torch.manual_seed(0)
    given = info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training)
    assert given
    for number, one in enumerate(given[:: 1 + len(given) // MOST]):
        args, kwargs = one.constructor_input.args, one.constructor_input.kwargs
        mine, yours = (kind(*args, **kwargs).to(dtype).train(training) for kind in (getattr(nn, name), info.module_cls))
        mine.load_state_dict(yours.state_dict())
        for found, wanted in zip(outcome(mine, one.forward_input), outcome(yours, one.forward_input), strict=True):
            assert (found is None) == (wanted is None), number
            if found is not None:
                torch.testing.assert_close(
                    found,
                    wanted,
                    equal_nan=True,
                    **TOLERANCE[dtype],
                    msg=lambda m, n=number: f"sample {n}: {m}",
                )
