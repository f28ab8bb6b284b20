"""Written by tools/make_stubs.py from the method records: do not edit."""

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

from mflow.base.methods import Method

__all__ = ["BDF", "BFGS", "BS32", "BackwardEuler", "Bathe", "BlanesMoanRKN11", "BlanesMoanRKN6", "BlanesMoanS6", "CG", "CentralDifference", "ConstantAcceleration", "DOP853", "DOPRI5", "ESDIRK43", "Euler", "ForestRuth", "ForwardEulerSystem", "GeneralizedAlpha", "HHT", "LBFGS", "Midpoint", "Newmark", "PEFRL", "RK2", "RK3", "RK4", "RKC2", "RKN64", "RKN86", "Radau5", "Rodas5P", "SDIRK2", "SSPRK104", "Staggered", "SuzukiUmeno8", "SymplecticEuler", "TVDRK2", "TVDRK3", "Trapezoidal", "TrustNCG", "Tsit5", "VelocityVerlet", "Yoshida4", "Yoshida6", "Yoshida8"]

class Euler(Method):
    def __init__(self) -> None: ...

class RK2(Method):
    def __init__(self) -> None: ...

class Midpoint(Method):
    def __init__(self) -> None: ...

class RK3(Method):
    def __init__(self) -> None: ...

class RK4(Method):
    def __init__(self) -> None: ...

class TVDRK2(Method):
    def __init__(self) -> None: ...

class TVDRK3(Method):
    def __init__(self) -> None: ...

class SSPRK104(Method):
    def __init__(self) -> None: ...

class BS32(Method):
    def __init__(self) -> None: ...

class DOPRI5(Method):
    def __init__(self) -> None: ...

class Tsit5(Method):
    def __init__(self) -> None: ...

class DOP853(Method):
    def __init__(self) -> None: ...

class BackwardEuler(Method):
    def __init__(self) -> None: ...

class Trapezoidal(Method):
    def __init__(self) -> None: ...

class SDIRK2(Method):
    def __init__(self) -> None: ...

class ESDIRK43(Method):
    def __init__(self) -> None: ...

class Radau5(Method):
    def __init__(self) -> None: ...

class BDF(Method):
    def __init__(self, order: int = ..., max_order: int = ...) -> None: ...

class Rodas5P(Method):
    def __init__(self) -> None: ...

class RKC2(Method):
    def __init__(self, stages: int = ..., damping: float = ...) -> None: ...

class ForwardEulerSystem(Method):
    def __init__(self) -> None: ...

class SymplecticEuler(Method):
    def __init__(self, damping: Literal["explicit", "implicit"] = ...) -> None: ...

class ConstantAcceleration(Method):
    def __init__(self) -> None: ...

class Newmark(Method):
    def __init__(self, beta: float = ..., gamma: float = ...) -> None: ...

class CentralDifference(Method):
    def __init__(self) -> None: ...

class VelocityVerlet(Method):
    def __init__(self, damping: Literal["none", "explicit"] = ...) -> None: ...

class Staggered(Method):
    def __init__(self, damping: Literal["trapezoidal", "backward_euler", "explicit"] = ...) -> None: ...

class HHT(Method):
    def __init__(self, alpha: float = ..., load: Literal["interpolated", "shifted"] = ...) -> None: ...

class GeneralizedAlpha(Method):
    def __init__(self, rho_inf: float = ..., load: Literal["interpolated", "shifted"] = ...) -> None: ...

class Yoshida4(Method):
    def __init__(self, damping: Literal["none", "implicit"] = ...) -> None: ...

class Yoshida6(Method):
    def __init__(self, damping: Literal["none", "implicit"] = ...) -> None: ...

class Yoshida8(Method):
    def __init__(self, damping: Literal["none", "implicit"] = ...) -> None: ...

class SuzukiUmeno8(Method):
    def __init__(self, damping: Literal["none", "implicit"] = ...) -> None: ...

class ForestRuth(Method):
    def __init__(self) -> None: ...

class PEFRL(Method):
    def __init__(self) -> None: ...

class BlanesMoanS6(Method):
    def __init__(self) -> None: ...

class BlanesMoanRKN6(Method):
    def __init__(self) -> None: ...

class BlanesMoanRKN11(Method):
    def __init__(self) -> None: ...

