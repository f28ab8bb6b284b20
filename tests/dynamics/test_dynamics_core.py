"""Runs of second-order methods on structures and forces: energies, stability, error control, output, bad input.

Oracles: closed forms, NumPy's dense algebra (motion.py), SciPy. Every list of methods comes from the registry.
"""

import functools
import itertools
import math
import subprocess
import sys
from typing import Any

import mflow_core
import numpy as np
import pytest
import scipy.integrate
import scipy.sparse
from mflow_core import registry
from mflow_core.dynamics import structure
from mflow_core.events import events
from mflow_core.stepping import stepper
from mflow_core.stepping.energy.energies import Energies
from mflow_core.stepping.last_step import LastStep
from mflow_core.stepping.rows import Rows

from support.levels import LEVELS
from support.motion import ORACLES, Array, Oscillators, chain, settings
from support.places import environment_for
from support.small_cases import for_all

EPS = 2.0**-52
RECORDS = [record for record in registry.records() if "second_order" in record.flags]
CASES = [
    pytest.param(record, par, id=f"{record.name}-{'-'.join(f'{v:.3g}' for v in par.values())}")
    for record in RECORDS
    for par in settings(record)
]
KINETIC, POTENTIAL, LOAD, DAMPING, NUMERICAL, RESIDUAL = range(6)


def run_of(
    record: Any, problem: Any, x0: Any, v0: Any, dt: float = math.nan, parameters: dict[str, float] | None = None, **more: Any
) -> Any:
    record = registry.find(record) if isinstance(record, str) else record
    x, v = (np.array(a, dtype=float, ndmin=1) for a in (x0, v0))
    return stepper.Run(record, problem, x, 0.0, dt, parameters or {}, v0=v, **more)


def rows_of(run: Any, steps: int) -> Array:
    """(steps, 3, n): x, v and a after every step."""
    n = run.y.size
    out, t = np.empty((steps, 3 * n)), np.empty(steps)
    rows = Rows(out, t, every=1)
    assert run.fixed(steps, rows=rows) == 0
    assert rows.count == steps
    return out.reshape(steps, 3, n)


def oscillator(z: float = 0.0, omega: float = 1.0) -> Any:
    return structure.Structure(1, None, 2 * z * omega or None, omega**2)


# ---- structures ----------------------------------------------------------------------------------------------------------


def matrices(kind: str, n: int) -> tuple[Any, Any, Any]:
    """M, C and K whose sum is of this kind."""
    rng = np.random.default_rng(n)
    spread = rng.uniform(1, 2, n)
    springs = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    if kind == "diagonal":
        return spread, 0.1 * spread[::-1], rng.uniform(1, 3, n)
    if kind == "tridiagonal":
        return spread, 0.05 * springs, springs
    if kind == "mixed":
        return spread, 0.1, springs
    if kind == "mass":
        return np.eye(n) + 0.2 * springs, 0.1, springs
    if kind == "banded":
        far = np.eye(n, k=3) + np.eye(n, k=-3) + 0.5 * np.eye(n, k=-2)
        return spread, 0.05 * (springs + 3 * np.eye(n) - far), springs + 2.5 * np.eye(n) - far
    if kind == "sparse":
        far = np.eye(n)[rng.permutation(n)]
        return scipy.sparse.diags_array(spread), None, scipy.sparse.csr_array(springs + 3 * np.eye(n) + far + far.T)
    dense = rng.standard_normal((n, n)) / n
    dense = dense @ dense.T + np.diag(spread)
    return dense, 0.1 * dense, springs


def plain(a: Any, n: int) -> Array:
    if a is None:
        return np.zeros((n, n))
    a = a.toarray() if hasattr(a, "tocsr") else np.asarray(a, dtype=float)
    return a if a.ndim == 2 else np.diag(np.broadcast_to(a, n))


