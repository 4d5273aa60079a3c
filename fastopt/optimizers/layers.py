"""Optimizers whose step depends on a whole layer: LARS, LAMB, Adafactor, Muon. They measure first, then step."""

from collections.abc import Callable
from math import ceil, sqrt
from typing import Any, ClassVar, Unpack

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers import orthogonal, reference, scalars
from fastopt.kernels.optimizers.kernels import KERNELS
from fastopt.kernels.runtime.kernel import Kernel
from fastopt.kernels.runtime.pipeline import GRAIN
from fastopt.optimizers.base import Group, Optimizer
from fastopt.optimizers.options import StepOptions

Rate = float | Callable[[int], float]
SUMS = 1 << 17  # float64 sums of columns that a launch may hold: 1 MiB


class LARS(Optimizer):
    """SGD with momentum whose rate is set layer by layer, by the parameter's length beside its gradient's.

    λ = trust_coefficient ‖θ‖ / (‖g‖ + weight_decay ‖θ‖ + eps);  b ← momentum b + lr λ (g + weight_decay θ);  θ ← θ − b,
    with λ = 1 where ‖θ‖ or ‖g‖ is 0, and norms over each array by itself.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place. Give biases and the scales of
        norms to a plain optimizer, as the paper does.
    lr : float ≥ 0 or callable(steps) -> float, default 1.0
        Rate on top of λ, of order 1.
    momentum : float in [0, 1), default 0.9
        Share of the buffer kept.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step; it takes part in λ.
    trust_coefficient : float > 0, default 0.001
        Length of a step beside the parameter's, at lr 1.
    eps : float ≥ 0, default 0.0
        Added to the divisor of λ.
    nesterov : bool, default False
        Step along g + momentum b rather than b.
    maximize : bool, default False
        Ascend instead.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    State: `momentum_buffer`, of the parameter's shape; it holds steps, lr included. Costs one pass that reads
    parameters and gradients before the step. optax divides by ‖g + weight_decay θ‖ instead. torch and Keras have no
    such class.

    References
    ----------
    You, Gitman and Ginsburg, "Large batch training of convolutional networks", 2017, Algorithm 1.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.array([3.0, 4.0])
    >>> fo.optimizers.LARS(w, lr=1.0, trust_coefficient=0.1).step(np.array([0.0, 2.0]))
    >>> w
    array([3. , 3.5])
    """

    _reference = staticmethod(reference.lars)
    _scalars = staticmethod(scalars.lars)
    _passes: ClassVar = (KERNELS["lars_norms"],)
    _domains: ClassVar = {"eps": expect.NOT_NEGATIVE, "trust_coefficient": expect.POSITIVE}

    def __init__(
        self,
        params: Any,
        lr: Rate = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
        eps: float = 0.0,
        nesterov: bool = False,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params,
            options,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            trust_coefficient=trust_coefficient,
            eps=eps,
            nesterov=nesterov,
            maximize=maximize,
        )

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["lars"]

    def _settle(self, number, group, arrays, sums, row) -> None:
        param_norm, grad_norm, decay = sqrt(sums[0]), sqrt(sums[1]), row[3]
        trust = 1.0
        if param_norm > 0.0 and grad_norm > 0.0:
            trust = group["trust_coefficient"] * param_norm / (grad_norm + decay * param_norm + group["eps"])
        row[0] = group["lr"] * trust


