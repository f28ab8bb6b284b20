"""Implicit SGD from many starts, for `mflow.minimize_batch`: each member is a `ResidualSGD` of its own.

An iteration is one pass over the data, in an order drawn for the pass: as many residuals as one evaluation of the whole cost. The cost of a
member is the mean of r^2/2 over its data and the penalties, and its gradient where the l1 penalty has a kink is the smallest subgradient.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from mflow_core.lanes.lane_descent import ENDINGS
from mflow_core.objectives.objective import Objective
from mflow_core.problems.signatures import DATUM_SIGNATURE, compiled_address, is_compiled

from mflow.base.checks import Array, as_array, check_flags, check_function, check_whole, random_generator, real_array, shown
from mflow.data.rows import row_count
from mflow.derivatives.elsewhere import is_source, names_of, with_batch_derivative
from mflow.implicit.linear import NAME, no_squares
from mflow.implicit.residuals import ResidualSGD, RowsOf

__all__ = ["Implicit", "ImplicitDescents", "check_squares", "data_of"]

RAISED = 1  # the code of a member whose compiled residual gave up

Arrays = tuple[Array, ...]


class Implicit(NamedTuple):
    """What the members of a batch have in common.

    parameters : of `ResidualSGD`. common : the data of all members, or None. seed : of the order of rows; every member draws from it anew.
    """

    parameters: dict[str, Any]
    jac: Any
    common: Arrays | None
    batch_size: int
    shuffle: bool
    seed: Any

    @classmethod
    def checked(cls, parameters: dict[str, Any], jac: Any, common: Arrays | None, batch_size: Any, shuffle: Any, seed: Any) -> Self:
        """A generator, or a fresh one, gives one number here, so that members, threads and processes draw alike. Raises TypeError or
        ValueError."""
        check_flags(shuffle=shuffle)
        generator = random_generator(seed)
        if shuffle and isinstance(seed, np.random.Generator | np.random.BitGenerator | None):
            seed = int(generator.integers(2**63))
        return cls(parameters, jac, common, check_whole(batch_size, "batch_size", 1), shuffle, seed)


def check_squares(costs: Any, points: Array) -> None:
    """Raises TypeError where an objective is no sum of squares, or of another number of unknowns."""
    n = points[0].size if len(points) else 0
    for cost in costs if isinstance(costs, (list, tuple)) else [costs]:
        if not isinstance(cost, Objective):
            raise TypeError(f"fun: expected objectives of mflow.objectives in a list for {NAME}, got {shown(cost)}")
        if "squares" not in cost.flags:
            raise TypeError(f"fun: expected a sum of squares for {NAME}, {no_squares(cost)}")
        if len(points) and cost.n != n:
            raise ValueError(f"fun: expected a cost of {n} numbers, as the starts have, got {cost!r}, which is of {cost.n}")


def data_of(fun: Any, jac: Any, data: Any, batch_data: dict[str, Any] | None, members: int) -> tuple[Arrays | None, Arrays]:
    """The data of a function: (those of all members, or None, those whose first axis is the members'). Raises TypeError or ValueError."""
    if not is_compiled(fun):
        check_function(fun, "fun", "a function of (params, *batch) that returns residuals")
        if not is_source(jac):
            check_function(jac, "jac", f"a function of (params, *batch) that returns the Jacobian of the residuals, {names_of()}")
    elif jac is not None:
        raise TypeError("jac: expected none, as a compiled residual has its own; omit it")
    else:
        compiled_address(fun, "fun", DATUM_SIGNATURE)
    if (data is None) == (not batch_data):
        given = "neither" if data is None else "both"
        raise TypeError(f'data, batch_data: expected data=, or batch_data={{"data": ...}} with a set for each member, got {given}')
    each = data is None
    if each:
        assert batch_data is not None
        if list(batch_data) != ["data"]:
            raise TypeError(f'batch_data: expected {{"data": ...}} for a function, got the names {", ".join(map(repr, batch_data))}')
        data = batch_data["data"]
    name = "batch_data" if each else "data"
    parts = data if isinstance(data, tuple) else (data,)
    arrays = tuple(as_array(part, f"{name}[{k}]") for k, part in enumerate(parts))
    names = tuple(f"{name}[{k}]" for k in range(len(arrays)))
    if each:
        for array, which in zip(arrays, names, strict=True):
            if array.ndim < 2 or len(array) != members:
                raise ValueError(f"{which}: expected shape ({members}, rows, ...), a set for each member, got shape {array.shape}")
    row_count(tuple(a[0] for a in arrays) if each else arrays, names)
    return (None, arrays) if each else (arrays, ())


def rows_by_batch(residual: Any, jacobian: Any, arrays: tuple[Any, ...], shape: tuple[int, ...]) -> RowsOf:
    """(residuals, Jacobian) of some rows at a flat vector of parameters, by one call of each function a batch."""

    def rows_of(flat: Array, rows: Any, slopes: bool) -> tuple[Array, Array | None]:
        params, some = flat.reshape(shape), [part[rows] for part in arrays]
        r = np.asarray(real_array(residual(params, *some), "fun"), dtype=np.float64).ravel()
        if r.size != len(rows):
            raise ValueError(f"fun: expected {len(rows)} residuals returned, one for each row of the batch, got {r.size}")
        if not slopes:
            return r, None
        J = np.asarray(real_array(jacobian(params, *some), "jac"), dtype=np.float64)
        if J.size != r.size * flat.size:
            raise ValueError(f"jac: expected shape ({r.size}, {flat.size}), row i the gradient of residual i, got shape {J.shape}")
        return r, J.reshape(r.size, flat.size)

    return rows_of


class ImplicitDescents:
    """What `minimize_batch` wants of a batch: members by index, each in some thread; results in arrays.

    costs : an objective, a list of them, or a function of rows. tables : arrays whose first axis is the members': X and y of an objective,
    each or None, or the data of a function.
    """

    def __init__(self, costs: Any, settings: Implicit, points: Array, passes: int, gtol: float, tables: Any) -> None:
        self.settings, self.passes, self.gtol, self.tables = settings, passes, gtol, tables
        self.costs, self.jac = with_batch_derivative(costs, settings.jac, None, True)
        members = len(points)
        self.x, self.shape = points.reshape(members, -1).copy(), points.shape[1:]
        self.fun, self.gmax = np.full(members, np.nan), np.full(members, np.nan)
        self.nit, self.extra = np.zeros(members, np.int64), np.zeros(members, np.int64)
        self.code = np.full(members, ENDINGS["interrupted"], np.int32)
        self.stopped = False
        if members:
            self._model(0)  # what does not fit raises here, before any thread

    def stop(self) -> None:
        """No further pass."""
        self.stopped = True

    def work(self, lo: int, hi: int) -> None:
        """Members lo to hi, to their ends."""
        for k in range(lo, hi):
            if self.stopped:
                return
            self._member(k)

    def _model(self, k: int) -> tuple[ResidualSGD, tuple[Any, ...], int]:
        """(the model of a member, its data, rows)."""
        cost = self.costs[k] if isinstance(self.costs, (list, tuple)) else self.costs
        own = tuple(None if part is None else part[k] for part in self.tables)
        if isinstance(cost, Objective) or is_compiled(cost):
            if isinstance(cost, Objective) and any(part is not None for part in own):
                cost = cost._on(*own)
            model = ResidualSGD(residual=cost, **self.settings.parameters)
        else:
            model = ResidualSGD(residual=cost, jacobian=self.jac, **self.settings.parameters)
            model.rows_of = rows_by_batch
        common = self.settings.common
        return model, *model.bound(None if isinstance(cost, Objective) else own if common is None else common)

    def _member(self, k: int) -> None:
        if not np.all(np.isfinite(self.x[k])):
            self.code[k] = ENDINGS["non_finite"]
            return
        model, arrays, rows = self._model(k)
        batch = min(self.settings.batch_size, rows)
        model.begin(self.x[k].reshape(self.shape), arrays, batch)
        look = _Look(model, rows, self.gtol)
        try:
            if look() or not look.finite:
                model.reason = "converged" if look.finite else "non_finite"
            else:
                rng = random_generator(self.settings.seed) if self.settings.shuffle else None
                model.run_epochs(rows, batch, self.passes, rng, lambda: look() or self.stopped)
                if not look.finite:
                    model.reason = "non_finite"
        except RuntimeError:
            if not model.compiled:
                raise
            model.reason = "rhs_failed"
        self.x[k], self.fun[k], self.gmax[k] = look.x, look.value, look.gmax
        self.nit[k], self.extra[k] = model.n_epochs, model.nfev - model.n_epochs - 1
        if not (self.stopped and model.reason == "converged" and look.gmax > self.gtol):
            self.code[k] = ENDINGS.get(model.reason, RAISED)


class _Look:
    """The cost and its gradient at a model's parameters, with the last point at which both were finite."""

    def __init__(self, model: ResidualSGD, rows: int, gtol: float) -> None:
        self.model, self.order, self.gtol = model, np.arange(rows, dtype=np.int64), gtol
        self.x, self.value, self.gmax, self.finite = model.params.ravel(), np.nan, np.nan, True

    def __call__(self) -> bool:
        """Whether the largest entry of the gradient is within gtol."""
        x = self.model.params.ravel()
        value, grad = self.model.cost(x, self.order)
        gmax = float(np.max(np.abs(grad), initial=0.0))
        self.finite = bool(np.isfinite(value) and np.isfinite(gmax))
        if self.finite:
            self.x, self.value, self.gmax = x, value, gmax
        return self.finite and gmax <= self.gtol