@pytest.mark.parametrize(("record", "par"), CASES)
@for_all(
    ("kind", "stored", "n"),
    [
        ("diagonal", "diagonal", 1),
        ("diagonal", "diagonal", 20),
        ("tridiagonal", "tridiagonal", 17),
        ("mixed", "tridiagonal", 5),
        ("mass", "tridiagonal", 30),
        ("banded", "banded", 24),
        ("dense", "dense", 2),
        ("dense", "dense", 19),
        ("sparse", "sparse", 210),
    ],
)
def test_structures_follow_the_formula(record: Any, par: dict[str, float], kind: str, stored: str, n: int) -> None:
    M, C, K = matrices(kind, n)
    phase = np.linspace(0, 3, n)
    problem = structure.Structure(n, M, C, K, lambda t: np.cos(t + phase))
    assert problem.kind == stored
    oracle = Oscillators(plain(M, n), plain(C, n), plain(K, n), lambda t: np.cos(t + phase))
    rng, h = np.random.default_rng(1), 0.2
    x, v = rng.standard_normal((2, n))
    a = oracle.accel(0.0, x, v)
    state, run = (x, v, a, a), run_of(record, problem, x, v, h, par)
    for k, got in enumerate(rows_of(run, 3)):
        state = ORACLES[record.name](oracle, k * h, state, h, par)
        for ours, want in zip(got, state, strict=False):
            np.testing.assert_allclose(ours, want, rtol=0, atol=1e-12 * max(1.0, np.abs(want).max()))


@pytest.mark.parametrize(
    "matrix", [np.diag([2.0, 3, 4, 5]) + np.diag([9.0, 8, 7], 1) + np.diag([9.0, 8, 7], -1), -2.0 * np.eye(4) + np.eye(4, k=1)]
)
def test_sums_that_are_not_positive_definite(matrix: Array) -> None:
    """Springs that push: the factors then need exchanges."""
    problem = structure.Structure(4, 1.0, None, -matrix)
    oracle = Oscillators(np.eye(4), np.zeros((4, 4)), -matrix)
    x, v = np.random.default_rng(0).standard_normal((2, 4))
    a = oracle.accel(0.0, x, v)
    got = rows_of(run_of("newmark", problem, x, v, 1.7), 1)[0]
    want = ORACLES["newmark"](oracle, 0.0, (x, v, a, a), 1.7, {"beta": 0.25, "gamma": 0.5})
    np.testing.assert_allclose(got, want[:3], rtol=1e-12)


def test_factors_once_and_loads_once_a_time() -> None:
    times: list[float] = []

    def load(t: float) -> Array:
        times.append(t)
        return np.ones(5)

    problem = structure.Structure(5, 1.0, None, chain(5).K, load)
    run = run_of("newmark", problem, np.zeros(5), np.zeros(5), 0.1)
    assert Energies(run).keep() == 0
    assert run.fixed(100) == 0
    assert problem.counters["nlu"] == 2  # the mass, for the first acceleration, and the sum
    assert len(times) == 101 == problem.counters["nload"]


def test_tables_are_linear_and_held() -> None:
    times, values = np.array([0.0, 0.5, 2.0]), np.array([[0.0, 1.0], [2.0, -1.0], [3.0, 3.0]])
    for pattern in (None, np.array([1.0, -2.0])):
        problem = structure.Structure(2, 1.0)
        problem.set_table(times, values if pattern is None else values[:, 0], pattern)
        given = values if pattern is None else np.outer(values[:, 0], pattern)
        for t in (-1.0, 0.0, 0.2, 0.5, 0.7, 1.9999, 2.0, 5.0, 0.1, 0.6):
            run = stepper.Run(registry.find("central_difference"), problem, np.zeros(2), t, 0.1, {}, v0=np.zeros(2))
            assert run.prepare() == 0
            np.testing.assert_allclose(run.vector(2), [np.interp(t, times, column) for column in given.T], rtol=1e-15, atol=1e-15)


DIGESTED = ["diagonal", "tridiagonal", "mass", "banded", "dense"]


@functools.cache
def digests(level: str) -> list[str]:
    """Of each of DIGESTED, by one process: MFLOW_ISA picks the level."""
    code = "import test_dynamics_core as t; print(*map(t.digest, t.DIGESTED))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env=environment_for(__file__, MFLOW_ISA=level))  # fmt: skip
    return out.stdout.split()


@pytest.mark.parametrize("level", [level for level in LEVELS if level != mflow_core.isa()])  # that of this process
@pytest.mark.parametrize("kind", DIGESTED)
def test_structures_have_the_same_bits_on_every_level(level: str, kind: str) -> None:
    assert digests(level)[DIGESTED.index(kind)] == digest(kind)


@functools.cache
def digest(kind: str) -> str:
    import hashlib

    digest = hashlib.sha256()
    for n in (3, 50, 1100) if kind != "dense" else (3, 50):
        M, C, K = matrices(kind, n)
        run = run_of(
            "newmark", structure.Structure(n, M, C, K, np.sin(np.arange(n))), np.cos(np.arange(n)), np.zeros(n), 0.25, {"gamma": 0.6}
        )
        if run.problem.symmetric:
            Energies(run).keep()
        digest.update(rows_of(run, 5).tobytes() + (Energies(run).now().tobytes() if run.problem.symmetric else b""))
    return digest.hexdigest()


