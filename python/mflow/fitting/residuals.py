"""The residuals of `mflow.least_squares` and their Jacobian: checked, weighted, counted, and differenced where none is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from mflow.base.checks import Array, as_tuple, check_flags, dense_array, real_array, shown
from mflow.base.differences import ASIDE, EACH, Digits, Scan, along, check_diff_step, digits_of, scan
from mflow.base.remainder import GradientWarning, Verdict, jacobian_model, quick, said_of
from mflow.base.telling import tell

__all__ = ["Residuals"]

EPS = 2.0**-52
SMALL = 1e-3  # a parameter below it may be 0
FLOOR = 1e-3  # of its largest value so far: a number that has been large is not measured in tiny steps
COARSE = 0.3  # likewise where residuals are rounded to multiples, which tiny steps do not change


class Residuals:
    """Residuals and their Jacobian.

    digits : what the residuals carry, where that is less than float64. eps : the relative error of one. grain : the mean error of one that
    is rounded to multiples of a quantum, over sigma; 0 of others. blur : the share of them in the plane of J's columns that differences
    cannot tell from 0. verdict : on a Jacobian that was given. least : of each step of differences.
    """

    def __init__(
        self, fun: Any, jac: Any, x0: Array, args: Any, kwargs: dict[str, Any], sigma: Any, diff_step: Any, check: Any
    ) -> None:  # fmt: skip
        if not callable(fun):
            raise TypeError(f"fun: expected a function of x that returns residuals, got {type(fun).__name__}")
        if not callable(jac) and not (isinstance(jac, str) and jac in ("2-point", "3-point")):
            raise ValueError(f'jac: expected a function, "2-point" or "3-point", got {shown(jac)}')
        check_flags(check_gradient=check)
        self.fun, self.jac, self.kwargs, self.checks = fun, jac, kwargs, bool(check)
        self.args = as_tuple(args)
        self.n, self.m, self.nfev, self.njev = x0.size, -1, 0, 0
        self.differences, self.size = not callable(jac), np.zeros(self.n)
        self.eps, self.digits, self.central = EPS, None, jac == "3-point"
        self.grain = self.lost = 0.0
        self.steps = check_diff_step(diff_step, self.n)
        if self.steps is not None and not self.differences:
            raise ValueError(f"diff_step: expected None beside a Jacobian, which needs no differences, got {shown(diff_step)}; omit it")
        self.given = self.steps is not None
        self.floor, self.least, self.seen_zero = FLOOR, np.zeros(self.n), np.zeros(self.n, dtype=bool)
        self.verdict, self.where, self.tried = Verdict("unknown", 0), "x0", False
        self.sigma = None if sigma is None else real_array(sigma, "sigma").ravel()
        if self.sigma is not None and not np.all((self.sigma > 0) & np.isfinite(self.sigma)):
            raise ValueError("sigma: expected standard deviations above 0, got one that is not")

    digits: Digits | None

    @property
    def blur(self) -> float:
        """The share of r in the plane of J's columns that differences cannot tell from 0."""
        if self.grain:
            return self.lost
        return float(self.eps ** (2 / 3) if self.central else self.eps**0.5)

    def _raw(self, x: Array) -> Any:
        """The residuals as fun returns them, after a check."""
        r = np.asarray(self.fun(x.copy(), *self.args, **self.kwargs))
        if r.dtype.kind not in "biuf" or r.ndim > 1:
            raise TypeError(f"fun returned shape {r.shape} and dtype {r.dtype}: expected a vector of real residuals")
        if self.m < 0:
            self.m = r.size
            if self.m < self.n:
                raise ValueError(f"fun returned {self.m} residuals: expected at least as many as parameters, {self.n}")
            if self.sigma is not None and self.sigma.size not in (1, self.m):
                raise ValueError(f"sigma: expected {self.m} numbers, one for each residual, got {self.sigma.size}")
        if r.size != self.m:
            raise ValueError(f"fun returned {r.size} residuals: expected {self.m}, as in its first call")
        return r

    def weighted(self, raw: Any) -> Array:
        """Residuals over sigma, as float64."""
        r = np.array(raw, dtype=np.float64).ravel()
        return r if self.sigma is None else r / self.sigma

    def at(self, x: Array) -> Array:
        """The residuals there, not counted."""
        return self.weighted(self._raw(x))

    def _kept(self, x: Array, seen: list[Any]) -> Array:
        """Likewise, with what fun returned added to a list, as sigma hides its digits."""
        seen.append(self._raw(x))
        return self.weighted(seen[-1])

    def residuals(self, x: Array) -> Array:
        """The residuals there, counted."""
        self.nfev += 1
        raw = self._raw(x)
        if self.digits is not None and self.digits.quantum:
            self._look_for_finer(raw, self.digits)
        return self.weighted(raw)

    def _look_for_finer(self, raw: Any, digits: Digits) -> None:
        """Residuals that are no multiples of what those before were are rounded to finer ones, or not at all."""
        parts = np.asarray(raw, dtype=np.float64) / digits.quantum
        if np.any(np.abs(parts - np.round(parts)) > 1e-6):
            finer = digits_of([raw], 1)
            quantum = 0.0 if finer is None else min(finer.quantum, digits.quantum)
            self._take(digits._replace(quantum=quantum, eps=digits.eps * quantum / digits.quantum) if quantum else None)

    def jacobian(self, x: Array, r: Array) -> Array:
        """The Jacobian there; r: the residuals there."""
        self.njev += 1
        if self.differences:
            return self._differenced(x, r)
        J = self.jac(x.copy(), *self.args, **self.kwargs)
        J = np.array(dense_array(J, "jac"))
        if J.shape != (self.m, self.n) and not (J.size == self.m * self.n and 1 in (self.m, self.n)):
            raise ValueError(f"jac returned shape {J.shape}: expected ({self.m}, {self.n}), row i the derivatives of residual i")
        J = J.reshape(self.m, self.n)
        J = J if self.sigma is None else J / self.sigma.reshape(-1, 1)
        if self.checks and self.njev == 1 and np.isfinite(J).all() and np.isfinite(r).all():
            seen: list[Any] = []
            self.verdict = quick(jacobian_model(lambda at: self._kept(at, seen), x, r, J))
            digits = digits_of(seen)
            self._take(digits)
            if self.wrong:
                tell(f"least_squares: {self.wrong}", GradientWarning)
        return J

    def check_again(self, x: Array, r: Array, J: Array) -> None:
        """Compares a Jacobian that was right at x0 with the residuals where the run ended, so that the end is theirs."""
        if self.verdict.kind != "right" or not np.isfinite(J).all():
            return
        later = quick(jacobian_model(self.at, x, r, J))
        count = self.verdict.ncheck + later.ncheck
        self.verdict = (later if later.kind == "wrong" else self.verdict)._replace(ncheck=count)
        if later.kind == "wrong":
            self.where = "x"
            tell(f"least_squares: {self.wrong}", GradientWarning)

    @property
    def wrong(self) -> str:
        """What is wrong with the Jacobian; empty where nothing is known to be."""
        if self.verdict.kind != "wrong":
            return ""
        text = f"{said_of(self.verdict, 'Jacobian', 'residuals', self.where)} (residual {self.verdict.entry})"
        return f"{text}; mflow.check_jacobian names the entry"

    # ---- differences ----------------------------------------------------------------------------------------------------------------

    def _differenced(self, x: Array, r: Array) -> Array:
        seen: list[Any] | None = ([r] if self.sigma is None else []) if self.njev == 1 else None
        J = self._differences(x, r, seen)
        if seen:
            self._take(self._digits(x, seen))
            if self.digits is not None and not self.given:
                self._lengthen(self.digits.step)
                J = self._differences(x, r, None)
        zero = ~J.any(axis=0)
        if (zero & ~self.seen_zero).any() and np.isfinite(J).all():
            self.seen_zero = self.seen_zero | zero
            if self._confirm(x, np.flatnonzero(zero)):
                J = self._differences(x, r, None)
        if self.grain:
            self.lost = self._lost(x, J)
        return J

    def _take(self, digits: Digits | None) -> None:
        """What the residuals carry is known."""
        self.digits = digits
        if digits is None:
            self.eps, self.grain = (EPS, 0.0) if self.grain else (self.eps, 0.0)
            return
        self.eps = max(self.eps, digits.eps)
        sigma = 1.0 if self.sigma is None else float(np.min(self.sigma))
        self.grain = digits.quantum / (12.0**0.5 * sigma)
        self.floor = COARSE if digits.quantum else self.floor

    def _lost(self, x: Array, J: Array) -> float:
        """By how much rounding to multiples may turn a column of differences, and a third derivative over steps so long."""
        norms, h = np.linalg.norm(J, axis=0), np.abs(self.lengths(x))
        per = self.grain * (0.5**0.5 if self.central else 2.0**0.5) / h
        turned = float(np.max(3.0 * per / np.where(norms > 0.0, norms, 1.0), initial=0.0))
        return min(1.0, turned + (float(np.max(h / self._scale(x))) ** 2 if self.central else 0.0))

    def _lengthen(self, step: float) -> None:
        self.steps, self.central = np.full(self.n, step), True

    def refine(self) -> bool:
        """Central differences from now on, and then over steps as short as x itself; whether there was something left to refine."""
        if not self.differences or self.steps is not None or (self.central and not self.floor):
            return False
        self.central, self.floor = True, 0.0 if self.central else self.floor
        return True

    def _scale(self, x: Array) -> Array:
        scale = np.maximum(np.abs(x), self.floor * self.size)
        return np.where(scale > 0.0, scale, 1.0)

    def lengths(self, x: Array) -> Array:
        """Steps of eps^(1/2) or eps^(1/3) times |x_j|, away from 0."""
        relative = self.steps if self.steps is not None else EPS ** (1 / 3) if self.central else EPS**0.5
        out: Array = np.maximum(relative * self._scale(x), self.least) * np.where(x < 0, -1.0, 1.0)
        return out

    def _differences(self, x: Array, r: Array, seen: list[Any] | None) -> Array:
        self.size = np.maximum(self.size, np.abs(x))
        J = np.empty((self.m, self.n))
        h = self.lengths(x)
        for j in range(self.n):
            up, down = x.copy(), x.copy()
            up[j] += h[j]
            if self.central:
                down[j] -= h[j]
            raw = self._raw(up)
            if seen is not None:
                seen.append(raw)
            J[:, j] = (self.weighted(raw) - (self.at(down) if self.central else r)) / (up[j] - down[j])
        return J

    def _digits(self, x: Array, seen: list[Any]) -> Digits | None:
        """Where residuals have few digits, one evaluation more, as short numbers x may be the reason."""
        if digits_of(seen) is None:
            return None
        try:
            aside = self._raw(x + ASIDE * self._scale(x) * along(self.n))
        except ArithmeticError:
            return None
        return digits_of([*seen, aside])

    def scans(self, x: Array, some: Any) -> list[tuple[Scan, float]]:
        """Longer differences from x, and the unit of their steps: of each of some parameters, or of all at once where there are many.

        Parameters are moved by shares of themselves; where that moves nothing, by shares of 1.
        """
        scale, at = self._scale(x), self._raw(x)
        if len(some) > EACH:
            return [(scan(self._raw, x, np.maximum(scale, 1.0) * along(self.n), at, self.eps, squares=True), 1.0)]
        out = []
        for j in some:
            unit = float(scale[j])
            scanned = scan(self._raw, x, unit * (np.arange(self.n) == j), at, self.eps, squares=True)
            if scanned.kind == "flat" and unit < 1.0:
                unit = 1.0
                scanned = scan(self._raw, x, unit * (np.arange(self.n) == j), at, self.eps, squares=True)
            out.append((scanned, unit))
        return out

    def longer(self, x: Array) -> bool:
        """Where no step lowers the cost: whether longer differences are tried, once, as noise may hide in shorter ones."""
        if not self.differences or self.given or self.tried:
            return False
        self.tried = True
        return self._confirm(x, np.arange(self.n))

    def level(self, cost: float) -> float:
        """The share of the cost below which its changes tell nothing."""
        return min(1.0, 6.0 * self.grain / max(2.0 * cost, 1e-300) ** 0.5) if self.grain else 10.0 * self.eps

    def unit(self, x: Array) -> Array:
        """Of each parameter: its size, or 1 where it is small."""
        return np.where(np.abs(x) < SMALL, 1.0, np.abs(x))

    def rises(self, x: Array, cost: float, some: Any) -> bool:
        """Whether half the sum of squares is larger on both sides of x, in each of some parameters."""
        moves = [h * self.unit(x)[j] * (np.arange(self.n) == j) for j in some for h in (1e-3, -1e-3, 1e-4, -1e-4)]
        return all(0.5 * float(r @ r) > cost for r in (self.at(x + move) for move in moves))

    def look_closer(self, x: Array) -> None:
        """What the residuals carry, where differences over the steps that were given lead nowhere."""
        if self.given and self.digits is None:
            self._take(digits_of([raw for one, _ in self.scans(x, np.arange(self.n)) for raw in one.seen], 1))

    def _confirm(self, x: Array, zero: Any) -> bool:
        """Whether columns, of zeros or in doubt, have slopes over longer steps, which are then taken for all."""
        scanned = self.scans(x, zero)
        slopes = [(one, unit) for one, unit in scanned if one.kind == "slope"]
        if not slopes or self.given:
            return False
        if self.digits is None:
            seen = [raw for one, _ in scanned for raw in one.seen]
            self._take(self._digits(x, seen) or digits_of(seen, 1))  # differences that vanish tell of short numbers, too
        step = max(one.step for one, _ in slopes)
        if self.digits is not None:
            step, self.eps = max(step, self.digits.step), max(self.eps, self.digits.eps)
        if self.steps is not None and step <= self.steps.max():
            return False
        self.eps = max([self.eps, *(one.noise for one, _ in slopes)])
        self._lengthen(step)
        if len(scanned) == len(zero):
            lengths = [one.step * unit if one.kind == "slope" else 0.0 for one, unit in scanned]
            self.least[zero] = np.maximum(self.least[zero], lengths)
        return True

    def note(self) -> str:
        """What is to be said of the differences in a result's message."""
        if self.differences and self.given and self.digits is not None:
            return f"; the residuals carry {self.digits.text}: diff_step={self.digits.step:.2g} would suit them"
        if not self.differences or self.given or self.steps is None:
            return ""
        reason = "differences vanish over shorter ones" if self.digits is None else f"the residuals carry {self.digits.text}"
        return f"; differences are taken over {self.steps.max():.2g} of x, as {reason}"
