from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mflow_core.problems.problem import Problem
from mflow_core.registry import MethodRecord

def stability_values(
    record: MethodRecord, parameters: Mapping[str, float], z: NDArray[np.complex128], rho: float = ...,
) -> NDArray[np.complex128]: ...
def step_matrices(record: MethodRecord, parameters: Mapping[str, float], z: NDArray[np.complex128]) -> NDArray[np.complex128]: ...
def oscillator_matrices(
    record: MethodRecord, parameters: Mapping[str, float], k: NDArray[np.float64], c: NDArray[np.float64],
) -> NDArray[np.float64]: ...
def implicit_shares(record: MethodRecord, parameters: Mapping[str, float]) -> tuple[float, float]: ...
def system_matrix(record: MethodRecord, parameters: Mapping[str, float], problem: Problem, h: float) -> NDArray[np.float64]: ...
