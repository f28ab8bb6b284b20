"""Forces: M x'' = force(t, x, v), alone or beside the matrices and the load of a structure, of the degrees of freedom that move."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mflow_core.dynamics import matrices
from mflow_core.dynamics import supports as core_supports
from mflow_core.dynamics.force import Force
from mflow_core.dynamics.joined_force import JoinedForce
from mflow_core.dynamics.structure import Structure
from mflow_core.problems.signatures import FORCE_SIGNATURE, POTENTIAL_SIGNATURE, compiled_address
from mflow_core.problems.sparse import check_sparse
from mflow_core.solvers.solver import Solver
from mflow_core.stepping import probe

from mflow.base.checks import Array, finite_array, real_array
from mflow.base.methods import Method
from mflow.solvers import nonlinear
from mflow.solvers.tangents import TangentFactors, is_sparse
from mflow.structures.supports import Supports, free_part

__all__ = ["force_problem", "no_motion", "solves_for_acceleration", "tangent_solver"]


def no_motion(method: Method, equation: str = "M x'' = F") -> str:
    """What is said of a method that is none for motions, with what takes it."""
    takes = "" if method.kind != "step" else "; mflow.solve_ivp takes it, for y = (x, v) with y' = (v, M^-1 F)"
    return f"method: {method.name} is no method for {equation}: see mflow.methods(family='second_order'){takes}"


def solves_for_acceleration(method: Method) -> bool:
    """Whether the method solves equations for accelerations."""
    return bool(method.is_implicit) or method.parameters.get("damping") == "implicit"


def tangent_solver(
    solver: Any, tangents: tuple[Any, Any], body: tuple[Any, ...], at: tuple[float, Array, Array], args: tuple[Any, ...]
) -> Solver:
    """What solves for accelerations: with sparse factors where one of the tangents dfdx, dfdv is sparse at (t0, x0, v0). body: (M,)
    or (M, C, K)."""
    n, given = at[1].size, any(of is not None for of in tangents)
    factors = TangentFactors(n, *body) if any(is_sparse(of, *at, args) for of in tangents) else None
    return nonlinear.force_solver(solver, n, given, factors)


def force_problem(
    method: Method, supports: Supports, mass: Any, force: Any, args: tuple[Any, ...], inplace: bool, dfdx: Any, dfdv: Any, potential: Any,
    velocity_free: bool, solver: Any, at: tuple[float, Array, Array], beside: tuple[Structure, Any] | None = None,
) -> Force:  # fmt: skip
    """The problem of a nonlinear force. at: t0, x0, v0, where tangents are looked at first. beside: what `structure_problem` made of the
    matrices and the load that it stands beside."""
    if beside is not None and beside[0].by_cg:
        _refuse_newton(method, velocity_free)
    shape, body = supports.shape, beside[1][1:] if beside is not None and beside[1] is not None else (None,)
    if beside is None:
        body = (mass if mass is None else free_part(matrices.checked_matrix(mass, "mass", supports.n), supports),)
    if potential is not None:
        supports.refuse_motion("potential", "a function of x alone")
    for name, tangent in (("dfdx", dfdx), ("dfdv", dfdv)):
        numbers = tangent.data if hasattr(tangent, "tocsr") else tangent
        if isinstance(numbers, (np.ndarray, list, tuple, int, float)):
            finite_array(real_array(numbers, name), name)
    if supports.any:
        force, dfdx, dfdv, potential = _on_free(supports, force, inplace, dfdx, dfdv, potential)
        shape, inplace = (supports.free.size,), False
    solves, inner = solves_for_acceleration(method), None
    if solves:
        inner = tangent_solver(solver, (dfdx, dfdv), body, (at[0], supports.reduced(at[1]), supports.reduced(at[2])), args)
    more = {"args": args, "inplace": inplace, "potential": potential, "velocity_free": velocity_free, "solver": inner}
    more |= {"dfdx": dfdx if solves else None, "dfdv": dfdv if solves else None}
    if beside is not None:
        return JoinedForce(force, shape, beside[0], **more)
    return Force(force, shape, mass=body[0], **more)


def _refuse_newton(method: Method, velocity_free: bool) -> None:
    """ValueError where matrices that conjugate gradients solve with would stand inside Newton's iteration."""
    of_x, of_v = probe.implicit_shares(method.record, method.numbers)
    if of_x or (of_v and not velocity_free):
        raise ValueError(
            f'linear_solver: conjugate gradients ("cg", or a damping function) go with a force that the method takes explicitly, and '
            f"{method.name} is implicit in it: use an explicit method, central_difference or staggered with velocity_free=True, or matrices"
        )


def _on_free(supports: Supports, force: Any, inplace: bool, dfdx: Any, dfdv: Any, potential: Any) -> tuple[Any, ...]:
    """The same functions of the free degrees of freedom."""

    def state(t: float, x: Array, v: Array) -> tuple[Array, Array]:
        return supports.state(x, 0, t), supports.state(v, 1, t)

    def on_free(t: float, x: Array, v: Array, *args: Any) -> Array:
        whole = state(t, x, v)
        if inplace:
            value = np.full(supports.shape, math.nan)
            force(t, *whole, value, *args)
        else:
            value = np.asarray(force(t, *whole, *args))
        if value.shape != supports.shape:
            raise ValueError(f"force returned shape {value.shape}, but the state has shape {supports.shape}")
        return np.asarray(value.ravel()[supports.free])

    def tangent(of: Any, name: str) -> Any:
        if of is None:
            return None
        if not callable(of):
            return free_part(check_sparse(of, name).tocsr() if hasattr(of, "tocsr") else real_array(of, name), supports)

        def part(t: float, x: Array, v: Array, *args: Any) -> Any:
            value = of(t, *state(t, x, v), *args)
            return free_part(check_sparse(value, name).tocsr() if hasattr(value, "tocsr") else np.asarray(value), supports)

        return part

    def on_supports(role: str, fun: Any, signature: str, otherwise: Any) -> Any:
        if fun is None or compiled_address(fun, role, signature) is None:
            return otherwise
        supports.refuse_motion(role, "a compiled function, which does not know where they are,")
        return core_supports.of_all(role, fun, supports.free, supports.place)

    whole_potential = None if potential is None else lambda x, *args: potential(supports.state(x, 0), *args)
    return (
        on_supports("force", force, FORCE_SIGNATURE, on_free), tangent(dfdx, "dfdx"), tangent(dfdv, "dfdv"),
        on_supports("potential", potential, POTENTIAL_SIGNATURE, whole_potential),
    )  # fmt: skip
