"""What all optimizers share: parameter groups, storage, the step and everything that one step can do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers.plan import FLOATS, WORK, Recipe, state_kind, states
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.kernel import Kernel
from fastopt.kernels.runtime.pipeline import GRAIN
from fastopt.kernels.runtime.settings import get_target
from fastopt.kernels.runtime.tables import holds_the_same
from fastopt.optimizers import row_steps, step
from fastopt.optimizers.checkpoint import STEPS, Group, StateDict, of_rows
from fastopt.optimizers.options import CheckedOptions, Stats, StepOptions
from fastopt.trees import Tree

DOMAINS: dict[str, expect.Domain | list[expect.Domain]] = {  # a list: as many numbers, each of its own
    "betas": [expect.FRACTION, expect.FRACTION],
    "momentum": expect.FRACTION,
    "dampening": expect.UNIT,
    "beta": expect.FRACTION,
    "alpha": expect.FRACTION,
    "eps": expect.POSITIVE,
    "weight_decay": expect.NOT_NEGATIVE,
    "lr_decay": expect.NOT_NEGATIVE,
    "initial_accumulator_value": expect.NOT_NEGATIVE,
    "momentum_decay": expect.NOT_NEGATIVE,
    "rho": expect.FRACTION,
    "lambd": expect.NOT_NEGATIVE,
    "t0": expect.NOT_NEGATIVE,
    "l1": expect.NOT_NEGATIVE,
    "l2": expect.NOT_NEGATIVE,
    "alpha_warmup": expect.NOT_NEGATIVE,
    "beta3_warmup": expect.NOT_NEGATIVE,
    "warmup_steps": expect.NOT_NEGATIVE,
    "r": expect.NOT_NEGATIVE,
    "weight_lr_power": expect.NOT_NEGATIVE,
}


class Optimizer(StateDict):
    """Base of all optimizers: `step(grads)` updates the parameters it was given, in place.

    Parameters
    ----------
    params : array, sequence of arrays, mapping of arrays, or list of groups
        float32, float64, bfloat16 (of ml_dtypes) or float16 arrays of any shape and strides. A group is a mapping with
        "params" (an array, a sequence or a mapping) and any hyper-parameters that differ from the optimizer's own.
    options : mapping
        What every optimizer takes as keywords beside its hyper-parameters:

        clip_norm : float > 0 or None, default None
            Longest norm of all gradients together; longer ones are scaled down to it.
        clip_value : float > 0 or None, default None
            Largest magnitude of a gradient's element; larger ones are cut, after `clip_norm`.
        decoupled_weight_decay : bool, default False
            Take lr weight_decay θ from every parameter, before the update, instead of adding weight_decay θ to its
            gradient (Loshchilov and Hutter 2019); Keras decays so in every optimizer.
        ema_decay : float in [0, 1) or None, default None
            Keep running averages of the parameters, a ← ema_decay a + (1 − ema_decay) θ after every step, from a = θ.
        copy_to : {"bfloat16", "float16"} or None, default None
            Keep a copy of the parameters in this type, written in the same pass: `copies`.
        state_dtype : {"float32", "bfloat16", "8bit"} or None, default None
            How state is kept; None is the type that the optimizer computes in (float64 for float64 parameters,
            otherwise float32). 8-bit elements share a scale among 256; parameters of fewer than 4096 elements keep
            their state whole, and so do sums and averages of parameters (`z`, `n`, `ax`, `step_size`). Second moments
            in 16 and 8 bits are rounded stochastically: to nearest, what moves by less than half a code a step would
            stand still.
        rounding : {"nearest", "stochastic", "exact"}, default "nearest"
            How bfloat16 parameters are kept: rounded to the nearest; up or down with the probability of the part that
            is cut off, by counter-based random numbers of `seed`; or with the lost 16 bits beside them, which together
            are an exact float32.
        seed : int in [0, 2^32), default 0
            Of all stochastic rounding.
    **hyper
        Hyper-parameters of every group that does not name its own.

    Attributes
    ----------
    groups : list of dict
        The hyper-parameters of each group; may be changed between steps.
    steps : int
        Steps taken.
    state : list of dict of arrays
        Each parameter's state, by name, in the order of the parameters; 8-bit state has a `_scale` beside it.
    carried : list of dict of float
        What each group carries from step to step beside arrays, by name; empty for most optimizers.
    averages, copies : same structure as `params`, or None
        The averaged parameters (`ema_decay`), and the copies (`copy_to`).

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a writable array of one of these types, two of them overlap, or a hyper-parameter or an
        option is unknown or outside its domain.

    Examples
    --------
    Biases without decay, at their own rate:

    >>> import numpy as np, fastopt as fo
    >>> weights, bias = np.ones((2, 3)), np.zeros(3)
    >>> opt = fo.optimizers.AdamW([{"params": weights}, {"params": bias, "lr": 0.5, "weight_decay": 0.0}], lr=0.1)
    >>> opt.step([np.ones((2, 3)), np.ones(3)])
    >>> bias.round(6)
    array([-0.5, -0.5, -0.5])
    >>> [group["lr"] for group in opt.groups], opt.steps
    ([0.1, 0.5], 1)

    Clipped, averaged, with 8-bit state, in one pass:

    >>> w = np.ones(5000, np.float32)
    >>> opt = fo.optimizers.Adam(w, clip_norm=1.0, ema_decay=0.99, state_dtype="8bit")
    >>> opt.step(np.full(5000, 2.0, np.float32), return_stats=True).gradient_norm
    141.4213562373095
    >>> opt.state[0]["exp_avg"].dtype, opt.averages.dtype
    (dtype('uint8'), dtype('float32'))
    """

    _reference: ClassVar[Callable[..., tuple]]
    _scalars: ClassVar[Callable[[Group, int], tuple]]
    _only_at_start: ClassVar[tuple[str, ...]] = ()
    _lr_domain: ClassVar[expect.Domain] = expect.NOT_NEGATIVE
    _domains: ClassVar[dict[str, expect.Domain | list[expect.Domain]]] = {}  # where they are not DOMAINS'

    def __init__(self, params: Any, options: StepOptions | None = None, **hyper: Any):
        self.steps = 0
        self.options = CheckedOptions.of(options or {})
        self._tree = Tree(params)
        self._names = self._tree.names
        self._params = [
            expect.writable(expect.array(leaf, name, among=FLOATS), name)
            for name, leaf in zip(self._names, self._tree.leaves, strict=True)
        ]
        self._group_of = self._tree.group_of
        self.groups: list[Group] = []
        for k, own in enumerate(self._tree.options):
            unknown = [key for key in own if key not in hyper]
            if unknown:
                raise ValueError(f"params[{k}]: expected only {', '.join(hyper)} beside 'params', got {unknown[0]!r}")
            self.groups.append(self._checked({**hyper, **own}))
        self._seen = [dict(group) for group in self.groups]
        self._shapes = [param.shape for param in self._params]  # an array can be resized behind our back
        self._build_tables()
        self.state = [self._new_state(i) for i in range(len(self._params))]
        self._by_rows = False  # whether rows count their own steps
        self.carried = [dict(self._carries) for _ in self.groups]
        self._copies = [
            param.astype(kinds.dtype(self.options.copy_to)) for param in self._params if self.options.copy_to
        ]

    # ---- what a subclass says

    @staticmethod
    def _kernel(group: Group) -> Kernel:
        """Return the kernel that a group's options ask for."""
        raise NotImplementedError

    def _initial(self, name: str, group: Group, param: np.ndarray) -> float | np.ndarray:
        """Return the value, or values, that a state array starts from."""
        return 0.0

    def _state_shape(self, name: str, param: np.ndarray) -> tuple[int, ...]:
        """Return the shape of a state array."""
        return param.shape

    @staticmethod
    def _carry(group: Group, step: int) -> dict[str, float]:
        """Return what a group carries after this step; `group` holds what it carried before, too."""
        return {}

    # ---- what a subclass says whose steps pass over a parameter more than once

    _passes: ClassVar[tuple[Kernel, ...]] = ()  # they measure, before the rule runs
    _one_by_one: ClassVar[bool] = False  # whether all passes go over one parameter before the next

    def _kernels(self, i: int) -> tuple[Kernel, tuple[Kernel, ...]]:
        """Return the rule of a parameter, and the passes before it."""
        return self._kernel(self.groups[self._group_of[i]]), self._passes

    def _dims(self, i: int) -> tuple[int, ...]:
        """Return the sizes that a parameter's kernels ask for."""
        return ()

    def _work(self, names: list[str], indices: list[int]) -> dict[str, list[np.ndarray]]:
        """Return arrays, one per parameter, that passes hand on to each other."""
        return {}

    def _extent(self, number: int, i: int) -> tuple[int, int]:
        """Return how many sums a pass adds up, and how many elements a thread takes at a time."""
        return 2, GRAIN

    def _settle(
        self, number: int, group: Group, arrays: dict[str, np.ndarray], sums: np.ndarray, scalars: np.ndarray
    ) -> None:
        """Fill in a parameter's scalars, which follow from what a pass has summed up."""

    # ---- setting up

    def _checked(self, group: Group) -> Group:
        """Return the group with every hyper-parameter checked."""
        checked = dict(group)
        for name, value in group.items():
            if name == "lr":
                checked[name] = value if callable(value) else expect.number(value, name, self._lr_domain)
                continue
            domain = self._domains.get(name, DOMAINS.get(name))
            if domain is None:
                checked[name] = expect.flag(value, name)
            elif isinstance(domain, list):
                checked[name] = expect.numbers(value, name, domain)
            else:
                checked[name] = expect.number(value, name, domain)
        return checked

    def recipe(self, i: int, grad: str) -> Recipe:
        """Return what a step does to parameter `i` (in the parameters' order) when its gradient is of type `grad`."""
        param, options = self._params[i], self.options
        (kernel, passes), kind = self._kernels(i), str(param.dtype)
        compute = "float64" if kind == "float64" else "float32"
        if kind == "bfloat16" and options.rounding != "nearest":
            kind = {"stochastic": "stochastic", "exact": "split"}[options.rounding]
        state = tuple(
            state_kind(name, options.state_dtype or compute, compute, param.size) for name in states(passes, kernel)
        )
        return Recipe(
            kernel, passes, compute, kind, grad, state, clip=options.clip_value is not None,
            decay=options.decoupled_weight_decay, average=options.ema_decay is not None, copy=options.copy_to,
        )  # fmt: skip

    def _new_state(self, i: int) -> dict[str, np.ndarray]:
        recipe, param = self.recipe(i, "float32"), self._params[i]
        group, state = self.groups[self._group_of[i]], {}
        if recipe.param == "split":
            state["param_lost_bits"] = np.zeros(param.shape, np.uint16)
        for name in states(recipe.passes, recipe.kernel):
            if name in WORK:
                continue
            kind, shape = recipe.kinds[name], self._state_shape(name, param)
            arrays = kinds.arrays_for(kind, shape)
            kinds.write(kind, arrays, np.full(shape, self._initial(name, group, param), recipe.compute))
            state |= dict(zip((name, f"{name}_scale"), arrays, strict=False))
        if recipe.average:
            state["average"] = kinds.read(str(param.dtype), [param], recipe.compute)
        return state

    def _build_tables(self) -> None:
        """Refuse parameters that overlap, and keep their ranges of memory, to hold gradients against."""
        bounds = sorted((*np.lib.array_utils.byte_bounds(p), k) for k, p in enumerate(self._params) if p.size)
        for (_, stop, i), (start, _, j) in pairwise(bounds):
            if start < stop and np.shares_memory(self._params[i], self._params[j]):
                raise ValueError(
                    f"{self._names[j]}: expected memory apart from every other parameter, got an overlap with "
                    f"{self._names[i]}"
                )
        merged: list[list[int]] = []
        for start, stop, _ in bounds:  # views that interleave share one range
            if merged and start < merged[-1][1]:
                merged[-1][1] = max(stop, merged[-1][1])
            else:
                merged.append([start, stop])
        self._starts = np.array([start for start, _ in merged], np.uintp)
        self._stops = np.array([stop for _, stop in merged], np.uintp)
        self._plans: dict[tuple[str, ...], list[step.Part]] = {}
        self._kinds: tuple[str, ...] = ()  # of the last step's gradients
        self._seen_zeroed = False  # whether those were found apart from each other, too

    # ---- the learning rate

    @property
    def lr(self) -> float:
        """The first group's learning rate for the next step; setting it sets every group's."""
        return self._lr(self.groups[0])

    @lr.setter
    def lr(self, value: float | Callable[[int], float]) -> None:
        checked = value if callable(value) else expect.number(value, "lr", self._lr_domain)
        for group in self.groups:
            group["lr"] = checked

    def _lr(self, group: Group) -> float:
        lr = group["lr"]
        return expect.number(lr(self.steps), f"lr at step {self.steps}", self._lr_domain) if callable(lr) else lr

    # ---- the step

    def step(
        self,
        grads: Any,
        grad_scale: float | None = None,
        skip_nonfinite: bool = False,
        zero_grads: bool = False,
        return_stats: bool = False,
    ) -> Stats | None:
        """Update every parameter, and its state, in place, in one pass.

        Parameters
        ----------
        grads : same structure as `params`
            One gradient per parameter, of its shape; float32, float64, bfloat16 or float16, any strides.
        grad_scale : float > 0, optional
            What the loss was multiplied by: gradients are divided by it, as in torch's AMP.
        skip_nonfinite : bool, default False
            Change no parameter, no state and no step count if an element of a gradient is NaN or infinite. Costs a pass
            that reads the gradients, as `clip_norm` does (they share it).
        zero_grads : bool, default False
            Write zeros into the gradients, which are otherwise not written; in the same pass.
        return_stats : bool, default False
            Return what the step learned: the norms of gradients and update, and whether it was skipped.

        Returns
        -------
        Stats, or None unless `return_stats`

        Raises
        ------
        TypeError, ValueError
            If a gradient is missing, of another shape or type, or overlaps a parameter. Nothing has been written then.
        """
        unscale = 1.0 if grad_scale is None else 1.0 / expect.number(grad_scale, "grad_scale", expect.POSITIVE)
        if zero_grads is not False or skip_nonfinite is not False or return_stats is not False:
            zero_grads = expect.flag(zero_grads, "zero_grads")
            skip_nonfinite = expect.flag(skip_nonfinite, "skip_nonfinite")
            return_stats = expect.flag(return_stats, "return_stats")
        if self._by_rows:
            raise ValueError("step: expected step_rows, which has counted every row's steps by itself, got step")
        gradients = self._tree.flatten(grads, "grads")
        groups = self._digested()
        parts, contiguous = step.bound(self, gradients, zero_grads)
        options, factor, norm = self.options, unscale, 0.0
        if return_stats or skip_nonfinite or options.clip_norm is not None:
            norm, finite = step.norm(parts, contiguous)
            norm *= unscale
            if skip_nonfinite and not finite:
                if zero_grads:
                    for gradient in gradients:
                        gradient[...] = 0
                return Stats(norm, 0.0, True) if return_stats else None
            if options.clip_norm is not None and not norm <= options.clip_norm:
                factor *= options.clip_norm / norm
        run, carried = step.run_reference if get_target() == "reference" else step.run, self.carried
        if self._carries:
            carried = [self._carry({**g, **before}, self.steps + 1) for g, before in zip(groups, carried, strict=True)]
            # the reference works out for itself what the others get ready made
            numbers = self.carried if run is step.run_reference else carried
            groups = [{**group, **own} for group, own in zip(groups, numbers, strict=True)]
        update = run(self, parts, contiguous, groups, factor, zero_grads, return_stats)
        self.steps, self.carried = self.steps + 1, carried
        return Stats(norm, update, False) if return_stats else None

    def step_rows(
        self,
        index: int,
        rows: np.ndarray,
        values: np.ndarray,
        grad_scale: float | None = None,
        skip_nonfinite: bool = False,
        return_stats: bool = False,
    ) -> Stats | None:
        """Update some rows of one parameter, and their state, in place: embeddings, of which a batch uses few.

        Each row counts its own steps, so a row that is seen for the first time gets the first step's correction of
        bias. Rows that are not named stay as they are: no decay, no momentum, no average moves them. Every row is a job
        of the launcher, and all run under one parallel region.

        Parameters
        ----------
        index : int
            Which parameter, in the order of `state`.
        rows : integer array (k,)
            Which rows (indices of its first axis), in any order. Where a row is named more than once, its values are
            summed first, in their order, in the type the optimizer computes in; that makes a sorted copy of `values`.
        values : array (k, ...)
            The rows' gradients: float32, float64, bfloat16 or float16.
        grad_scale, skip_nonfinite, return_stats
            As in `step`, and so are the options of the optimizer; `clip_norm` looks at these rows' norm.

        Returns
        -------
        Stats, or None unless `return_stats`

        Raises
        ------
        TypeError, ValueError
            If the optimizer's step depends on a whole layer (LARS, LAMB, Adafactor, Muon), an argument is not as
            described, or rows of 8-bit state are no multiple of 256 elements. Nothing has been written then.

        Notes
        -----
        `steps` counts these calls, and a schedule of lr follows it. The counts are state from the first call on,
        `steps_of_rows`, one per row; `step` is refused then. torch's SparseAdam and Keras's optimizers have one count
        for all rows.

        Examples
        --------
        >>> import numpy as np, fastopt as fo
        >>> table = np.zeros((4, 2))
        >>> opt = fo.optimizers.Adam([table], lr=0.5)
        >>> opt.step_rows(0, np.array([2, 0, 2]), np.array([[1.0, 1.0], [3.0, -3.0], [1.0, 1.0]]))
        >>> table.round(6)
        array([[-0.5,  0.5],
               [ 0. ,  0. ],
               [-0.5, -0.5],
               [ 0. ,  0. ]])
        >>> opt.state[0]["steps_of_rows"]
        array([1, 0, 1, 0])
        """
        return row_steps.step(self, index, rows, values, grad_scale, skip_nonfinite, return_stats)

    def _counted(self, i: int) -> list[np.ndarray]:
        """Return what the rows of a parameter count by themselves; from here on, they do."""
        if not self._by_rows:
            for k in range(len(self._params)):
                self.state[k] |= self._new_counts(k)
            self._by_rows = True
        return [self.state[i][of_rows(name)] for name in (STEPS, *self._carries)]

    def _digested(self) -> list[Group]:
        """Return the groups with this step's lr, checked again where somebody changed them."""
        if len(self.groups) != len(self._seen):
            raise ValueError(f"groups: expected {len(self._seen)} groups, got {len(self.groups)}")
        changed = {}
        for k, (group, seen) in enumerate(zip(self.groups, self._seen, strict=True)):
            if type(group) is dict and holds_the_same(group, seen):
                continue
            if type(group) is not dict or group.keys() != seen.keys():
                got = f"the keys {sorted(map(str, group))}" if type(group) is dict else expect.describe(group)
                raise ValueError(f"groups[{k}]: expected the keys {sorted(seen)}, got {got}")
            changed[k] = self._checked(group)
            self._keeps_state(changed[k], seen, f"groups[{k}]")
        for k, checked in changed.items():  # in place: others may hold the group
            self.groups[k].update(checked)
            self._seen[k] = dict(self.groups[k])
        return [{**group, "lr": self._lr(group)} if callable(group["lr"]) else group for group in self.groups]

    def _keeps_state(self, group: Group, seen: Group, name: str) -> None:
        """Refuse options that ask for another kernel, whose state is another."""
        if self._kernel(group) is not self._kernel(seen):
            raise ValueError(f"{name}: expected options that keep the optimizer's state, got {expect.describe(group)}")

    # ---- what steps keep beside the parameters

    @property
    def averages(self) -> Any:
        """The averaged parameters, in the structure of `params`; None without `ema_decay`."""
        if self.options.ema_decay is None:
            return None
        return self._tree.build([state["average"] for state in self.state])

    @property
    def copies(self) -> Any:
        """The parameters in the type of `copy_to`, in the structure of `params`; None without it."""
        return self._tree.build(self._copies) if self.options.copy_to else None

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the averages into the parameters for the time of a `with` block, and the parameters back behind it."""
        if self.options.ema_decay is None:
            raise ValueError("ema_decay: expected a number in [0, 1) at the optimizer's start, got None")
        kept = [param.copy() for param in self._params]
        for param, state in zip(self._params, self.state, strict=True):
            param[...] = state["average"].astype(param.dtype)
        try:
            yield
        finally:
            for param, own in zip(self._params, kept, strict=True):
                param[...] = own