class RKN64(Method):
    def __init__(self) -> None: ...

class RKN86(Method):
    def __init__(self) -> None: ...

class Bathe(Method):
    def __init__(self, rho_inf: float = ...) -> None: ...

class LBFGS(Method):
    def __init__(self, maxcor: int = ...) -> None: ...

class BFGS(Method):
    def __init__(self) -> None: ...

class CG(Method):
    def __init__(self, beta: Literal["polak_ribiere", "hager_zhang"] = ..., c2: float = ...) -> None: ...

class TrustNCG(Method):
    def __init__(self, initial_trust_radius: float = ..., max_trust_radius: float | None = ..., eta: float = ...) -> None: ...

class BasinsOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class CompileSolverOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class ConsistencyOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class ConvergenceOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class MethodOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    dt: Any
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class MinimizeBatchOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    dt: Any
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class ModelOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    dt: Any
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    jacobian: Any
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    residual: Any
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float
    x_scale: Any

class ParameterRegionOptions(TypedDict, total=False):
    amsgrad: bool
    average: int
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class RateOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    dt: Any
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class StepLimitOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    decoupled_weight_decay: bool
    delta: float
    dt: Any
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class FlowOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    atol: Any
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    breaks: Any
    c2: float
    callback: Any
    centered: bool
    checkpoint: Any
    checkpoint_every: Any
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    dense_output: Any
    doses: Any
    eps: float
    eta: float
    etas: Sequence[float]
    events: Any
    first_step: Any
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    jac_sparsity: Any
    l1: float
    l2: float
    lambd: float
    lazy: bool
    lband: Any
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_step: Any
    max_steps: Any
    max_trust_radius: float | None
    maxcor: int
    min_step: Any
    momentum: Any
    momentum_decay: float | None
    nonnegative: Any
    order: int
    outputs: Any
    progress: Any
    resume: Any
    rho: float
    rho_inf: float
    rtol: Any
    solver: Any
    stages: int
    steady_atol: Any
    steady_rtol: Any
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    uband: Any
    until: Any
    weight_decay: float
    weight_lr_power: float

class IVPBatchOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    breaks: Any
    c2: float
    callback: Any
    centered: bool
    checkpoint: Any
    checkpoint_every: Any
    clip_value: float | None
    consistent: Any
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    dense_output: Any
    doses: Any
    elementwise: Any
    eps: float
    eta: float
    etas: Sequence[float]
    exclude_algebraic: Any
    first_step: Any
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    inplace: Any
    intercept: bool
    jac: Any
    jac_sparsity: Any
    l1: float
    l2: float
    lambd: float
    lazy: bool
    lband: Any
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    mass: Any
    max_order: int
    max_step: Any
    max_steps: Any
    max_trust_radius: float | None
    maxcor: int
    min_step: Any
    momentum: Any
    momentum_decay: float | None
    nonnegative: Any
    order: int
    outputs: Any
    resume: Any
    rho: float
    rho_inf: float
    rhs_t: Any
    save: Any
    save_every: Any
    solver: Any
    stages: int
    steady_atol: Any
    steady_rtol: Any
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    uband: Any
    until: Any
    vectorized: Any
    weight_decay: float
    weight_lr_power: float

class IVPOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class LRFindOptions(TypedDict, total=False):
    accumulate: Any
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    callback: Any
    capturable: Any
    centered: bool
    check_finite: Any
    checkpoint: Any
    checkpoint_every: Any
    clip_norm: Any
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    differentiable: Any
    drop_last: Any
    dt: Any
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    foreach: Any
    form: Literal["push", "pull"]
    friction: Any
    fused: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    log: Any
    log_per: Any
    lookahead: bool
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    maximize: Any
    metric: Any
    min_delta: Any
    momentum: Any
    momentum_decay: float | None
    monitor: Any
    monitor_data: Any
    monitor_every: Any
    order: int
    patience: Any
    resume: Any
    rho: float
    rho_inf: float
    schedule_per: Any
    shuffle: Any
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    threads: Any
    track_lr: Any
    truncated: bool
    validation: Any
    weight_decay: float
    weight_lr_power: float

class MinimizeOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    dt: Any
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    jac_sparsity: Any
    l1: float
    l2: float
    lambd: float
    lazy: bool
    lband: Any
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    solver: Any
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    uband: Any
    weight_decay: float
    weight_lr_power: float