# ---- what theory says of the methods ----------------------------------------------------------------------------------------


def test_central_differences_leapfrog_and_staggered_are_one_path() -> None:
    problem = chain(12, damping=0.0)
    x, v = np.random.default_rng(0).standard_normal((2, 12))
    paths = [rows_of(run_of(name, structure.Structure(12, np.diag(problem.M), None, problem.K, problem.load), x, v, 0.3), 500)
             for name in ("central_difference", "velocity_verlet", "leapfrog", "staggered")]  # fmt: skip
    for other in paths[1:]:
        np.testing.assert_allclose(other, paths[0], rtol=0, atol=500 * 8 * EPS * np.abs(paths[0]).max())


def test_central_difference_identities() -> None:
    """v = (x+ - x-)/(2 dt), a = (x+ - 2 x + x-)/dt^2, to rounding."""
    problem, h = chain(6), 0.2
    xva = rows_of(
        run_of("central_difference", structure.Structure(6, problem.M, problem.C, problem.K, problem.load), np.ones(6), np.zeros(6), h), 60
    )
    x, v, a = xva.transpose(1, 0, 2)
    np.testing.assert_allclose(v[1:-1], (x[2:] - x[:-2]) / (2 * h), rtol=0, atol=8 * EPS * np.abs(x).max() / h)
    np.testing.assert_allclose(a[1:-1], (x[2:] - 2 * x[1:-1] + x[:-2]) / h**2, rtol=0, atol=16 * EPS * np.abs(x).max() / h**2)


@pytest.mark.parametrize("beta", [0.0, 1 / 12, 1 / 6, 0.25])
@pytest.mark.parametrize("omega_dt", [0.1, 0.5, 1.5])
def test_period_error(beta: float, omega_dt: float) -> None:
    """T'/T = W/arccos(1 - (W^2/2)/(1 + beta W^2)): x after k steps is cos(k theta)."""
    theta = math.acos(1 - omega_dt**2 / 2 / (1 + beta * omega_dt**2))
    x = rows_of(run_of("newmark", oscillator(), 1.0, 0.0, omega_dt, {"beta": beta}), 400)[:, 0, 0]
    np.testing.assert_allclose(x, np.cos(theta * np.arange(1, 401)), rtol=0, atol=1e-12)


def limit_of(record: Any, par: dict[str, float], z: float) -> float:
    """The limit on omega dt by METHODS' closed forms; inf: none; 0: no stable step."""
    name, root = record.name, math.sqrt(1 + z * z)
    if name == "symplectic_euler":
        return 2 * root + (2 * z if par["damping"] == 1 else -2 * z)
    if name == "forward_euler_system":
        return 2 * z if z <= 1 else 2 * (z - math.sqrt(z * z - 1))
    if name == "constant_acceleration":
        return min(4 * z, 1 / z) if z else 0.0
    if name == "central_difference" or (name == "staggered" and par["damping"] == 0) or (name == "velocity_verlet" and z == 0):
        return 2.0
    if name == "staggered" and (par["damping"] == 1 or z == 0):
        return z + math.sqrt(z * z + 2) if par["damping"] == 1 else 2.0
    if name == "newmark":
        beta, gamma = par["beta"], par["gamma"]
        d = gamma / 2 - beta
        if gamma < 0.5:
            return math.nan
        return (z * (gamma - 0.5) + math.sqrt(d + z * z * (gamma - 0.5) ** 2)) / d if d > 0 else math.inf
    return math.inf if name in ("hht", "generalized_alpha") else math.nan


@pytest.mark.parametrize(("record", "par"), CASES)
@pytest.mark.parametrize("z", [0.0, 0.1, 0.9])
def test_stability_limit_against_what_happens(record: Any, par: dict[str, float], z: float) -> None:
    limit = limit_of(record, par, z)
    if math.isnan(limit):
        pytest.skip("no closed form")
    for omega_dt, stable in [(0.98 * limit, True), (1.02 * limit, False)] if 0 < limit < math.inf else [(50.0, limit > 0)]:
        run = run_of(record, oscillator(z), 1.0, 0.5, omega_dt if limit else 0.1, par)
        run.fixed(60_000)
        assert (np.abs(run.y[0]) < 1e3) == stable, omega_dt


