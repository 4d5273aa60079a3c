"""What all optimizers share: parameter groups, storage, the step and everything that one step can do."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers.batch import Asked
from fastopt.kernels.runtime.turn import Turn
from fastopt.kernels.runtime.whole import put, whole
from fastopt.optimizers import joining, row_steps
from fastopt.optimizers.copies import begin_anew, type_of_copies
from fastopt.optimizers.memory import State
from fastopt.optimizers.options import APART, SETTABLE, SYNONYMS, Options, Settable, Stats, StepOptions
from fastopt.optimizers.options import filled as filled
from fastopt.optimizers.refusals import expect_norm
from fastopt.optimizers.rule import Group, Rule
from fastopt.optimizers.saved import Saved
from fastopt.optimizers.store import NONE
from fastopt.optimizers.stores import new_store


@filled
class Optimizer(Saved):
    """Base of all optimizers: `step(grads)` updates the parameters it was given, in place.

    Parameters
    ----------
    params : array, sequence of arrays, mapping of arrays, or list of groups
        float32, float64, bfloat16 (of ml_dtypes) or float16 arrays of any shape and strides. A group is a mapping with
        "params" (an array, a sequence or a mapping) and any hyper-parameters that differ from the optimizer's own.
    options : mapping
        What every optimizer takes as keywords beside its hyper-parameters:

        {options}
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

    rule: ClassVar[Rule]  # what a subclass says of itself

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "rule" in vars(cls):
            cls.rule = cls.rule.of_class(cls)

    def __init__(self, params: Any, options: StepOptions | None = None, **hyper: Any):
        if type(self) is Optimizer:
            raise TypeError("Optimizer: expected one of the optimizers, such as AdamW(params), got their base")
        given: Mapping[str, Any] = options or {}
        known = (*hyper, *Options.__dataclass_fields__, *APART)
        for name in given:
            if name not in known:
                raise TypeError(f"{name}: {expect.unknown(name, known, SYNONYMS)}")
        if given.get("decoupled_weight_decay") is True and not self.rule.decays:
            raise ValueError(
                f"decoupled_weight_decay: expected False, as {self.rule.name} has no decay to decouple, got True"
            )
        overrides = given.get("overrides")
        if overrides is not None and not callable(overrides):
            raise TypeError(f"overrides: expected a callable (key, array), got {expect.describe(overrides)}")
        copies = given.get("copies")
        checked = Options.of({name: value for name, value in given.items() if name not in APART})
        if copies is not None:
            checked = replace(checked, copy_to=type_of_copies(copies, checked.copy_to))
        self._store = new_store(self.rule, checked, params, hyper, overrides, copies)
        self._turn = Turn()  # a step, or any look at what it writes, at a time

    def __setattr__(self, name: str, value: Any) -> None:
        """Set what can be set and has its effect; refuse the rest, with what to write instead."""
        kind = getattr(type(self), name, None)
        if name.startswith("_") or getattr(kind, "fset", None) is not None or isinstance(kind, Settable):
            super().__setattr__(name, value)
            return
        if name in self.rule.hyper:
            raise AttributeError(f"{name}: set it in each group: for group in optimizer.groups: group[{name!r}] = ...")
        if kind is not None or name in Options.__dataclass_fields__:
            raise AttributeError(f"{name}: can't be set after an optimizer is made; make another one")
        known = ("lr", "steps", *SETTABLE, *self.rule.hyper)
        raise AttributeError(f"{name}: {expect.unknown(name, known, SYNONYMS)}")

    # ---- what it holds

    @property
    def options(self) -> Options:
        """The options, checked."""
        return self._store.options

    clip_norm, clip_each, clip_value = Settable(), Settable(), Settable()
    ema_decay, seed = Settable(), Settable()

    @property
    def groups(self) -> list[Group]:
        """The hyper-parameters of each group; may be changed between steps."""
        return self._store.groups

    @property
    def steps(self) -> int:
        """Steps taken."""
        return self._store.steps

    @steps.setter
    def steps(self, value: int) -> None:
        self._store.steps = expect.integer(value, "steps", 0)

    @property
    def state(self) -> tuple[State, ...]:
        """Each parameter's state, by name, in the order of the parameters."""
        return tuple(State.of(arrays) for arrays in self._store.state)

    @property
    def carried(self) -> list[dict[str, float]]:
        """What each group carries from step to step beside arrays: copies."""
        return [dict(numbers) for numbers in self._store.carried]

    @property
    def lr(self) -> float:
        """The first group's learning rate for the next step; setting it sets every group's."""
        return self.rule.lr(self.groups[0], self.steps)

    @lr.setter
    def lr(self, value: float | Callable[[int], float]) -> None:
        checked = self.rule.hyper["lr"].check(value, "lr")
        for group in self.groups:
            group["lr"] = checked

    def change_option(self, name: str, value: Any) -> None:
        """Set one option for the steps to come, as by assignment."""
        expect.choice(name, "name", SETTABLE)
        with self._turn:
            self._store.take_options(Options.of({**vars(self.options), name: value}))

    # ---- the step

    def step(
        self,
        grads: Any,
        grad_scale: float | None = None,
        skip_nonfinite: bool = False,
        zero_grads: bool = False,
        return_stats: bool = False,
        skip_missing: bool = False,
        norm: float | None = None,
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
        skip_missing : bool, default False
            Leave a parameter whose gradient is None as it is, with its state, its average and its own count of steps.
        norm : float ≥ 0 or NaN, optional
            The norm of all gradients, as they are given, in the place of the one that would be measured: where these
            are a part of them, and other processes have the rest. `skip_nonfinite` looks at it alone.

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
        store = self._store
        with self._turn:
            if store.by_rows:
                raise ValueError("step: expected step_rows, which has counted every row's steps by itself, got step")
            gradients = store.tree.flatten(grads, "grads")
            settings, rows = store.settings()
            missing = NONE
            if skip_missing is not False and expect.flag(skip_missing, "skip_missing"):
                missing = {i for i, gradient in enumerate(gradients) if gradient is None}
            batches = store.bind(gradients, zero_grads, rows, missing)
            try:
                options, factor, length, door = store.options, unscale, 0.0, store.door()
                if return_stats or skip_nonfinite or options.clip_norm is not None:
                    length, finite = door.norm(batches) if norm is None else expect_norm(norm)
                    length *= unscale
                    if skip_nonfinite and not finite:
                        if zero_grads:
                            store.zero(gradients)
                        return Stats(length, 0.0, True) if return_stats else None
                    if options.clip_norm is not None and not length <= options.clip_norm:
                        factor *= options.clip_norm / length
                asked = Asked(
                    factor, store.steps + 1, options.clip_value, options.ema_decay, options.seed, zero_grads,
                    return_stats, store.counting(settings, rows, missing), options.clip_each,
                )  # fmt: skip
                update = door.step(batches, self.rule, settings, asked)
            finally:
                store.release(batches)
        return Stats(length, math.sqrt(update), False) if return_stats else None

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
        self._store.expect_host("step_rows")
        with self._turn:
            return row_steps.step(self._store, index, rows, values, grad_scale, skip_nonfinite, return_stats)

    def add_group(self, group: Mapping[str, Any]) -> None:
        """Take in more parameters as a group of their own; they begin with their first step.

        From then on gradients come as a list of groups, these last.

        Parameters
        ----------
        group : mapping
            "params" (an array, a sequence or a mapping of arrays) and any hyper-parameters that differ from those that
            the optimizer was made with.

        Raises
        ------
        TypeError, ValueError
            As when an optimizer is made; nothing has been changed then.

        Examples
        --------
        >>> import numpy as np, fastopt as fo
        >>> first, second = np.zeros(2), np.zeros(2)
        >>> opt = fo.optimizers.Adam(first, lr=0.5)
        >>> opt.step(np.ones(2))
        >>> opt.add_group({"params": second, "lr": 0.25})
        >>> opt.step([np.ones(2), np.ones(2)])
        >>> first.round(6), second.round(6)
        (array([-1., -1.]), array([-0.25, -0.25]))
        """
        self._store.expect_host("add_group")
        with self._turn:
            joining.add_group(self._store, group)

    # ---- what steps keep beside the parameters

    @property
    def averages(self) -> Any:
        """The averaged parameters, in the structure of `params`; None without `ema_decay`."""
        if self.options.ema_decay is None:
            return None
        return self._store.tree.build([state["average"].view() for state in self._store.state])

    @property
    def copies(self) -> Any:
        """The parameters in the type of `copy_to`, in the structure of `params`; None without it."""
        return self._store.tree.build([copy.view() for copy in self._store.copies]) if self.options.copy_to else None

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the averages into the parameters for the time of a `with` block, and the parameters back behind it."""
        if self.options.ema_decay is None:
            raise ValueError("ema_decay: expected a number in [0, 1) at the optimizer's start, got None")
        store = self._store
        store.expect_host("averaged")
        with self._turn:
            kept = [param.copy() for param in store.params]
            with np.errstate(all="ignore"):
                averages = [s["average"].astype(p.dtype) for p, s in zip(store.params, store.state, strict=True)]
        try:
            self._write(averages)
            yield
        finally:
            self._write(kept)

    def refresh(self) -> None:
        """Begin `copies` and `averages` anew from the parameters as they are, as at the optimizer's start.

        To be called when parameters were overwritten, for instance by a checkpoint's weights without its state; a
        `load_state_dict` brings copies up to date by itself, and the next step does, too. Bits that `rounding="exact"`
        keeps beside a parameter are dropped.
        """
        with self._turn:
            self._store.check_params()
            begin_anew(self._store)

    def _write(self, values: list[np.ndarray]) -> None:
        """Write values into the parameters: into all, or none."""
        store = self._store
        with self._turn:
            store.check_params()
            whole([put(p, value) for p, value in zip(store.params, values, strict=True)])

    def __repr__(self) -> str:
        given = {**self.groups[0], **self.options.given()}
        count, groups = len(self._store.params), len(self.groups)
        held = f"{count} parameters" + (f" in {groups} groups" if groups > 1 else "")
        told = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return f"{type(self).__name__}({held}, {told}, steps={self.steps})"
