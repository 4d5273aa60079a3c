"""Optimizers whose step depends on a whole layer: LARS, LAMB, Adafactor, Muon. They measure first, then step."""

from typing import Annotated, Any, Unpack

from fastopt.expect import FINITE, FRACTION, NOT_NEGATIVE, NOT_POSITIVE, POSITIVE
from fastopt.kernels.optimizers import layers, reference, scalars
from fastopt.optimizers.base import Optimizer, filled
from fastopt.optimizers.options import StepOptions
from fastopt.optimizers.rule import BETAS, Group, Pair, Rate, Rule, Triple, as_float32


def _floor_is_kept(group: Group, compute: str) -> None:
    """The floor is squared before it is used."""
    floor = group["eps"][0]
    if compute == "float32" and floor > 0.0 and as_float32(floor**2) == 0.0:
        raise ValueError(
            f"eps[0]: expected 0, or a number whose square is above 0 in float32 (it is computed in), got {floor!r}"
        )


@filled
class LARS(Optimizer):
    """SGD with momentum whose rate is set layer by layer, by the parameter's length beside its gradient's.

    λ = trust_coefficient ‖θ‖ / (‖g‖ + weight_decay ‖θ‖ + eps);  b ← momentum b + lr λ (g + weight_decay θ);  θ ← θ − b,
    with λ = 1 where ‖θ‖ or ‖g‖ is 0, and norms over each array by itself.

    Parameters
    ----------
    params
        As in :class:`Optimizer`. Give biases and the scales of norms to a plain optimizer, as the paper does.
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
    maximize, **options
        As in :class:`Optimizer`.

    {raises}

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

    rule = Rule("lars", scalars.lars, reference.lars, layers=layers.Lars())

    def __init__(
        self,
        params: Any,
        lr: Rate = 1.0,
        momentum: Annotated[float, FRACTION] = 0.9,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        trust_coefficient: Annotated[float, POSITIVE] = 0.001,
        eps: Annotated[float, NOT_NEGATIVE] = 0.0,
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


@filled
class LAMB(Optimizer):
    """Adam's direction, layer by layer as long as the parameter itself: for batches of tens of thousands.

    m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;  r = m̂ / (√v̂ + eps) + weight_decay θ;  θ ← θ − lr (‖θ‖ / ‖r‖) r,
    with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ), the ratio 1 where a norm is 0, and norms over each array by itself.

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1e-3
        Length of a step beside the parameter's.
    betas : two floats in [0, 1), default (0.9, 0.999)
        Shares of the old averages kept.
    eps : float > 0, default 1e-6
        Added to the root, outside it.
    weight_decay : float ≥ 0, default 0
        Decay within the direction, before its length is taken.
    {shared}

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

    rule = Rule("lamb", scalars.lamb, reference.lamb, layers=layers.Lamb())

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        betas: Annotated[Pair, BETAS] = (0.9, 0.999),
        eps: Annotated[float, POSITIVE] = 1e-6,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(params, options, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)


@filled
class Adafactor(Optimizer):
    """Adaptive steps whose second moments are kept as row and column averages: almost no state.

    Matrices (the last two axes): R ← β R + (1 − β) mean_columns(g²);  C ← β C + (1 − β) mean_rows(g²);
    V = R C / mean(R). Other arrays: V ← β V + (1 − β) g². With β = 1 − t^beta2_decay,
    u = g / √max(V, eps₁²);  θ ← (1 − lr weight_decay) θ − α u / max(1, RMS(u) / d),
    α = max(eps₂, RMS(θ)) min(lr, 1/√t).

    Parameters
    ----------
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
    {shared}

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

    rule = Rule("adafactor", scalars.adafactor, reference.adafactor, check=_floor_is_kept, layers=layers.Adafactor())

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        beta2_decay: Annotated[float, NOT_POSITIVE] = -0.8,
        eps: Annotated[Pair, (NOT_NEGATIVE, NOT_NEGATIVE)] = (1.1920929e-07, 1e-3),
        d: Annotated[float, POSITIVE] = 1.0,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params, options, lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay, maximize=maximize
        )


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
    maximize, **options
        As in :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is no matrix, or an argument is outside its domain.

    Notes
    -----
    State: `momentum_buffer`, of the parameter's shape. Beside it every parameter's update is kept, so that nothing is
    written before all of them are known; the products of matrices, which are NumPy's, whose BLAS has threads of its
    own, need up to five more of the largest one. torch iterates in bfloat16, this class in the type that it computes
    in. Keras's has an AdamW for other parameters built in.

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

    rule = Rule("muon", scalars.muon, reference.muon, layers=layers.Muon())

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.1,
        momentum: Annotated[float, FRACTION] = 0.95,
        nesterov: bool = True,
        ns_coefficients: Annotated[Triple, (FINITE, FINITE, FINITE)] = (3.4445, -4.775, 2.0315),
        eps: Annotated[float, POSITIVE] = 1e-7,
        ns_steps: Annotated[int, range(1, 101)] = 5,
        adjust_lr_fn: Annotated[str, ("original", "match_rms_adamw")] = "original",
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