def test_verlet_keeps_the_energy_of_an_oscillator() -> None:
    """Started with v = 0 the largest relative error is (omega dt)^2/4 and does not grow over 1000 periods."""
    h = 2 * math.pi / 63.0
    run = run_of("velocity_verlet", oscillator(), 1.0, 0.0, h)
    for _ in range(10):
        x, v, _ = rows_of(run, 6300)[:, :, 0].T
        error = np.abs((v**2 + x**2) - 1.0)
        assert error.max() == pytest.approx(h**2 / 4, rel=2e-3)


# ---- energies ------------------------------------------------------------------------------------------------------------


PLANE = [(0.25, 0.5), (0.0, 0.5), (1 / 6, 0.5), (1 / 12, 0.5), (0.3025, 0.6), (0.5, 0.7), (1.0, 1.0), (0.1, 0.45), (0.0, 0.6)]
LEDGERS = [("newmark", {"beta": b, "gamma": g}) for b, g in PLANE]
LEDGERS += [("staggered", {"damping": 0}), ("central_difference", {}), ("constant_acceleration", {})]


@pytest.mark.parametrize(("name", "par"), LEDGERS)
@for_all("kind", ["free", "damped", "loaded"])
@for_all("n", [1, 25])
def test_ledger_closes(name: str, par: dict[str, float], kind: str, n: int) -> None:
    """1e-14 of what has gone through the books, over 2000 steps."""
    M, C, K = matrices("tridiagonal", n)
    phase = np.linspace(0, 3, n)
    problem = structure.Structure(n, M, None if kind == "free" else C, K, (lambda t: np.cos(t + phase)) if kind == "loaded" else None)
    x, v = np.random.default_rng(n).standard_normal((2, n))
    run = run_of(name, problem, x, v, 0.05 if name != "constant_acceleration" else 0.002, par)
    assert Energies(run).keep() == 0
    start = Energies(run).now()
    np.testing.assert_allclose(start[:2], [v @ plain(M, n) @ v / 2, x @ plain(K, n) @ x / 2], rtol=1e-13)
    assert np.all(start[2:] == 0.0)
    book, t, y = np.empty((2000, 6)), np.empty(2000), np.empty((2000, 3 * n))
    assert run.fixed(2000, rows=Rows(y, t, every=1, energy=book)) == 0
    scale = np.abs(book[:, :5]).max()
    assert np.abs(book[:, RESIDUAL]).max() <= 1e-14 * scale
    if kind == "free":
        assert np.all(book[:, LOAD : DAMPING + 1] == 0.0)
    # The columns against sums of their own over the saved states.
    x, v, _ = y.reshape(2000, 3, n).transpose(1, 0, 2)
    np.testing.assert_allclose(book[:, KINETIC], np.einsum("ki,ij,kj->k", v, plain(M, n), v) / 2, rtol=1e-12)
    np.testing.assert_allclose(book[:, POTENTIAL], np.einsum("ki,ij,kj->k", x, plain(K, n), x) / 2, rtol=1e-12, atol=1e-300)


def test_numerical_dissipation_is_that_of_the_amplification() -> None:
    """One step of a free oscillator: what the formula books is the change of energy that Newmark's matrix makes."""
    for beta, gamma, h in itertools.product((0.1, 0.3, 0.6), (0.4, 0.5, 0.8), (0.1, 1.0)):
        run = run_of("newmark", oscillator(), 0.7, -0.4, h, {"beta": beta, "gamma": gamma})
        Energies(run).keep()
        assert run.fixed(1) == 0
        x = (0.7 - 0.4 * h - h * h * (0.5 - beta) * 0.7) / (1 + beta * h * h)
        v = -0.4 + h * (-(1 - gamma) * 0.7 - gamma * x)
        assert Energies(run).now()[NUMERICAL] == pytest.approx((x * x + v * v - 0.7**2 - 0.4**2) / 2, rel=1e-11, abs=1e-16)