class LAMB(Optimizer):
    """Adam's direction, layer by layer as long as the parameter itself: for batches of tens of thousands.

    m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;  r = m̂ / (√v̂ + eps) + weight_decay θ;  θ ← θ − lr (‖θ‖ / ‖r‖) r,
    with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ), the ratio 1 where a norm is 0, and norms over each array by itself.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
    lr : float ≥ 0 or callable(steps) -> float, default 1e-3
        Length of a step beside the parameter's.
    betas : two floats in [0, 1), default (0.9, 0.999)
        Shares of the old averages kept.
    eps : float > 0, default 1e-6
        Added to the root, outside it.
    weight_decay : float ≥ 0, default 0
        Decay within the direction, before its length is taken.
    maximize : bool, default False
        Ascend instead.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    State: `exp_avg`, `exp_avg_sq`, of the parameter's shape. Costs a pass that reads all four arrays before the step;
    nothing is written down between the two. apex clips gradients to a norm of 1 beforehand (`clip_norm=1.0` here), and
    so does the authors' code; optax is the same as this class. Keras has an eps of 1e-7. torch has no such class.

    References
    ----------
    You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", ICLR 2020, Algorithm 2.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.array([3.0, 4.0])
    >>> fo.optimizers.LAMB(w, lr=0.1).step(np.array([1.0, -2.0]))
    >>> w.round(4)
    array([2.6464, 4.3536])
    """

    _reference = staticmethod(reference.lamb)
    _scalars = staticmethod(scalars.lamb)
    _passes: ClassVar = (KERNELS["lamb_norms"],)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(params, options, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["lamb"]

    def _settle(self, number, group, arrays, sums, row) -> None:
        length, stride = sqrt(sums[0]), sqrt(sums[1])
        row[0] = group["lr"] * (length / stride if length > 0.0 and stride > 0.0 else 1.0)


class Adafactor(Optimizer):
    """Adaptive steps whose second moments are kept as row and column averages: almost no state.

    Matrices (the last two axes): R ← β R + (1 − β) mean_columns(g²);  C ← β C + (1 − β) mean_rows(g²);
    V = R C / mean(R). Other arrays: V ← β V + (1 − β) g². With β = 1 − t^beta2_decay,
    u = g / √max(V, eps₁²);  θ ← (1 − lr weight_decay) θ − α u / max(1, RMS(u) / d),
    α = max(eps₂, RMS(θ)) min(lr, 1/√t).

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
    lr : float ≥ 0 or callable(steps) -> float, default 1e-2
        Bound of a step's RMS beside the parameter's.
    beta2_decay : float ≤ 0, default -0.8
        Power of the step's number that gives 1 − β.
    eps : two floats ≥ 0, default (1.1920929e-07, 1e-3)
        Floor of the root of V, in units of the gradient; floor of the parameter's RMS.
    d : float > 0, default 1.0
        Longest RMS of u; longer ones are scaled down to it.
    weight_decay : float ≥ 0, default 0
        Decoupled decay: share of the parameter taken away per step and unit of lr.
    maximize : bool, default False
        Ascend instead.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    State: `row_var` (…, n, 1) and `col_var` (…, 1, m) for arrays of two and more axes, `variance` for others; the
    factors stay in float32 (float64) whatever `state_dtype` says. Three passes: averages, the update's length,
    the step. torch is the same, but for eps₁, which is the type's own epsilon there (float32's here). Keras adds 1e-30
    to g² instead, and its `relative_step=False` leaves out 1/√t; the paper's momentum is left out, as in torch.

    References
    ----------
    Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost", ICML 2018, Algorithms 4 and 5.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones((2, 3))
    >>> opt = fo.optimizers.Adafactor(w, lr=0.5)
    >>> opt.step(np.full((2, 3), 4.0))
    >>> w[0], {name: array.shape for name, array in opt.state[0].items()}
    (array([0.5, 0.5, 0.5]), {'row_var': (2, 1), 'col_var': (1, 3)})
    """

    _reference = staticmethod(reference.adafactor)
    _scalars = staticmethod(scalars.adafactor)
    _one_by_one = True
    _domains: ClassVar = {
        "eps": [expect.NOT_NEGATIVE, expect.NOT_NEGATIVE],
        "beta2_decay": expect.NOT_POSITIVE,
        "d": expect.POSITIVE,
    }

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float, float] = (1.1920929e-07, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params, options, lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay, maximize=maximize
        )

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["adafactor"]

    def _kernels(self, i: int) -> tuple[Kernel, tuple[Kernel, ...]]:
        if self._params[i].ndim < 2:
            return KERNELS["adafactor_vector"], (KERNELS["adafactor_vector_norms"],)
        return KERNELS["adafactor"], (KERNELS["adafactor_factors"], KERNELS["adafactor_norms"])

    def _state_shape(self, name: str, param: np.ndarray) -> tuple[int, ...]:
        if name == "row_var":
            return (*param.shape[:-1], 1)
        return (*param.shape[:-2], 1, param.shape[-1]) if name == "col_var" else param.shape

    def _work(self, names: list[str], indices: list[int]) -> dict[str, list[np.ndarray]]:
        if not names:
            return {}
        factors = [self.state[i]["col_var"] for i in indices]
        return {"row_mean": [np.zeros((*col.shape[:-2], 1, 1), col.dtype) for col in factors]}

    def _dims(self, i: int) -> tuple[int, ...]:
        """Return columns, rows, and whether every grain holds whole matrices."""
        param = self._params[i]
        if param.ndim < 2:
            return ()
        return param.shape[-1], param.shape[-2], int(_whole(param.shape))

    def _extent(self, number: int, i: int) -> tuple[int, int]:
        if self._params[i].ndim < 2 or number == 1:
            return 2, GRAIN
        columns, rows, whole = self._dims(i)
        unit = max(1, rows * columns if whole else columns)
        wanted = max(GRAIN, self._params[i].size * (columns + 1) / SUMS)
        return 1 + columns, unit * ceil(wanted / unit)

    def _settle(self, number, group, arrays, sums, row) -> None:
        param, vector = arrays["param"], arrays["param"].ndim < 2
        size = max(1, param.size)
        if number == 0:
            row[0] *= max(group["eps"][1], sqrt(sums[0] / size))
        if number == 0 and not vector:
            row_var, col_var = arrays["row_var"], arrays["col_var"]
            if not _whole(param.shape):
                col_var[...] = row[1] * col_var + row[2] / row_var.size * sums[1:]
            if row_var.size:
                arrays["row_mean"][...] = np.maximum(row_var.mean(axis=-2, keepdims=True), group["eps"][0])
        if vector or number == 1:
            row[0] /= max(1.0, sqrt(sums[int(vector)] / size) / group["d"])


