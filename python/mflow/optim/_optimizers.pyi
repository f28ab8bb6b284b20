"""Written by tools/make_stubs.py from the method records: do not edit."""

from collections.abc import Callable
from typing import Any, Literal

from mflow.optim.classes import Optimizer

class Momentum(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., *, momentum: float = ..., dampening: float = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., alpha: float | None = ..., beta: Any = ..., dt: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class Nesterov(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., *, momentum: float = ..., form: Literal["push", "pull"] = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., alpha: float | None = ..., beta: Any = ..., dt: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class ConsistentMomentum(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., *, beta_hat: float = ..., friction: float = ..., lookahead: bool = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class Adagrad(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., *, lr_decay: float = ..., initial_accumulator_value: float = ..., eps: float = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class Adadelta(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., *, rho: float = ..., eps: float = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class RMSprop(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., *, alpha: float = ..., eps: float = ..., momentum: float = ..., centered: bool = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class Adam(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., betas: tuple[float, float] = ..., eps: float = ..., *, amsgrad: bool = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class AdamW(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., betas: tuple[float, float] = ..., eps: float = ..., *, amsgrad: bool = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class Adamax(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., betas: tuple[float, float] = ..., eps: float = ..., *, weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class NAdam(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., betas: tuple[float, float] = ..., eps: float = ..., *, momentum_decay: float | None = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class RAdam(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., betas: tuple[float, float] = ..., eps: float = ..., *, weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class AdaBelief(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., betas: tuple[float, float] = ..., eps: float = ..., *, amsgrad: bool = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class SparseAdam(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., betas: tuple[float, float] = ..., eps: float = ..., *, lazy: bool = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class Lion(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., betas: tuple[float, float] = ..., *, weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class Rprop(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., *, etas: tuple[float, float] = ..., step_sizes: tuple[float, float] = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class ASGD(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., *, lambd: float = ..., alpha: float = ..., t0: float = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class SGDScheduleFree(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., *, momentum: float = ..., weight_lr_power: float = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...

class AdamWScheduleFree(Optimizer):
    def __init__(self, params: Any, lr: float | Callable[[int], float] = ..., betas: tuple[float, float] = ..., eps: float = ..., *, weight_lr_power: float = ..., weight_decay: float = ..., decoupled_weight_decay: bool = ..., clip_value: float | None = ..., maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ...) -> None: ...
