"""The residuals of `mflow.least_squares` and their Jacobian: checked, weighted, and differenced where none is given.

The core evaluates them and takes the differences (`mflow_core.fitting`); here is what decides over which steps, and what is trusted.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from mflow_core.fitting.callbacks import Calls
from mflow_core.fitting.fit import Fit
from mflow_core.fitting.prepared import THRESHOLDS
from mflow_core.problems.sparse import is_sparse
from numpy.typing import NDArray

from mflow.base.checks import Array, as_array, as_tuple, check_flags, dense_array, entry_words, operator_words, shown
from mflow.base.telling import tell
from mflow.derivatives.agreement import agreeing
from mflow.derivatives.differences import ASIDE, EACH, SOME, Digits, Scan, along, check_diff_step, digits_of, falls_aside, scans_of, tried
from mflow.derivatives.elsewhere import with_jacobian
from mflow.derivatives.far import far_length, moves_far, seen_lengths
from mflow.derivatives.remainder import GradientWarning, Verdict, jacobian_model, quick, said_of
from mflow.fitting.compiled import check_sigma, compiled_residuals
from mflow.fitting.scipys import coloured

__all__ = ["Residuals"]

EPS = 2.0**-52
# Relative: an error of residuals that rounding does not make. That of a cost (derivatives.differences.NOISY) is a thousand times smaller:
# a residual is the difference of a model and data, which may be much larger numbers, and their rounding is no noise.
NOISY = 1e-9
WILD = 0.3  # values that seem to be wrong by so much move faster than these differences see
COARSE = 0.3  # as FLOOR, where residuals are rounded to multiples, which tiny steps do not change
SMALL = 1e-3  # a parameter below it may be 0
UNKNOWN = Verdict("unknown", 0)
FAINT = 100.0  # times the rounding of the residuals: changes by less have hardly a digit
SHORTER = 1e-3  # of the usual lengths of differences, over which columns are looked at again;
LARGE = 1e3  # a parameter that may be so by an offset
FAR = 10.0  # lengths of differences
APART = 0.01  # relative: what they are apart by where they are others
FLOOR = THRESHOLDS["floor"]  # of its largest value so far: a number that has been large is not measured in tiny steps


class Residuals:
    """Residuals and their Jacobian: the functions that the core calls, and how it takes differences of them.

    digits : what the residuals carry, where that is less than float64. eps : the relative error of one. grain : the mean error of one that
    is rounded to multiples of a quantum, over sigma; 0 of others. blur : the share of them in the plane of J's columns that differences
    cannot tell from 0. verdict : on a Jacobian that was given. least : of each step of differences, or None.
    core : the run (`mflow_core.fitting.fit.Fit`), once m is known.
    """

    def __init__(
        self, fun: Any, jac: Any, x0: Array, args: Any, kwargs: dict[str, Any], sigma: Any, diff_step: Any, check: Any, m: Any = None
    ) -> None:  # fmt: skip
        fun, jac = with_jacobian(fun, jac)
        self.n = x0.size
        self.sigma = check_sigma(sigma)
        self.compiled = compiled_residuals(fun, jac, x0.size, m, self.sigma)
        if self.compiled is None and not callable(fun):
            raise TypeError(f"fun: expected a function of x that returns residuals, got {type(fun).__name__}")
        if hasattr(jac, "matvec"):
            raise ValueError(f"{operator_words('jac')}; pass a function that returns them")
        given = callable(jac) or (self.compiled is not None and self.compiled.has_jacobian)
        if not given and not (isinstance(jac, str) and jac in ("2-point", "3-point")):
            names = '"2-point", "3-point", "jax", "autograd", "torch" or "cs"'
            constant = "; a constant J is given as jac=lambda *args: J" if isinstance(jac, np.ndarray) or is_sparse(jac) else ""
            raise ValueError(f"jac: expected a function, {names}, got {shown(jac)}{constant}")
        if check is not True:
            check_flags(check_gradient=check)
        self.checks = bool(check) and not (self.compiled is not None and self.compiled.trusted)
        self.args, self.kwargs = as_tuple(args, fun), kwargs
        self.differences = not given
        self.central = jac == "3-point"
        self.steps = check_diff_step(diff_step, self.n)
        if self.steps is not None and not self.differences:
            raise ValueError(f"diff_step: expected None beside a Jacobian, which needs no differences, got {shown(diff_step)}; omit it")
        self.given = self.steps is not None
        self.calls = self._calls(fun, jac) if self.compiled is None else None

    m = -1  # until it is known
    eps, grain, floor = EPS, 0.0, FLOOR
    digits: Digits | None = None
    least: Array | None = None
    verdict, where, tried = UNKNOWN, "x0", False
    fewer, sparsity = False, None  # whether m may be below n, and where J may have entries
    names: Any = None  # a function that gives the names of the parameters, where they have some
    returned = False  # whether longer differences have been given up again
    shorter, compared = False, b""  # whether differences are taken over lengths below the usual ones; where that was asked last,
    looked = 0  # and the calls for it
    lost = ""  # what is not finite in the last value of jac, in words
    core: Any
    x0: Array

    def _calls(self, fun: Any, jac: Any) -> Calls:
        """The functions as the core calls them."""
        return Calls(fun, jac, self.args, self.kwargs, self.n, *self._checkers(), sigma=self.sigma)

    def _checkers(self) -> tuple[Callable[[Any], Array], Callable[[Any], Array]]:
        """What the core asks about values that are no plain vectors. They do not keep these residuals alive, whose run holds them: a fit's
        memory is free as soon as nobody refers to it."""
        kind, me = type(self), weakref.proxy(self)
        return partial(kind._checked, me), partial(kind._checked_jacobian, me)

    def start(self, x0: Array, loss: Any) -> Any:
        """The run from x0, where the residuals have been evaluated; the core's `Fit`."""
        self.x0 = x0
        if self.compiled is not None:
            self.m = self.compiled.m
            self.core = Fit(self.compiled.functions, x0, self.m, None, loss)
        elif self.calls is not None:
            f = self.calls.first(x0)
            self.m = f.size
            self.core = Fit(self.calls, x0, self.m, f, loss)
        self._check_count()
        if self.sparsity is not None:
            self.core.pattern(*coloured(self.sparsity, self.m, self.n))
        self.tell_core()
        return self.core

    @property
    def from_0(self) -> NDArray[np.bool_]:
        """Parameters that say nothing of their size."""
        out: NDArray[np.bool_] = self.x0 == 0.0
        return out

    def tell_core(self) -> None:
        """How differences are taken from now on."""
        if self.differences:
            usual = EPS ** (1 / 3) if self.central else EPS**0.5
            more = self.steps is None and not (self.central and not self.floor)
            steps = usual if self.steps is None else self.steps
            self.core.differences(self.central, steps, self.floor, self.blur, more)
            if self.least is not None:
                self.core.shortest(self.least)
        self.core.carries(self.eps, self.grain)

    @property
    def blur(self) -> float:
        """The share of r in the plane of J's columns that differences cannot tell from 0; the core's where there is a grain."""
        return float(self.eps ** (2 / 3) if self.central else self.eps**0.5)

    def _checked(self, raw: Any) -> Array:
        """The residuals that fun returned, as float64. Raises TypeError or ValueError."""
        r = as_array(raw, "fun")
        if r.dtype.kind not in "biuf":
            fix = "; stack real and imaginary parts, as np.concatenate([r.real, r.imag])" if r.dtype.kind == "c" else ""
            raise TypeError(f"fun returned shape {r.shape} and dtype {r.dtype}: expected a vector of real residuals{fix}")
        if r.ndim > 1:
            raise ValueError(f"fun returned shape {r.shape}: expected a vector of residuals")
        if self.m < 0:
            self.m = r.size
            self._check_count()
            if self.sigma is not None and self.sigma.size not in (1, self.m):
                raise ValueError(f"sigma: expected {self.m} numbers, one for each residual, got {self.sigma.size}")
        if r.size != self.m:
            raise ValueError(f"fun returned {r.size} residuals: expected {self.m}, as in its first call")
        return np.array(r, dtype=np.float64).ravel()

    def take_pattern(self, jac_sparsity: Any) -> None:
        """Differences by groups of columns. Raises ValueError beside a Jacobian, which needs none."""
        if not self.differences:
            text = f"expected None beside a Jacobian, which needs no differences, got {type(jac_sparsity).__name__}"
            raise ValueError(f"jac_sparsity: {text}; omit it")
        self.sparsity = jac_sparsity

    def _check_count(self) -> None:
        if self.m < 1:
            raise ValueError("fun returned no residuals: expected at least one")
        if self.m < self.n and not self.fewer:
            raise ValueError(f"method: 'lm' takes at least as many residuals as parameters, {self.n}, got {self.m}; omit method")

    def _checked_jacobian(self, raw: Any) -> Array:
        J = np.array(dense_array(raw, "jac"))
        self.lost = entry_words(J) or self.lost
        if J.shape != (self.m, self.n) and not (J.ndim < 3 and J.size == self.m * self.n and 1 in (self.m, self.n)):
            raise ValueError(f"jac returned shape {J.shape}: expected ({self.m}, {self.n}), row i the derivatives of residual i")
        return np.ascontiguousarray(J.reshape(self.m, self.n), dtype=np.float64)

    def _raw(self, x: Array) -> Any:
        """The residuals as fun returns them, after a check."""
        if self.calls is None:
            return self.core.residuals(x)
        raw = self.calls.raw(x)
        self._checked(raw)
        return raw

    def _inside(self, x: Array) -> Any:
        """Likewise within the bounds; NaN outside, where fun may not be asked."""
        return self._raw(x) if self.fits(x) else np.full(self.m, np.nan)

    def fits(self, x: Array) -> bool:
        """Whether x is within the bounds."""
        lower, upper, _ = self.core.region
        return bool(np.all((x >= lower) & (x <= upper)))

    def weighted(self, raw: Any) -> Array:
        """Residuals over sigma, as float64."""
        out: Array = np.asarray(raw, dtype=np.float64) if self.calls is None else self.calls.weighted(raw)
        return out

    def at(self, x: Array) -> Array:
        """The residuals there, not counted."""
        return self.weighted(self._raw(x))

    def gradient(self, x: Array, loss: Any) -> Array:
        """The gradient of the cost there, not counted; of its loss, as in `start`; by differences that are at least shares of `unit`."""
        run = self.core
        try:
            core = self.start(np.ascontiguousarray(x), loss)
            if self.differences and not self.given:
                least = (EPS ** (1 / 3) if self.central else EPS**0.5) * self.unit(x)
                core.shortest(least if self.least is None else np.maximum(least, self.least))
            core.begin(self.calls is not None)
            return np.asarray(core.J.T @ core.r)
        finally:
            self.core = run

    def _kept(self, x: Array, seen: list[Any]) -> Array:
        """Likewise, with what fun returned added to a list, as sigma hides its digits."""
        raw = self._inside(x)
        seen.append(raw)
        return self.weighted(raw)

    def begin(self) -> int:
        """The first Jacobian, and what it tells of the functions. The core's code of the start; 0: it is sound."""
        if self.differences and self.calls is not None:
            self.calls.seen = []
        code: int = self.core.begin(self.calls is not None)
        if code == 0 and self.differences:
            code = self._first_differences() or (self.renew() if self.shortens() else 0) or self._still_rows() or self._faint_columns()
        elif code == 0 and self.checks:
            self._check_jacobian()
        if code == 0 and self.sparsity is not None and self.checks:
            self._judge(self._compared([]))
        return code

    def _first_differences(self) -> int:
        """What the residuals carry, and longer differences where that is little."""
        seen = self._seen()
        if not seen:
            return 0
        self._take(self._digits(self.core.x, seen))
        if self.digits is None:
            return 0
        if not self.given:
            self._lengthen(self.digits.step)
        return self.renew()

    def _still_rows(self) -> int:
        """Residuals that no parameter moves over these steps though longer ones do, beside others that move: a part of them carries fewer
        digits, as where a model in float32 stands above a penalty in float64. Longer differences then, which show both."""
        if self.given or self.steps is not None or not 0 < self.core.still_rows < self.m:
            return 0
        x, f, still = self.core.x, self.core.f, ~self.core.J.any(axis=1)
        raw = tried(self._inside, x + ASIDE * self._scale(x) * along(self.n))
        aside = f if raw is None else self.weighted(raw)
        if np.any(still & np.isfinite(aside) & (aside != f)) and self._confirm(x, np.arange(self.n), NOISY):
            return self.renew()
        return 0

    def _faint_columns(self) -> int:
        """Columns of parameters at 0 that are rounding and truncation, as where residuals are even in them: longer differences where these
        show slopes, and steps that change such a parameter by about 1 at first, where its column would send it anywhere."""
        if self.given or 0.0 not in self.x0.tolist():
            return 0
        from_0, least = self.from_0, min(norm for norm, at in zip(self.core.norms.tolist(), self.x0.tolist(), strict=True) if at == 0.0)
        if self.steps is None and least * EPS**0.5 > FAINT * self.eps * self.core.measures[5]:  # the shortest lengths at 0
            return 0
        for _ in range(2):
            norms, size = self.core.norms, self.core.measures[5]
            faint = np.flatnonzero(from_0 & (norms > 0.0) & (norms * np.abs(self.lengths(self.core.x)) <= FAINT * self.eps * size))
            if not faint.size:
                return 0
            if self._confirm(self.core.x, faint):
                code = self.renew()
                if code:
                    return code
                continue
            self.core.widen(faint, size)
            return 0
        return 0

    def _seen(self) -> list[Any]:
        """What fun returned at the first Jacobian's points; nothing where it carries all digits."""
        if self.calls is not None and self.calls.carries_all_digits():
            self.calls.seen = None
            return []
        first = [self.core.f] if self.sigma is None else []
        if self.calls is None:
            x = self.core.x
            lengths = self.lengths(x)
            return [*first, *(self._raw(x + lengths * (np.arange(self.n) == j)) for j in range(min(self.n, EACH)))]
        seen, self.calls.seen = self.calls.seen or [], None
        return [*first, *seen] if seen and not self.calls.model else seen

    def _take(self, digits: Digits | None) -> None:
        """What the residuals carry is known."""
        self.digits = digits
        if digits is None:
            self.eps, self.grain = (EPS, 0.0) if self.grain else (self.eps, 0.0)
        else:
            self.eps = max(self.eps, digits.eps)
            sigma = 1.0 if self.sigma is None else float(np.min(self.sigma))
            self.grain = digits.quantum / (12.0**0.5 * sigma)
            self.floor = COARSE if digits.quantum else self.floor
        if self.calls is not None:
            self.calls.watch = partial(Residuals._look_for_finer, weakref.proxy(self)) if self.grain else None
        self.tell_core()

    def _look_for_finer(self, raw: Any) -> None:
        """Residuals that are no multiples of what those before were are rounded to finer ones, or not at all."""
        if self.digits is not None and self.digits.quantum and (finer := self.digits.after(raw)) is not self.digits:
            self._take(finer)

    def _check_jacobian(self) -> None:
        """Whether the Jacobian that was given is that of the residuals at x0."""
        seen: list[Any] = []
        self.verdict = self._compared(seen)
        self._take(digits_of(seen))
        if self.digits is not None:
            self.core.look()
        self._judge(self.verdict)

    def _judge(self, verdict: Verdict) -> None:
        self.verdict = verdict
        if self.wrong:
            tell(f"least_squares: {self.wrong}", GradientWarning)

    def check_again(self) -> None:
        """Compares a Jacobian that was right at x0 with the residuals where the run ended, so that the end is theirs."""
        if self.verdict.kind != "right":
            return
        later = self._compared([])
        count = self.verdict.ncheck + later.ncheck
        self.verdict = (later if later.kind == "wrong" else self.verdict)._replace(ncheck=count)
        if later.kind == "wrong":
            self.where = "x"
            tell(f"least_squares: {self.wrong}", GradientWarning)

    def _compared(self, seen: list[Any]) -> Verdict:
        """The verdict on the Jacobian at x, by points within the bounds along a direction of parameters that move."""
        x, J, f = self.core.x, self.core.J, self.core.f
        if self.core.loss_weights is not None:
            with np.errstate(all="ignore"):
                J = J / self.core.loss_weights[:, None]
            if not np.isfinite(J).all():  # a loss has taken all weight from a residual
                return Verdict("unknown", 0)
        held = self.core.region[2]
        move = np.where(held, 0.0, np.maximum(1.0, np.abs(x)) * along(self.n))
        return quick(jacobian_model(lambda at: self._kept(at, seen), x, f, J), move if held.any() else None)

    def renew(self) -> int:
        """The Jacobian anew, by other differences."""
        self.tell_core()
        code: int = self.core.renew()
        return code

    @property
    def wrong(self) -> str:
        """What is wrong with the Jacobian; empty where nothing is known to be."""
        if self.verdict.kind != "wrong":
            return ""
        text = f"{said_of(self.verdict, 'Jacobian', 'residuals', self.where)} (residual {self.verdict.entry})"
        return f"{text}; " + ("does jac_sparsity miss an entry?" if self.sparsity is not None else "mflow.check_jacobian names the entry")

    # ---- differences ----------------------------------------------------------------------------------------------------------------

    def shortens(self, x0: Array | None = None) -> bool:
        """Whether columns of differences are others over shorter lengths, as beside an offset, which are then taken; one evaluation where
        they are not, and none where x is not large and no usual length is long beside the way from x0."""
        if not self.differences or self.given or self.digits is not None or self.steps is not None or self.calls is None:
            return False
        core = self.core
        if core.stale or not core.is_beside(x0, FAR, LARGE):
            return False
        x = core.x
        at = x.tobytes()
        if at == self.compared:
            return False
        self.compared = at
        self.looked += 1
        return tried(lambda share: core.bends(along(self.n), share, APART), SHORTER) is True and self._take_shorter(x, core.region[2])

    def _changes(self, x: Array, step: Array) -> Array:
        """Of the residuals along a step, for the step that rounding makes of it."""
        self.looked += 1
        found = tried(self._inside, x + step)
        return np.full(self.m, np.nan) if found is None else self.weighted(found) - self.core.f

    def _agreeing(self, x: Array, held: NDArray[np.bool_]) -> Array:
        """Lengths of central differences that agree with shorter ones."""
        found: Array = EPS ** (1 / 3) * self._scale(x)
        noise = 8.0 * self.eps * float(np.linalg.norm(self.core.f))
        for j in np.flatnonzero(~held):
            unit = 1.0 * (np.arange(self.n) == j)

            def slope(h: float, unit: Array = unit) -> Array:
                return np.asarray((self._changes(x, h * unit) - self._changes(x, -h * unit)) / (2.0 * h))

            found[j] = agreeing(slope, float(found[j]), abs(float(x[j])), SHORTER, rounding=lambda h: noise / h).length
        return found

    def _take_shorter(self, x: Array, held: NDArray[np.bool_]) -> bool:
        """Central differences over these lengths, where some column has others than the usual ones."""
        usual, found = EPS ** (1 / 3) * self._scale(x), self._agreeing(x, held)
        if np.array_equal(found, usual):
            return False
        self.steps, self.central, self.shorter = found / self._scale(x), True, True
        return True

    def zeros(self, x: Array) -> bool:
        """Columns of differences have become 0: whether shorter ones or longer ones show slopes, which are then taken."""
        if self.shortens():
            return self.renew() == 0
        some = np.array(self.core.seen_zeros(), dtype=int)
        far = self._far(x, some)
        changed = far.size < some.size and self._confirm(x, np.setdiff1d(some, far))
        if not (changed or far.size) or self.renew():
            return False
        if far.size:  # the units so far are those of rounding
            self.core.again()
        return True

    def _far(self, x: Array, some: NDArray[Any]) -> NDArray[Any]:
        """Of these parameters, unless a slope has moved them, those with slopes below the residuals' rounding; over longer lengths then."""
        size = max(float(np.max(np.abs(self.core.f))), float(np.max(self.core.norms * np.abs(x))))
        lengths = np.zeros(self.n)
        for j in () if self.given else some[(x == self.x0)[some] | self.from_0[some]][:EACH]:
            move = 1.0 * (np.arange(self.n) == j)
            lengths[j] = far_length(lambda h, move=move: self._changes(x, h * move), max(1.0, abs(float(x[j]))), size)  # type: ignore[misc]
        found = np.flatnonzero(lengths)
        if found.size:
            self.central, self.least = True, np.maximum(lengths, 0.0 if self.least is None else self.least)
            self.tell_core()
        return found

    def moves_far(self, x: Array, some: list[int]) -> bool:
        """Whether residuals are others far from x where these parameters move together."""
        return moves_far(self.at, x, self.at(x), np.isin(np.arange(self.n), some), self.fits)

    def _lengthen(self, step: float) -> None:
        self.steps, self.central = np.full(self.n, step), True

    def returns(self) -> bool:
        """Whether differences that were made longer, as they vanished, no longer do so over the usual lengths, which are then taken again,
        once: longer ones are less exact."""
        if not self.differences or self.steps is None or self.given or self.shorter or self.returned or self.eps > NOISY:
            return False
        before, self.returned = (self.steps, self.least), True
        self.steps, self.least = None, np.zeros(self.n)
        if self.renew() == 0 and np.all((self.core.norms > 0.0) | self.core.region[2]):
            return True
        self.steps, self.least = before
        self.renew()
        return False

    def refine(self) -> bool:
        """Central differences from now on, and then over steps as short as x itself; whether there was something left to refine."""
        if not self.differences or self.steps is not None or (self.central and not self.floor):
            return False
        self.central, self.floor = True, 0.0 if self.central else self.floor
        self.compared = b""  # lengths are others
        return True

    def sharp_jacobian(self, x: Array) -> tuple[Array, Array]:
        """(the Jacobian by central differences, unless the user's steps or longer ones are taken, and their lengths); not counted. Where it
        is not the run's own, which shorter forward differences have made, its lengths are those that agree with shorter ones."""
        if self.central or self.steps is not None:
            return self.core.jacobian(x), np.abs(self.lengths(x))
        try:
            scale, own = self._scale(x), self.core.J if self.core.loss_weights is None else self.core.J / self.core.loss_weights[:, None]
            self.core.differences(True, EPS ** (1 / 3), self.floor, self.blur, False)
            J, h = self.core.jacobian(x), EPS ** (1 / 3) * scale
            if not self.core.stale and np.any(np.linalg.norm(J - own, axis=0) > APART * np.linalg.norm(own, axis=0)):
                h = self._agreeing(x, self.core.region[2])
                self.core.differences(True, h / scale, self.floor, self.blur, False)
                J = self.core.jacobian(x)
            return J, h
        finally:
            self.tell_core()

    def _scale(self, x: Array) -> Array:
        scale = np.maximum(np.abs(x), self.floor * self.core.sizes)
        return np.where(scale > 0.0, scale, 1.0)

    def lengths(self, x: Array) -> Array:
        """Steps of eps^(1/2) or eps^(1/3) times |x_j|, away from 0."""
        relative = self.steps if self.steps is not None else EPS ** (1 / 3) if self.central else EPS**0.5
        out: Array = np.maximum(relative * self._scale(x), 0.0 if self.least is None else self.least) * np.where(x < 0, -1.0, 1.0)
        return out

    def _digits(self, x: Array, seen: list[Any], some: int = SOME) -> Digits | None:
        """Where residuals have few digits, one evaluation more, as short numbers x may be the reason. some: as in `digits_of`."""
        if digits_of(seen, some) is None:
            return None
        aside = tried(self._inside, x + ASIDE * self._scale(x) * along(self.n))
        return None if aside is None else digits_of([*seen, aside], some)

    def scans(self, x: Array, some: Any) -> list[tuple[Scan, float]]:
        """Longer differences from x, and the unit of their steps, as `scans_of` has them."""
        model, from_0 = self.calls is not None and self.calls.model, self.from_0
        hides = lambda move: model and not np.any(self.at(x + move) != self.core.f)  # noqa: E731 - as the data are larger by far
        return scans_of(self._inside, x, self._raw(x), self._scale(x), some, self.eps, lambda j, noise: from_0[j] and noise > NOISY, hides)

    def longer(self, x: Array, noise: float = 0.0) -> bool:
        """Whether longer differences are tried, once, as noise may hide in shorter ones. noise: that of residuals which is none."""
        if not self.differences or self.given or self.tried:
            return False
        self.tried = True
        return self._confirm(x, np.arange(self.n), noise)

    def unit(self, x: Array) -> Array:
        """Of each parameter: its size, or 1 where it is small."""
        return np.where(np.abs(x) < SMALL, 1.0, np.abs(x))

    def rises(self, x: Array, cost: float, some: Any) -> bool:
        """Whether half the sum of squares is larger on both sides of x, in each of some parameters."""
        moves = [h * self.unit(x)[j] * (np.arange(self.n) == j) for j in some for h in (1e-3, -1e-3, 1e-4, -1e-4)]
        return all(0.5 * float(r @ r) > cost for r in (self.at(x + move) for move in moves if self.fits(x + move)))

    def aside(self, x: Array, move: Array, cost_of: Callable[[Array], float], cost: float) -> tuple[bool, bool, bool]:
        """(whether residuals are seen to change along `move`, or may do so where nothing could be asked; whether the cost falls along it on
        both sides of x, or on the one that bounds leave; whether it is seen to rise)."""
        _, _, _, rounding, _, size = self.core.measures
        here, seen, costs, noise = self.at(x), [], [], 8.0 * self.eps * cost + 0.01 * rounding * size  # that of a model that is larger, too

        def value(y: Array) -> float:
            r = self.at(y)
            seen.append(not np.array_equal(r, here))
            costs.append(cost_of(r))
            return costs[-1]

        falls, count = falls_aside(value, x, move, cost, noise, self.fits)
        return any(seen) or count != len(seen) or not count, falls, not all(one <= cost + noise for one in costs)

    def along_one(self, x: Array, j: int, cost_of: Callable[[Array], float], cost: float) -> tuple[bool, bool]:
        """The same in one parameter, by shares of itself; where the cost neither falls nor rises by more than rounding hides, of 1."""
        own, changes, falls = float(self._scale(x)[j]), False, False
        for unit in (own, 1.0) if own < 1.0 else (own,):
            seen, falls, rises = self.aside(x, unit * (np.arange(self.n) == j), cost_of, cost)
            changes = changes or seen
            if falls or rises:
                break
        return changes, falls

    def look_closer(self, x: Array) -> None:
        """What the residuals carry, where differences over the steps that were given lead nowhere."""
        if self.given and self.digits is None:
            self._take(self._digits(x, [raw for one, _ in self.scans(x, np.arange(self.n)) for raw in one.seen], 1))

    def _confirm(self, x: Array, zero: Any, noise: float = 0.0) -> bool:
        """Whether columns, of zeros or in doubt, have slopes over longer steps, which are then taken for all."""
        if self.shorter:
            return False
        if np.array_equal(x, self.core.x) and self.shortens():
            return True
        scanned = self.scans(x, zero)
        sloped = [one.kind == "slope" and one.noise < WILD for one, _ in scanned]
        slopes = [pair for pair, is_one in zip(scanned, sloped, strict=True) if is_one]
        if not slopes or self.given or min(one.noise for one, _ in slopes) < noise:  # noise is in the residuals whatever moves
            return False
        if self.digits is None:
            seen = [raw for one, _ in scanned for raw in one.seen]
            self._take(self._digits(x, seen, 1))  # differences that vanish tell of short numbers, too
        step = max(one.step for one, _ in slopes)
        if self.digits is not None:
            step, self.eps = max(step, self.digits.step), max(self.eps, self.digits.eps)
        lengths = np.zeros(self.n)
        if len(scanned) == len(zero):
            lengths[zero] = [one.step * unit if is_one else 0.0 for (one, unit), is_one in zip(scanned, sloped, strict=True)]
        if self.calls is not None and self.calls.model:  # whose changes the rounding of the data may hide
            here = self.at(x)
            least = FAINT * self.eps * float(np.max(np.abs(here), initial=0.0))
            lengths = seen_lengths(lambda step: self.weighted(self._inside(x + step)) - here, lengths, self.unit(x), least)
        if self.steps is not None and step <= self.steps.max():
            step = float(self.steps.max())
            if not np.any(lengths > 2.0 * np.abs(self.lengths(x))):
                return False
        self.eps = max([self.eps, *(one.noise for one, _ in slopes)])
        self._lengthen(step)
        self.least = np.maximum(lengths, 0.0 if self.least is None else self.least)
        return True

    def note(self) -> str:
        """What is to be said of the differences in a result's message."""
        if self.differences and self.given and self.digits is not None:
            return f"; the residuals carry {self.digits.text}: diff_step={self.digits.step:.2g} would suit them"
        if not self.differences or self.given or self.steps is None:
            return ""
        if self.shorter:
            return f"; differences are taken over {self.steps.min():.2g} of x, as the residuals change within longer ones"
        reason = "differences vanish over shorter ones" if self.digits is None else f"the residuals carry {self.digits.text}"
        return f"; differences are taken over {self.steps.max():.2g} of x, as {reason}"