class MotionBatchOptions(TypedDict, total=False):
    after: Any
    alpha: float | None
    amsgrad: bool
    args: Any
    atol: Any
    atol_v: Any
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    breaks: Any
    c2: float
    callback: Any
    centered: bool
    checkpoint: Any
    checkpoint_every: Any
    clip_value: float | None
    constraints: Any
    constraints_jac: Any
    contacts: Any
    dampening: float
    decoupled_weight_decay: bool
    delta: float
    dense_output: Any
    dfdv: Any
    dfdx: Any
    energy: Any
    eps: float
    eta: float
    etas: Sequence[float]
    events: Any
    first_step: Any
    fixed: Any
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    inplace: Any
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    linear_solver: Any
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_step: Any
    max_steps: Any
    max_trust_radius: float | None
    maxcor: int
    min_step: Any
    momentum: Any
    momentum_decay: float | None
    order: int
    outputs: Any
    potential: Any
    rayleigh: Any
    resume: Any
    rho: float
    rho_inf: float
    rtol: Any
    rtol_v: Any
    save: Any
    save_every: Any
    solver: Any
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class MotionOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    decoupled_weight_decay: bool
    delta: float
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class SweepOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    average: int
    batch_size: Any
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    data: Any
    decoupled_weight_decay: bool
    delta: float
    dt: Any
    epochs: Any
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    form: Literal["push", "pull"]
    friction: Any
    fun: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    jac: Any
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    maxiter: Any
    momentum: Any
    momentum_decay: float | None
    order: int
    params: Any
    rho: float
    rho_inf: float
    schedule: Any
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float
    x0: Any

class StepperOptions(TypedDict, total=False):
    accel: Any
    after: Any
    alpha: float | None
    amsgrad: bool
    average: int
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    centered: bool
    clip_value: float | None
    dadv: Any
    dadx: Any
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    dt: Any
    energy: Any
    eps: float
    eta: float
    etas: Sequence[float]
    fixed: Any
    flow: Literal["backward", "forward", "exact"]
    force: Any
    form: Literal["push", "pull"]
    friction: Any
    gamma: float
    grad: Any
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    momentum: Any
    momentum_decay: float | None
    order: int
    potential: Any
    rayleigh: Any
    rho: float
    rho_inf: float
    solve_accel: Any
    stages: int
    step_sizes: Sequence[float]
    stiffness: Any
    tau: float
    truncated: bool
    v0: Any
    velocity_free: Any
    weight_decay: float
    weight_lr_power: float
    x0: Any

class TrainOptions(TypedDict, total=False):
    alpha: float | None
    amsgrad: bool
    beta: Literal["polak_ribiere", "hager_zhang"] | float | None
    beta_hat: float
    betas: Sequence[float]
    c2: float
    capturable: Any
    centered: bool
    check_finite: Any
    clip_norm: Any
    clip_value: float | None
    dampening: float
    damping: Literal["explicit", "implicit"] | Literal["none", "explicit"] | Literal["none", "implicit"] | Literal["trapezoidal", "backward_euler", "explicit"] | float
    decoupled_weight_decay: bool
    delta: float
    differentiable: Any
    dt: Any
    eps: float
    eta: float
    etas: Sequence[float]
    flow: Literal["backward", "forward", "exact"]
    foreach: Any
    form: Literal["push", "pull"]
    friction: Any
    fused: Any
    gamma: float
    initial_accumulator_value: float
    initial_trust_radius: float
    intercept: bool
    l1: float
    l2: float
    lambd: float
    lazy: bool
    load: Literal["interpolated", "shifted"]
    lookahead: bool
    lr: Any
    lr_decay: float
    lr_power: float
    max_order: int
    max_trust_radius: float | None
    maxcor: int
    maximize: Any
    momentum: Any
    momentum_decay: float | None
    order: int
    rho: float
    rho_inf: float
    stages: int
    step_sizes: Sequence[float]
    t0: float
    tau: float
    truncated: bool
    weight_decay: float
    weight_lr_power: float

class SGDOptions(TypedDict, total=False):
    check_finite: bool
    clip_norm: float | None
    clip_value: float | None
    decoupled_weight_decay: bool
    threads: int | None