def test_ledger_of_a_step_that_changes() -> None:
    """A shorter last step, and steps under error control."""
    problem = structure.Structure(3, 1.0, None, chain(3).K)
    run = run_of("newmark", problem, [1.0, 0.0, -1.0], np.zeros(3), 0.1, {"beta": 0.3, "gamma": 0.6})
    Energies(run).keep()
    for dt in (0.1, 0.03, 0.2):
        assert run.fixed(50, dt=dt) == 0
        assert abs(Energies(run).now()[RESIDUAL]) < 1e-14
    assert Energies(run).now()[NUMERICAL] < -0.01
    run = run_of("newmark", problem, [1.0, 0.0, -1.0], np.zeros(3), parameters={"beta": 1 / 6})
    run.control(np.array([1e-5]), np.array([1e-7]))
    Energies(run).keep()
    assert run.begin(10.0) == 0
    assert run.adaptive(10**6, 10.0) == 0
    assert run.t == 10.0
    assert abs(Energies(run).now()[RESIDUAL]) < 1e-13


@pytest.mark.parametrize(("record", "par"), CASES)
def test_methods_without_a_formula_say_so(record: Any, par: dict[str, float]) -> None:
    problem = structure.Structure(1, 1.0, 0.1, 1.0)
    run = run_of(record, problem, 1.0, 0.0, 0.1, par)
    Energies(run).keep()
    assert run.fixed(10) == 0
    book = Energies(run).now()
    ends = -0.1 * run.vector(1) - run.y  # M^-1 F there: a itself, or what alpha methods carry beside it
    carried = [run.vector(j) for j in range(2, record.sizes(par)["n_vec"])]
    balanced = any(np.max(np.abs(a - ends)) < 1e-14 for a in carried)
    # Generalized alpha at rho = 1 is balanced without a load alone, which is not looked at; with alpha = 0 nothing is shifted.
    shifted = par.get("load") == 1 and par.get("alpha") != 0.0
    silent = not balanced or shifted
    assert math.isnan(book[NUMERICAL]) == silent
    if not silent:
        assert abs(book[RESIDUAL]) < 2e-15
    assert book[DAMPING] > 0


# ---- output --------------------------------------------------------------------------------------------------------------


def test_rows_between_steps_agree_with_the_solution() -> None:
    problem, at = oscillator(), np.array([0.0333, 0.05, 0.51, 0.999, 1.0])
    run = run_of("newmark", problem, 1.0, 0.0, 0.01, {"beta": 1 / 12}, dense=True)
    y, t, book = np.empty((5, 3)), np.empty(5), np.empty((5, 6))
    Energies(run).keep()
    assert run.fixed(100, 1.0, rows=Rows(y, t, at=at, energy=book)) == 0
    assert t.tobytes() == at.tobytes()
    exact = np.array([np.cos(at), -np.sin(at), -np.cos(at)]).T
    assert np.abs(y - exact)[:, :2].max() < 1e-5
    assert np.abs(y - exact)[:, 2].max() < 5e-5
    np.testing.assert_allclose(book[:, KINETIC], y[:, 1] ** 2 / 2, rtol=1e-14)
    assert np.abs(book[:, RESIDUAL]).max() < 1e-15  # inside steps too
    assert np.abs(book[:, NUMERICAL]).max() <= (1 / 4 - 1 / 12) * 0.01**2 / 2  # what a'Ma/2 can change it by
    np.testing.assert_allclose(LastStep(run).state(0.995), [[math.cos(0.995)], [-math.sin(0.995)], [-math.cos(0.995)]], atol=5e-5)


def test_extension_meets_both_ends_with_their_slopes(second_method: Any) -> None:
    problem = structure.Structure(3, 1.0, None, chain(3).K)
    run = run_of(second_method, problem, [1.0, 0.0, 2.0], [0.0, 1.0, 0.0], 0.1, dense=True)
    own = second_method.sizes()["n_dense"]  # groups for x, v and a; else cubics for x and v
    powers = own // 3 or 3
    y, t, D = np.empty((4, 9)), np.empty(4), np.empty((4, own or 6, 3))
    x0, v0 = run.y, run.vector(1)
    assert run.fixed(4, rows=Rows(y, t, every=1, D=D)) == 0
    for k in range(4):
        x1, v1 = y[k, :3], y[k, 3:6]
        np.testing.assert_allclose(x0 + D[k, :powers].sum(axis=0), x1, atol=1e-14)
        np.testing.assert_allclose(v0 + D[k, powers : 2 * powers].sum(axis=0), v1, atol=1e-14)
        np.testing.assert_allclose(D[k, 0], 0.1 * v0, atol=1e-14)
        np.testing.assert_allclose(np.arange(1, powers + 1) @ D[k, :powers], 0.1 * v1, atol=1e-13)
        x0, v0 = x1, v1