def _whole(shape: tuple[int, ...]) -> bool:
    """Whether grains hold whole matrices: many of them, or a small one."""
    return any(n != 1 for n in shape[:-2]) or shape[-2] * shape[-1] <= GRAIN


class Muon(Optimizer):
    """Momentum made orthogonal: every direction of a matrix's update gets the same length.

    b ← momentum b + (1 − momentum) g;  u = (1 − momentum) g + momentum b with nesterov, else b;
    θ ← (1 − lr weight_decay) θ − lr s NS(u), where NS iterates X ← a X + (b A + c A²) X, A = X Xᵀ, from X = u / ‖u‖,
    and s is √max(1, n/m) ("original") or 0.2 √max(n, m) ("match_rms_adamw") for n × m matrices.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        Matrices, of shape (n, m); float32, float64, bfloat16 or float16, any strides; updated in place. Embeddings,
        biases and the last layer belong to AdamW.
    lr : float ≥ 0 or callable(steps) -> float, default 1e-3
        Spectral norm of a step, before s.
    weight_decay : float ≥ 0, default 0.1
        Decoupled decay: share of the parameter taken away per step and unit of lr.
    momentum : float in [0, 1), default 0.95
        Share of the buffer kept.
    nesterov : bool, default True
        Whether the new gradient counts twice.
    ns_coefficients : three floats, default (3.4445, -4.775, 2.0315)
        a, b and c.
    eps : float > 0, default 1e-7
        Floor of ‖u‖.
    ns_steps : int in [1, 100], default 5
        Iterations.
    adjust_lr_fn : {"original", "match_rms_adamw"}, default "original"
        Which s.
    maximize : bool, default False
        Ascend instead.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is no matrix, or an argument is outside its domain.

    Notes
    -----
    State: `momentum_buffer`, of the parameter's shape. The products of matrices are NumPy's, whose BLAS has threads of
    its own; they need three matrices of the largest parameter's size beside it. torch iterates in bfloat16, this class
    in the type that it computes in. Keras's has an AdamW for other parameters built in.

    References
    ----------
    Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; Liu et al., "Muon is scalable for
    LLM training", 2025, equation 4. https://arxiv.org/abs/2502.16982

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.zeros((2, 2))
    >>> fo.optimizers.Muon(w, lr=1.0, ns_coefficients=(1.5, -0.5, 0.0), ns_steps=20).step(np.diag([3.0, 1.0]))
    >>> abs(w).round(4)
    array([[1., 0.],
           [0., 1.]])
    """

    _reference = staticmethod(reference.muon)
    _scalars = staticmethod(scalars.muon)
    _passes: ClassVar = (KERNELS["muon_momentum"],)
    _one_by_one = True
    _domains: ClassVar = {"ns_coefficients": [expect.FINITE] * 3}

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str = "original",
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params,
            options,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            ns_coefficients=ns_coefficients,
            eps=eps,
            ns_steps=ns_steps,
            adjust_lr_fn=adjust_lr_fn,
            maximize=maximize,
        )

    def _checked(self, group: Group) -> Group:
        ns_steps = expect.integer(group["ns_steps"], "ns_steps", 1, 101)
        adjust_lr_fn = expect.choice(group["adjust_lr_fn"], "adjust_lr_fn", tuple(orthogonal.ADJUSTMENTS))
        rest = {name: value for name, value in group.items() if name not in ("ns_steps", "adjust_lr_fn")}
        return {**group, **super()._checked(rest), "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn}

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["muon"]

    def _kernels(self, i: int) -> tuple[Kernel, tuple[Kernel, ...]]:
        if self._params[i].ndim != 2:
            raise ValueError(f"{self._names[i]}: expected a matrix, got shape {self._params[i].shape}")
        return super()._kernels(i)

    def _work(self, names: list[str], indices: list[int]) -> dict[str, list[np.ndarray]]:
        """Return views of one piece of memory: the parameters take turns."""
        params = [self._params[i] for i in indices]
        dtype = np.float64 if params[0].dtype == np.float64 else np.float32
        work = np.zeros(max(param.size for param in params), dtype)
        return {"update": [work[: param.size].reshape(param.shape) for param in params]}

    def _extent(self, number: int, i: int) -> tuple[int, int]:
        return 0, GRAIN

    def _settle(self, number, group, arrays, sums, row) -> None:
        update = arrays["update"]
        orthogonal.newton_schulz(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        row[0] *= orthogonal.ADJUSTMENTS[group["adjust_lr_fn"]](*update.shape)
