"""The optimizers' kernels: buffers, what they write, and scalars, as every target has them."""

from fastopt.kernels.runtime.kernel import Kernel


def _kernel(name: str, state: str, scalars: str) -> Kernel:
    states = tuple(state.split())
    return Kernel(
        name,
        "optimizers",
        buffers=("param", "grad", *states),
        written=("param", *states),
        scalars=(*scalars.split(), "grad_scale"),
    )


ADAM = "step_size beta1 one_minus_beta1 beta2 one_minus_beta2 root_correction eps weight_decay decay"
RMSPROP = "lr alpha one_minus_alpha eps"
ADAMAX = "step_size beta1 one_minus_beta1 beta2 eps weight_decay eps_in_divisor"
NADAM = "grad_step step_size beta1 one_minus_beta1 beta2 one_minus_beta2 root_correction eps weight_decay"
RADAM = "step_size beta1 one_minus_beta1 beta2 one_minus_beta2 rectified eps weight_decay"
MIXED = "beta1 one_minus_beta1 beta2 one_minus_beta2 beta3 one_minus_beta3"
ADEMAMIX = f"step_size slow_step_size {MIXED} root_correction eps decay"
SCHEDULE_FREE = "lr averaging step_size beta2 one_minus_beta2 root_correction eps weight_decay"
LARS = "rate momentum nesterov weight_decay"
LAMB = "step_size beta1 one_minus_beta1 beta2 one_minus_beta2 correction root_correction eps weight_decay"
ADAFACTOR = "step_size beta2 one_minus_beta2 floor decay"
MUON = "step_size momentum one_minus_momentum nesterov decay"
MATRIX = ("columns", "rows", "whole")
FACTORS, NEXT = "row_var col_var", "row_next col_next"  # as they are kept, and as they will be behind the step


def _pass(
    name: str, buffers: str, written: str, scalars: str, rule: bool = False, dims: tuple[str, ...] = ()
) -> Kernel:
    """Return a kernel that measures or walks by rows; it shares the scalars of its optimizer's rule."""
    names = tuple(buffers.split())
    return Kernel(
        name, "optimizers", names, tuple(written.split()), (*scalars.split(), "grad_scale"), dims, rule=rule,
    )  # fmt: skip


INTERPOLATE = Kernel("interpolate", "optimizers", buffers=("param", "end"), written=("param",), scalars=("weight",))

KERNELS = {
    kernel.name: kernel
    for kernel in (
        _kernel("sgd", "", "lr weight_decay"),
        _kernel("sgd_momentum", "momentum_buffer", "lr momentum one_minus_dampening nesterov weight_decay lr_inside"),
        _kernel("momentum", "velocity", "lr beta one_minus_beta weight_decay"),
        _kernel("rprop", "prev step_size", "eta_minus eta_plus smallest largest"),
        _kernel("asgd", "ax", "eta decay mu weight_decay"),
        _kernel("lion", "exp_avg", "lr beta1 one_minus_beta1 beta2 one_minus_beta2 decay"),
        _kernel("adam", "exp_avg exp_avg_sq", ADAM),
        _kernel("adam_amsgrad", "exp_avg exp_avg_sq max_exp_avg_sq", ADAM),
        _kernel("adamax", "exp_avg exp_inf", ADAMAX),
        _kernel("nadam", "exp_avg exp_avg_sq", NADAM),
        _kernel("radam", "exp_avg exp_avg_sq", RADAM),
        _kernel("ademamix", "exp_avg_fast exp_avg_slow exp_avg_sq", ADEMAMIX),
        _kernel("schedule_free_adamw", "exp_avg_sq z", SCHEDULE_FREE),
        INTERPOLATE,
        _kernel("rmsprop", "square_avg", f"{RMSPROP} weight_decay eps_in_root"),
        _kernel(
            "rmsprop_momentum", "square_avg momentum_buffer", f"{RMSPROP} momentum weight_decay eps_in_root lr_inside"
        ),
        _kernel("rmsprop_centered", "square_avg grad_avg", f"{RMSPROP} weight_decay eps_in_root"),
        _kernel(
            "rmsprop_centered_momentum",
            "square_avg grad_avg momentum_buffer",
            f"{RMSPROP} momentum weight_decay eps_in_root lr_inside",
        ),
        _kernel("adagrad", "sum_of_squares", "lr eps weight_decay eps_in_root"),
        _kernel("adadelta", "square_avg acc_delta", "lr rho one_minus_rho eps weight_decay"),
        _kernel("ftrl", "z n", "inverse_lr beta l1 l2 l2_shrinkage weight_decay"),
        _kernel("ftrl_power", "z n", "inverse_lr beta l1 l2 l2_shrinkage power weight_decay"),
        _pass("lars_norms", "param grad", "", LARS),
        _kernel("lars", "momentum_buffer", LARS),
        _pass("lamb_norms", "param grad exp_avg exp_avg_sq", "", LAMB),
        _kernel("lamb", "exp_avg exp_avg_sq", LAMB),
        _pass("adafactor_vector_norms", "param grad variance", "", ADAFACTOR),
        _kernel("adafactor_vector", "variance", ADAFACTOR),
        _pass("adafactor_factors", f"param grad {FACTORS} {NEXT}", NEXT, ADAFACTOR, dims=MATRIX),
        _pass("adafactor_norms", f"grad {NEXT} row_mean", "", ADAFACTOR, dims=MATRIX),
        _pass("adafactor", f"param grad {FACTORS} {NEXT} row_mean", f"param {FACTORS}", ADAFACTOR, dims=MATRIX),
        _pass("muon_direction", "grad momentum_buffer update", "update", MUON, rule=True),
        _pass("muon", "param grad momentum_buffer update", "param momentum_buffer", MUON, rule=True),
    )
}
