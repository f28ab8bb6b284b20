"""Whether a run has come to rest: `until="steady"`.

A small slope alone says nothing: a start may be slow, an oscillation passes f = 0, a state may creep. What is tested, with the Jacobian J
at the state y and all lengths in units of atol + rtol |y|, root mean square:

    how far it is      Newton's step to the state of rest, J d = -f, is at most 1 long, the slope at y + d is what J leaves of it, and
                       a second step from there, with the Jacobian there, is 2/5 as long at most, as d and those that follow add up.
                       Explicit steps at their stability limit come to stand beside it, as the error that holds them back stays as large as
                       a tolerance: there d may be 2 long, if of it the solution leaves 1/4, exp(h J) d, a step later. An oscillation with
                       little damping stays farther out, where it loses in a step what the error of one may be: d may be 100 long there,
                       if f is linear up to a part of what the damping takes: a cycle around the state of rest is none
    that it stays near exp(t J) d is at most 3 times as long, or 100: what turns, or is far from normal, may first go out
    what J cannot say  the part of f along directions in which J is 0 (conserved sums) is rounding, or moves y by less than a tolerance
                       until t_end: a state that creeps is not at rest
    that it is drawn   every eigenvalue of J that can be told from 0 has a real part below 0, and the others are no chain
    that it stays so   f(t', y) - f(t, y), at times t' up to t_end, moves the state of rest by a tolerance at most, and what swings by 2,
                       were it in time with it; the eigenvalues of J at t' have real parts below 0; a run with breaks or doses ahead is
                       not asked

Rates below 1e-8 of the fastest count as 0. The test is made at some steps, whose numbers alone decide which, where the next step would move
y by 10 of the tolerances at most: every step at first, fewer and fewer later, and of many components. It does not change the run.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.base.pace import interruptible
from mflow.solvers.rest import MOST, jacobian_at

__all__ = ["Rest", "check_until"]

SMALL = 32  # unknowns, up to which every step may be followed by a test at first
DIGITS, FEW_DIGITS = 8, 3  # binary ones of the number of a step that is, without the zeros at its end: up to SMALL, and beyond
BESIDE, AHEAD = 2.0, 0.25  # tolerances: how far from rest explicit steps stand that are held at their limit, and the solution a step later
FAR, LOST = 100.0, 1.3  # tolerances: how far out oscillations are held, and what they lose in a step
LONG, LITTLE = 1.5, 0.4  # of such oscillations: h |J|, and the share that they lose in a step, at least and at most
SHRINK = 0.4  # of Newton's first step: a second one that stays there; 0.5 beside a double root
HELD = " (steps at their stability limit keep the run there; the solution comes nearer than 1/4 within one of them)"
FED = " (the errors of explicit steps keep the run there: in each the solution comes nearer by 1.3 at most)"
STRAIGHT = 0.25  # of what the damping takes: the part of f that is not linear in such oscillations
SWELLS, DRIVEN = 3.0, 2.0  # times: how much farther out it may go on the way; tolerances: what changes of f may move that swings in time
ENOUGH = 8.0  # of the longest time constant
NEAR = 10.0  # of the tolerances: what the next step may move y by where the test is worth it
LOW = 1e-8  # of the largest: a singular value, or an eigenvalue, that counts as 0
NOISE = 1e-9  # of the terms that f is a sum of: rounding, and the error of J
ROUNDING = 64.0 * 2.0**-52  # of these terms: what no evaluation can be held to
LATER = (0.03, 0.21, 0.45, 0.73, 1.0)  # of the time that is left


def check_until(until: Any, n: int) -> bool:
    """Whether the run is to end at rest. Raises ValueError."""
    if until is None:
        return False
    if not isinstance(until, str) or until != "steady":
        raise ValueError(f'until: expected "steady", or None for a run to t_end, got {until!r}')
    if n > MOST:
        raise ValueError(f'until: expected at most {MOST} components for "steady", whose test needs the eigenvalues of J, got {n}')
    return n > 0


class Rest:
    """The test of one run, to t1. rtol, atol: one number, or one for each component. fed: whether error control alone chooses the length
    of explicit steps, so that their errors are as large as it lets them be."""

    def __init__(self, run: Any, t1: float, rtol: Array, atol: Array, fed: bool = False) -> None:
        self.run, self.t1, self.rtol, self.atol = run, t1, rtol, atol
        self.farthest = FAR if fed and run.equations is None and run.y.size <= SMALL else BESIDE
        self.words = ""

    def reached(self, step: float) -> bool:
        """Whether the run is at rest where it stands; `words` says what was found. step: the next one."""
        k, run = int(self.run.k), self.run
        if k == 0 or len(f"{k:b}".rstrip("0")) > (DIGITS if run.y.size <= SMALL else FEW_DIGITS):
            return False
        y = np.array(run.y, dtype=np.float64).ravel()
        size = self.atol + self.rtol * np.abs(y)
        with np.errstate(all="ignore"):
            slope = self._slope(run.t, y) / size
            if not _rms(slope * step) <= NEAR * self.farthest / BESIDE:
                return False
            self.words = self._test(y, size, slope, step)
        return bool(self.words)

    def _slope(self, t: float, y: Array) -> Array:
        out: Array = np.array(self.run.slope(t, y.reshape(self.run.y.shape)), dtype=np.float64).ravel()
        return out

    def _test(self, y: Array, size: Array, slope: Array, h: float) -> str:
        """What was found at rest; "" where it is not. h: the next step."""
        J = jacobian_at(self.run, y) * size / size[:, None]
        if not np.all(np.isfinite(J)):
            return ""
        cubed = float(len(J)) ** 3
        U, s, Vt = interruptible(20.0 * cubed, np.linalg.svd, J)
        seen = s > LOW * s[0]
        left = abs(self.t1 - self.run.t)
        terms = _rms(np.abs(J) @ (np.abs(y) / size)) + _rms(slope)
        noise = min(NOISE * terms, max(ROUNDING * terms, 1.0 / left if left > 0.0 else math.inf))

        def solved(f: Array) -> Array | None:
            """Newton's step for a slope; None where a part of it is beyond J."""
            parts = U.T @ f
            return None if _rms(U[:, ~seen] @ parts[~seen]) > noise else -(Vt[seen].T @ (parts[seen] / s[seen]))

        step = solved(slope)
        if step is None or not _rms(step) <= self.farthest:
            return ""
        values = interruptible(10.0 * cubed, np.linalg.eigvals, J) * math.copysign(1.0, self.t1 - self.run.t)
        scale = float(np.max(np.abs(values), initial=0.0))
        told = values[np.abs(values) > LOW * scale]
        if not _attracts(values, int(np.count_nonzero(seen))):
            return ""
        beyond = solved(self._slope(self.run.t, y + step * size) / size)
        if beyond is None or not _rms(beyond) <= max(0.5 * _rms(step), 0.1):
            return ""
        least = float(np.min(s[seen], initial=math.inf))
        there = jacobian_at(self.run, y + step * size) * size / size[:, None]
        away = self._distance(y + step * size, size, there, _rms(step), min(0.1, ROUNDING * terms / least))
        held = "" if away <= 1.0 else HELD if away <= BESIDE and self._held_beside(J, step, h) else FED
        if held == FED and not (away <= self.farthest and self._is_fed(values, there, slope, step, h)):
            return ""
        slowest = float(np.min(-told.real, initial=math.inf))
        near = [1.0 / rate for rate in (slowest, scale) if 0.0 < rate < math.inf and 1.0 / rate < left]
        changes = self._changes(y, size, [*near, *(share * left for share in LATER)], told.size)
        if changes is None or any((moved := solved(one)) is None or not _rms(moved) <= 1.0 for one in changes):
            return ""
        most, swung = _swell(J * math.copysign(1.0, self.t1 - self.run.t), np.column_stack([step, *changes]), slowest)
        if not (most <= (self.farthest if held == FED else SWELLS * max(1.0, away)) and swung <= DRIVEN):
            return ""
        rates = f"the slowest rate there is {slowest:.3g}" if told.size else "nothing moves there"
        where = f"{away:.2g} of the tolerances away{held}"
        return f"the state of rest is {where}, it attracts ({rates}), and f is as now at the times looked at until t_end"

    def _changes(self, y: Array, size: Array, times: list[float], told: int) -> list[Array] | None:
        """How much f differs so much later, in units of size; None where the state of rest does not attract there by as many eigenvalues
        as now. Where f is the same to the last bit beside it too, J is."""
        run, sign, out = self.run, math.copysign(1.0, self.t1 - self.run.t), []
        beside = y + 0.5 * size
        now = self._slope(run.t, y), self._slope(run.t, beside)
        for after in times:
            t = run.t + sign * after
            later = self._slope(t, y), self._slope(t, beside)
            out.append((later[0] - now[0]) / size)
            if not np.array_equal(later[1], now[1]):
                J = jacobian_at(run, y, t) * size / size[:, None]
                if not np.all(np.isfinite(J)):
                    return None
                if not _attracts(sign * interruptible(10.0 * float(len(J)) ** 3, np.linalg.eigvals, J), told):
                    return None
        return out

    def _distance(self, beyond: Array, size: Array, J: Array, first: float, rounding: float) -> float:
        """How far the state of rest is, of Newton's steps there that shrink evenly, the first of which leads to a state beyond, where the
        Jacobian is J; infinite where the next two do not show that they do: they are halved on the way to a double root of f, which the
        second may not show beside what is fast, and go back and forth where it has none."""
        last, away, shrinks = first, first, 0.0
        for k in (1, 2):
            if not np.all(np.isfinite(J)):
                return math.inf
            step = interruptible(20.0 * float(len(J)) ** 3, np.linalg.lstsq, J, -self._slope(self.run.t, beyond) / size, LOW)[0]
            if (length := _rms(step)) <= rounding:
                break
            if not length <= SHRINK * last:
                return math.inf
            away, shrinks, last = away + length, length / last, length
            if k == 1:
                beyond = beyond + step * size
                J = jacobian_at(self.run, beyond) * size / size[:, None]
        return away + last * shrinks / (1.0 - shrinks)

    def _held_beside(self, J: Array, step: Array, h: float) -> bool:
        """Whether explicit steps of h alone keep the run so far from rest: the solution would be there a step later."""
        values, vectors = np.linalg.eig(J)
        if self.run.equations is not None or not float(np.max(np.abs(h * values))) > 1.0 or not np.all(np.real(h * values) < 1.0):
            return False
        try:
            ahead = np.real(vectors @ (np.exp(h * values) * np.linalg.solve(vectors, step.astype(np.complex128))))
        except np.linalg.LinAlgError:  # chains: no such sum
            return False
        return _rms(ahead) <= AHEAD

    def _is_fed(self, here: Array, J: Array, slope: Array, step: Array, h: float) -> bool:
        """Whether the errors of steps of h keep the run so far from rest, where the Jacobian is J and here the eigenvalues are others by
        little: error control lets a step err by a tolerance, and the oscillations that it cannot follow lose little more in one."""
        if self.farthest <= BESIDE:
            return False
        values, vectors = np.linalg.eig(J)
        sign = math.copysign(1.0, h)
        least, before = -float(np.max(sign * values.real)), -float(np.max(here.real))
        fast, loss = np.abs(h * values) > LONG, -np.expm1(h * values.real)
        if not least * abs(self.t1 - self.run.t) > 1.0:  # so near the end f has no time to show that it changes
            return False
        if not (fast.any() and np.all(loss[fast] <= LITTLE) and least > 0.0 and 0.5 * least <= before <= 2.0 * least):
            return False
        if not _rms(slope + J @ step) <= STRAIGHT * least * _rms(step):
            return False
        try:
            parts = vectors * np.linalg.solve(vectors, step.astype(np.complex128))
        except np.linalg.LinAlgError:  # chains: no such sum
            return False
        return _rms(np.real(parts[:, ~fast].sum(axis=1))) <= 1.0 and _rms(np.real(parts[:, fast] @ loss[fast])) <= LOST