def test_save_and_resume_same_bits(second_method: Any) -> None:
    def fresh() -> Any:
        return run_of(second_method, structure.Structure(4, 1.0, 0.1, chain(4).K, np.ones(4)), np.arange(4.0), np.ones(4), 0.1)

    run, other = fresh(), fresh()
    assert run.fixed(7) == 0
    saved = run.pack()
    other.unpack(saved)
    for one in (run, other):
        assert one.fixed(5) == 0
    assert other.t == run.t
    assert [run.vector(j).tobytes() for j in range(3)] == [other.vector(j).tobytes() for j in range(3)]


def test_terminal_event_moves_all_of_the_state() -> None:
    problem = oscillator()
    run = run_of("newmark", problem, 1.0, 0.0, 0.01, {"beta": 1 / 12}, dense=True)
    crossing = events.Events([(lambda t, x, v: x[0], 1, 0, 1, None)], (1,), motion=True)
    y, t = np.empty((300, 3)), np.empty(300)
    rows = Rows(y, t, every=1, events=crossing)
    assert run.fixed(300, rows=rows) == stepper.EVENT
    assert run.t == pytest.approx(math.pi / 2, abs=1e-7)
    np.testing.assert_allclose(y[rows.count - 1], [0.0, -1.0, 0.0], atol=1e-4)
    assert run.vector(1)[0] == y[rows.count - 1, 1]
    assert run.fixed(10) == 0  # from there on with an acceleration of its own
    assert run.y[0] == pytest.approx(math.cos(math.pi / 2 + 0.1), abs=1e-6)


# ---- bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mass": [1.0, -1.0]}, r"mass: expected a positive definite matrix, got one that is not \(row 1\)"),
        ({"mass": [1.0, 0.0]}, r"got one that is not \(row 1\); every degree of freedom needs a mass"),
        ({"mass": [[1.0, 2.0], [2.0, 1.0]]}, "mass: expected a positive definite matrix"),
        ({"mass": [[1.0, 0.5], [0.0, 1.0]]}, "mass: expected a symmetric matrix"),
        ({"mass": [1.0, 2.0, 3.0]}, r"mass: expected .* for 2 degrees of freedom, got shape \(3,\)"),
        ({"stiffness": np.ones((2, 3))}, r"stiffness: expected .*, got shape \(2, 3\)"),
        ({"damping": [1.0, math.nan]}, "damping: expected finite numbers, got an entry that is not"),
        ({"load": [1.0, 2.0, 3.0]}, r"load: expected .*, got shape \(3,\)"),
    ],
)
def test_structures_refuse_what_they_cannot_use(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        structure.Structure(2, **{"mass": None, **given})


def test_load_of_a_wrong_length() -> None:
    run = run_of("newmark", structure.Structure(3, 1.0, None, 1.0, lambda t: np.zeros(2)), np.zeros(3), np.zeros(3), 0.1)
    with pytest.raises(ValueError, match=r"load: expected a function that returns 3 numbers, .* got shape \(2,\)"):
        run.fixed(1)


def test_singular_effective_stiffness() -> None:
    """M + beta dt^2 K = 0: the run ends and names the method."""
    problem = structure.Structure(2, 1.0, None, [1.0, -4.0])
    run = run_of("newmark", problem, np.ones(2), np.zeros(2), 1.0)
    assert run.fixed(5) == stepper.SOLVE_FAILED
    assert run.k == 0
    assert problem.counters["singular"] == 1


def test_asymmetric_stiffness_has_no_ledger() -> None:
    problem = structure.Structure(2, 1.0, None, [[1.0, 0.3], [0.0, 1.0]])
    assert not problem.symmetric
    with pytest.raises(TypeError, match="energy: expected a problem that tells its energies"):
        Energies(run_of("newmark", problem, np.ones(2), np.zeros(2), 0.1)).keep()


def test_velocity_is_wanted() -> None:
    with pytest.raises(TypeError, match="v0: expected a C-contiguous float64 array of 2 numbers"):
        stepper.Run(registry.find("newmark"), structure.Structure(2), np.zeros(2), 0.0, 0.1)


def test_blow_up_keeps_the_last_good_step() -> None:
    run = run_of("central_difference", oscillator(), 1.0, 0.0, 3.0)
    assert run.fixed(10_000) == stepper.NON_FINITE
    assert 100 < run.k < 10_000
    assert np.all(np.isfinite([run.y, run.vector(1), run.vector(2)]))