def _attracts(values: Array, told: int) -> bool:
    """Whether so many of these eigenvalues can be told from 0, and all of them have real parts below it."""
    low = LOW * float(np.max(np.abs(values), initial=0.0))
    return int(np.count_nonzero(np.abs(values) > low)) == told and not np.any(values.real[np.abs(values) > low] >= -low)


def _swell(J: Array, columns: Array, slowest: float) -> tuple[float, float]:
    """How long exp(t J) makes the first column on its way to 0, and the most that any other does to a state, were it always in time with
    what turns: the integral of the length of exp(t J) of it. By squares of exp(t J), so that J may be far from normal."""
    norm = float(np.max(np.abs(J).sum(axis=1), initial=0.0))
    if not 0.0 < norm < math.inf or not 0.0 < slowest < math.inf:
        return _rms(columns[:, 0]), 0.0
    t, cubed = 0.125 / norm, float(len(J)) ** 3
    E, term = np.eye(len(J)), np.eye(len(J))
    for k in range(1, 8):
        term = interruptible(2.0 * cubed, np.matmul, term, J * (t / k))
        E = E + term
    most, ahead = _rms(columns[:, 0]), columns
    sums = t * _lengths(columns)
    while t < ENOUGH / slowest:
        ahead = E @ columns
        most = max(most, _rms(ahead[:, 0]))
        sums += t * _lengths(ahead)  # until 2 t
        E, t = interruptible(2.0 * cubed, np.matmul, E, E), 2.0 * t
    return most, float(np.max(sums[1:], initial=0.0))


def _lengths(columns: Array) -> Array:
    out: Array = np.sqrt(np.mean(columns * columns, axis=0))
    return out


def _rms(v: Array) -> float:
    return float(np.sqrt(np.mean(v * v))) if v.size else 0.0
