"""Signals are looked at inside long factorizations, long calls of LAPACK and long joins, and what was computed is kept."""

from __future__ import annotations

import copy
import ctypes
import functools
import os
import pickle
import signal
import threading
from typing import Any

import numpy as np
import pytest
from mflow_core import registry
from mflow_core.solvers.band_lu import BandLU

import mflow
from mflow.base import pace
from mflow.base.pace import by_rows, interruptible, joined
from mflow.base.result import IVPResult, pending, put_later
from mflow.nonlinear import Newton
from mflow.solvers import mass
from solvers.test_linalg import INT, at, table

POLL = ctypes.CFUNCTYPE(INT)
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture
def polled() -> Any:
    """(table of the active level, the list that each look at signals grows); `answers` says what the looks return, 0 beyond."""
    lin = table(registry.LEVEL)
    before, looks, answers = lin.poll, [], {}

    def look() -> int:
        looks.append(1)
        return answers.get(len(looks), 0)

    made = POLL(look)
    lin.poll = ctypes.cast(made, ctypes.c_void_p)
    yield lin, looks, answers
    lin.poll = before


def test_a_long_factorization_looks_at_signals_by_its_work(polled: Any) -> None:
    lin, looks, _ = polled
    assert lin.poll
    rng = np.random.default_rng(0)
    counts = []
    for n in (40, 400, 800):
        a, pivots = rng.standard_normal((n, n)) + n * np.eye(n), np.zeros(n, dtype=np.int32)
        looks.clear()
        assert lin.lu_factor(n, at(a), at(pivots)) == 0
        counts.append(len(looks))
    assert counts == [0, 400**3 // 3 // 16_000_000, 800**3 // 3 // 16_000_000]
    n, k = 1000, 200
    band, pivots = np.zeros((n, 3 * k + 1)), np.zeros(n, dtype=np.int32)
    band[:, k] = 1.0
    looks.clear()
    assert lin.band_factor(n, k, k, at(band), at(pivots)) == 0
    assert len(looks) == 5  # one for each 16 million multiplications of 80 million


def test_what_a_look_returns_ends_the_factorization(polled: Any) -> None:
    lin, looks, answers = polled
    n, answers[2] = 800, -7
    a, pivots = np.eye(n), np.zeros(n, dtype=np.int32)
    assert lin.lu_factor(n, at(a), at(pivots)) == -7
    assert len(looks) == 2


@pytest.mark.parametrize("linear_solver", ["dense", "banded"])
def test_a_long_look_at_an_implicit_step_looks_at_signals(polled: Any, linear_solver: Any) -> None:
    """Fixed steps ask whether I - h J is positive definite, by half a factorization, before they factor it."""
    _, looks, answers = polled
    n, k = (500, 499) if linear_solver == "dense" else (1000, 200)
    band = np.maximum(0.0, 1.0 - np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / k)  # positive definite, not dominant
    given: dict[str, Any] = {} if linear_solver == "dense" else {"lband": k, "uband": k}
    given |= {"solver": Newton(linear_solver), "jac": lambda t, y: -band}

    def run() -> Any:
        looks.clear()
        return mflow.solve_ivp(lambda t, y: -(band @ y), (0, 0.1), np.ones(n), "backward_euler", dt=0.1, **given)

    run()
    whole = n**3 // 3 // 16_000_000 if linear_solver == "dense" else 5
    half = n**3 // 6 // 16_000_000 if linear_solver == "dense" else 1
    assert looks
    assert len(looks) % (whole + half) == 0
    answers[1] = -7
    assert run().reason != "finished"
    assert len(looks) == 1


@posix
def test_handlers_run_while_a_matrix_is_factored() -> None:
    """The timer ticks many times in one call of compiled code; without a look at signals its handler would run once, after it."""
    n, k = 2500, 300
    rows = np.repeat(np.arange(n), 2 * k + 1)
    columns = (rows.reshape(n, -1) + np.arange(-k, k + 1)).ravel()
    good = (columns >= 0) & (columns < n)
    indptr = np.searchsorted(rows[good], np.arange(n + 1))
    values = np.where(rows[good] == columns[good], 2.0 * k, 1.0)
    lu, ticks = BandLU(np.arange(n), k, k), [0]

    def tick(*_: Any) -> None:
        ticks[0] += 1

    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        lu.factor(indptr, columns[good], values)
        inside = ticks[0]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert inside >= 4


def test_looks_at_signals_are_as_close_as_pieces() -> None:
    assert pace.LOOK <= pace.SECONDS


@posix
def test_a_call_of_lapack_is_left_when_ctrl_c_comes() -> None:
    release = threading.Event()

    def work() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        release.wait(20.0)

    with pytest.raises(KeyboardInterrupt):
        interruptible(1e12, work)
    release.set()


CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "null space of a mass matrix": ("svd", {"mass": [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]]}),
    "large mass matrix": ("qr", {"mass": [[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 2.0]]}),
    "consistent start": ("svd", {"mass": [1.0, 1.0, 0.0]}),
    "state of rest": ("svd", {"until": "steady"}),
    "rates at rest": ("eigvals", {"until": "steady"}),
}


@posix
@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c_in_a_call_of_lapack_keeps_what_there_is(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    routine, given = CALLS[name]
    release, beside = threading.Event(), []

    def work(*_: Any, **__: Any) -> Any:
        beside.append(threading.current_thread() is not threading.main_thread())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        release.wait(20.0)

    monkeypatch.setattr(pace, "LONG_WORK", -1.0)
    monkeypatch.setattr(mass, "MOST", 2 if routine == "qr" else 1500)
    monkeypatch.setattr(np.linalg, routine, work)
    with pytest.raises(KeyboardInterrupt) as caught:
        mflow.solve_ivp(lambda t, y: -y, (0, 50), [1.0, 1.0, 0.0], "radau5", **given)
    release.set()
    assert beside == [True]
    assert caught.value.partial_result.reason == "interrupted"  # type: ignore[attr-defined]
    assert np.array_equal(caught.value.partial_result.y[:, 0], [1.0, 1.0, 0.0])  # type: ignore[attr-defined]


def test_a_large_mass_matrix_is_read_in_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    full = np.where(np.arange(35).reshape(5, 7)[:, :5] % 3 == 0, 0.0, 1.5)
    whole = mass.mass_of(full + 3.0 * np.eye(5), 5).rows
    monkeypatch.setattr(mass, "ENTRIES", 11)
    cut = mass.mass_of(full + 3.0 * np.eye(5), 5).rows
    assert all(np.array_equal(a, b) for a, b in zip(whole, cut, strict=True))
    assert np.array_equal(cut.full(), full + 3.0 * np.eye(5))
    monkeypatch.setattr(mass, "MOST", 2)
    with pytest.raises(ValueError, match="a block of 5 rows and 5 columns that is singular"):
        mass.mass_of(np.ones((5, 5)), 5)


@posix
def test_a_signal_that_another_thread_is_given_ends_the_wait() -> None:
    """As the system gives that of a timer to the thread that works."""
    release, ended = threading.Event(), threading.Event()

    def work() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        release.wait(5.0)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        interruptible(1e12, work)
    assert not ended.is_set()
    release.set()
    assert ended.wait(20.0)


def _line(x: Any) -> Any:
    return np.vander(np.linspace(0.0, 1.0, 9), 4) @ x - np.linspace(0.0, 1.0, 9) ** 5


TABLE = np.linspace(0.0, 10.0, 1001), np.sin(np.linspace(0.0, 10.0, 1001))
CHAIN = 2.0 * np.eye(401) - np.eye(401, k=1) - np.eye(401, k=-1)  # one more than have all of their eigenvalues computed
ASIDE: dict[str, Any] = {  # what is called in another thread, and by what
    "covariance": ("numpy.linalg.svd", lambda: mflow.least_squares(_line, np.zeros(4)).covariance().tobytes()),
    "product": ("numpy.matmul", lambda: mflow.least_squares(_line, np.zeros(4)).covariance().tobytes()),
    "rank": ("numpy.linalg.svd", lambda: mflow.curve_fit(lambda t, a, b: a * t + b, [0.0, 1.0, 2.0], [0.0, 1.0, 3.0]).rank),
    "rest": (
        "numpy.linalg.eigvalsh",
        lambda: mflow.minimize(lambda x: x @ x, [1.0, 2.0], jac=lambda x: 2 * x, method="backward_euler", dt=np.inf).message,
    ),
    "mass": ("numpy.linalg.inv", lambda: mflow.max_stable_dt("velocity_verlet", mass=CHAIN + np.eye(401), stiffness=CHAIN)),
    "table": (
        "mflow.structures.load_tables.left_out",
        lambda: mflow.solve_dynamics(mass=1.0, stiffness=1.0, x0=[0.0], t_span=(0, 10), load=TABLE, dt=0.01).nfev,
    ),
    "bends": (
        "mflow.structures.load_tables.bends",
        lambda: mflow.solve_dynamics(stiffness=1.0, x0=[0.0], t_span=(0, 10), load=TABLE, method="rkn64", rtol=1e-6).nfev,
    ),
}


@pytest.mark.parametrize("name", ASIDE)
def test_long_calls_are_made_where_they_can_be_left(name: str, monkeypatch: Any) -> None:
    import importlib

    (module, _, function), run = ASIDE[name][0].rpartition("."), ASIDE[name][1]
    home, plain, main = importlib.import_module(module), run(), []
    true = getattr(home, function)

    def seen(*args: Any, **kwargs: Any) -> Any:
        main.append(threading.current_thread() is threading.main_thread())
        return true(*args, **kwargs)

    monkeypatch.setattr(pace, "LONG_WORK", 0.0)
    monkeypatch.setattr(home, function, seen)
    assert run() == plain
    assert main
    assert not any(main)


def test_a_call_in_a_thread_is_as_one_without() -> None:
    a = np.random.default_rng(0).standard_normal((60, 40))
    for one, other in zip(interruptible(1e12, np.linalg.svd, a), np.linalg.svd(a), strict=True):
        assert one.tobytes() == other.tobytes()
    with pytest.raises(np.linalg.LinAlgError, match=r"(?i)singular"):
        interruptible(1e12, np.linalg.inv, np.zeros((2, 2)))
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        interruptible(1e12, lambda: np.ones(1) / np.zeros(1))
    assert interruptible(1.0, threading.current_thread) is threading.current_thread()


W = np.linspace(0.01, 3.0, 60)
WHOLE: dict[str, Any] = {
    "dispersion": lambda: mflow.dispersion("newmark", W, beta=0.3, gamma=0.55),
    "dissipation": lambda: mflow.dissipation("rk4", W, 0.1),
    "R(z)": lambda: np.array(mflow.amplification("rk4", -W.reshape(6, 10) + 1j)),
    "farthest": lambda: np.array(mflow.amplification("rkc2", -10.0 * W)),
    "oscillators": lambda: np.array(mflow.amplification("hht", omega_dt=W.reshape(2, 30), zeta=0.1)),
    "updates": lambda: np.array(mflow.amplification("momentum", curvature=W.reshape(30, 2), lr=0.1)),
    "radii": lambda: mflow.amplification("newmark", omega_dt=W.reshape(3, 20)).spectral_radius,
}


@pytest.mark.parametrize("name", WHOLE)
def test_long_rows_are_cut_without_a_trace(name: str, monkeypatch: Any) -> None:
    whole = WHOLE[name]()
    monkeypatch.setattr(pace, "FIRST_ROWS", 7)
    cut = WHOLE[name]()
    assert (cut.shape, cut.dtype, cut.tobytes()) == (whole.shape, whole.dtype, whole.tobytes())


def test_signals_are_looked_at_between_pieces(monkeypatch: Any) -> None:
    monkeypatch.setattr(pace, "FIRST_ROWS", 7)
    sizes = []

    def fun(rows: Any) -> Any:
        sizes.append(len(rows))
        return rows

    assert by_rows(fun, W).tobytes() == W.tobytes()
    assert len(sizes) > 2
    assert sum(sizes) == W.size
    assert max(sizes) <= 4 * 7 * 4


@posix
def test_ctrl_c_in_a_sweep_does_not_wait_for_the_runs_under_way() -> None:
    released, ended = threading.Event(), threading.Event()

    def problem(method: Any, lr: float, seed: int) -> dict[str, float]:
        if seed == 0:
            return {"loss": 1.0}
        if seed == 1:
            os.kill(os.getpid(), signal.SIGINT)
        released.wait(20.0)
        ended.set()
        return {"loss": 2.0}

    with pytest.raises(KeyboardInterrupt) as caught:
        mflow.sweep(problem, "sgd", 0.1, range(4), workers=1)
    assert not ended.is_set()  # it was waited for
    partial: Any = caught.value.partial_result  # type: ignore[attr-defined]
    assert partial.loss[0, 0, 0] == 1.0
    assert partial.reason[0, 0].tolist()[2:] == ["", ""]
    released.set()
    assert ended.wait(20.0)


def test_pieces_are_joined_as_numpy_joins_them() -> None:
    parts = [np.arange(float(n * 3)).reshape(n, 3) for n in (2, 0, 500_000, 1)]
    assert joined(parts).tobytes() == np.concatenate(parts).tobytes()
    assert joined(parts[:1]) is parts[0]


# ---- results that are made when they are looked at ---------------------------------------------------------------------------------------


LOOKS = {
    "entry": lambda r: r["t"],
    "attribute": lambda r: r.t,
    "in": lambda r: "t" in r,
    "length": len,
    "list": list,
    "dict": dict,
    "unpacked": lambda r: {**r},
    "items": lambda r: list(r.items()),
    "get": lambda r: r.get("t"),
    "text": repr,
    "equal": lambda r: r == {"t": 1.0, "y": 2.0},
    "copy": copy.copy,
    "pickle": lambda r: pickle.loads(pickle.dumps(r)),
    "set": lambda r: setattr(r, "z", 1) or r.z,
    "analysis": lambda r: r.posedness.__name__,
}


@pytest.mark.parametrize("look", LOOKS)
def test_any_look_makes_a_pending_result(look: str) -> None:
    made = []

    def make() -> IVPResult:
        made.append(1)
        return IVPResult(t=1.0, y=2.0)

    result = pending(IVPResult, make)
    assert isinstance(result, IVPResult)
    assert made == []
    seen = LOOKS[look](result)
    assert made == [1]
    assert seen == LOOKS[look](IVPResult(t=1.0, y=2.0))
    assert type(copy.copy(result)) is type(pickle.loads(pickle.dumps(result))) is IVPResult
    assert (result.t, result.y) == (1.0, 2.0)
    assert made == [1]


@pytest.mark.parametrize("look", LOOKS)
def test_an_entry_that_is_made_later(look: str) -> None:
    """Whatever is looked at is as if it had always been there; it is made where it is asked for, once, and after Ctrl-C again."""
    made, whole = [], IVPResult(y=2.0, t=1.0)

    def make() -> float:
        made.append(1)
        if len(made) == 1:
            raise KeyboardInterrupt
        return 1.0

    result = IVPResult(y=2.0)
    put_later(result, "t", make)
    assert isinstance(result, IVPResult)
    assert (result.y, result["y"], hasattr(result, "z"), "t" in result, made) == (2.0, 2.0, False, True, [])
    with pytest.raises(KeyboardInterrupt):
        result["t"]
    seen = LOOKS[look](result)
    assert seen == LOOKS[look](whole)
    assert type(copy.copy(result)) is type(pickle.loads(pickle.dumps(result))) is IVPResult
    assert (result.t, result.y, type(result)) == (1.0, 2.0, IVPResult)
    assert made == [1, 1]
    with pytest.raises(KeyError):
        result["nothing"]


def test_entries_that_are_made_later_are_made_one_by_one() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name

    result = IVPResult(y=2.0)
    for name in ("t", "message"):
        put_later(result, name, functools.partial(make, name))
    assert ("t" in result, "message" in result, made) == (True, True, [])
    assert (result.message, result.message, made) == ("message", "message", ["message"])
    assert dict(result) == {"y": 2.0, "t": "t", "message": "message"}
    assert (made, type(result)) == (["message", "t"], IVPResult)


def test_words_and_inverse_hessian_of_a_search_wait_until_they_are_asked_for(monkeypatch: Any) -> None:
    from mflow.optimize import line_descent

    made = []
    status, reason, words = line_descent.ENDINGS[line_descent.CONVERGED]

    def worded(nit: int, largest: str, gtol: float) -> str:
        made.append(nit)
        return words(nit, largest, gtol)

    monkeypatch.setitem(line_descent.ENDINGS, line_descent.CONVERGED, (status, reason, worded))
    r = mflow.minimize(mflow.objectives.Rosenbrock(2), np.array([-1.2, 1.0]))
    assert (r.success, r.reason, made) == (True, "converged", [])
    assert r.message.startswith("the largest entry of the gradient is ")
    assert r.hess_inv.shape == (2, 2)
    assert made == [r.nit]


def test_the_inverse_hessian_is_made_where_it_is_asked_for(monkeypatch: Any) -> None:
    from mflow.curvature.inverse import InverseHessian

    made, true = [], InverseHessian.whole

    def whole(self: InverseHessian) -> Any:
        made.append(1)
        return true(self)

    monkeypatch.setattr(InverseHessian, "whole", whole)
    A = np.diag([1.0, 4.0, 9.0]) + 0.5
    calls = [0]

    def cost(x: Any, stop: int = 10**9) -> Any:
        calls[0] += 1
        if calls[0] == stop:
            raise KeyboardInterrupt
        return 0.5 * x @ A @ x, A @ x

    r = mflow.minimize(cost, np.ones(3), jac=True, method="bfgs", gtol=1e-12)
    assert made == []
    np.testing.assert_allclose(r.hess_inv, np.linalg.inv(A), rtol=0.1)
    assert r["hess_inv"] is r.hess_inv
    assert made == [1]
    calls[0] = 0
    with pytest.raises(KeyboardInterrupt) as caught:
        mflow.minimize(lambda x: cost(x, 4), np.ones(3), jac=True, method="bfgs", gtol=1e-12)
    partial: Any = caught.value.partial_result  # type: ignore[attr-defined]
    assert (partial.reason, made) == ("interrupted", [1])
    assert partial.hess_inv.shape == (3, 3)
    assert made == [1, 1]


@posix
def test_ctrl_c_while_saved_states_are_joined_keeps_them(monkeypatch: Any) -> None:
    import mflow.integrate.history as history

    calls = []

    def interrupted(parts: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return joined(parts)

    monkeypatch.setattr(history, "joined", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], rtol=1e-12, atol=1e-14)
    partial: Any = caught.value.partial_result  # type: ignore[attr-defined]
    assert len(calls) == 1  # nothing is joined before somebody looks
    assert (partial.reason, partial.t[-1]) == ("interrupted", 1.0)
    assert abs(partial.y[0, -1] - np.exp(-1.0)) < 1e-11


@posix
def test_an_interrupted_model_keeps_what_it_has_learned(monkeypatch: Any) -> None:
    X, y = np.random.default_rng(0).standard_normal((50, 3)), np.ones(50)
    model = mflow.ImplicitSGD("squared", lr=0.1)
    calls = [0]

    class Interrupting(np.random.Generator):
        def permutation(self, *args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if calls[0] == 3:
                raise KeyboardInterrupt
            return super().permutation(*args, **kwargs)

    with pytest.raises(KeyboardInterrupt) as caught:
        model.fit(X, y, epochs=10, seed=Interrupting(np.random.PCG64(0)))
    assert caught.value.partial_result is model  # type: ignore[attr-defined]
    assert (model.reason, model.n_epochs) == ("interrupted", 3)
    same = mflow.ImplicitSGD("squared", lr=0.1).fit(X, y, epochs=2, seed=np.random.Generator(np.random.PCG64(0)))
    assert model.coef.tobytes() == same.coef.tobytes()


def test_results_after_ctrl_c_are_put_together_later(monkeypatch: Any) -> None:
    """An inverse Hessian of 3000 x 3000, or the rank of a large Jacobian, take seconds."""
    from mflow.fitting.run import Run
    from mflow.optimize.line_descent import LineDescent

    made = []

    def counted(kind: Any, name: str) -> None:
        whole = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda *args, **kwargs: (made.append(name), whole(*args, **kwargs))[1])

    counted(Run, "result")
    counted(LineDescent, "result")

    def stop(*args: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        mflow.least_squares(lambda b: b - 1.0, [3.0], jac=stop)
    with pytest.raises(KeyboardInterrupt) as other:
        mflow.minimize(lambda x: (float(x @ x), 2 * x), [3.0], jac=True, method="bfgs", callback=stop)
    assert made == []
    for error in (caught, other):
        partial: Any = error.value.partial_result  # type: ignore[attr-defined]
        assert partial.reason == "interrupted"
    assert made == ["result", "result"]


def test_results_that_owe_an_entry_compare_as_others_do() -> None:
    def owing() -> IVPResult:
        result = IVPResult(t=1.0)
        put_later(result, "y", lambda: 2.0)
        return result

    whole = IVPResult(t=1.0, y=2.0)
    assert owing() == owing()
    assert whole == owing()
    assert owing() == whole
    assert not owing() != owing()  # noqa: SIM202  # it is != that is asked
    assert owing() != IVPResult(t=1.0)


@posix
def test_ctrl_c_in_a_spectrum_of_a_long_record(monkeypatch: Any) -> None:
    """Blocks of oscillators go through a long record one by one, each in a call that signals leave."""
    from mflow.vibration import spectrum

    blocks = []

    def work(count: float, fun: Any, *args: Any) -> Any:
        blocks.append(count)
        return fun(*args)

    periods = np.linspace(0.05, 5.0, 3 * spectrum.core.BLOCK)
    short = mflow.response_spectrum((0.01, np.sin(np.arange(1000.0))), periods)
    monkeypatch.setattr(spectrum, "interruptible", work)
    monkeypatch.setattr(spectrum, "LONG", 100)
    long = mflow.response_spectrum((0.01, np.sin(np.arange(1000.0))), periods)
    assert len(blocks) == 3
    assert np.array_equal(short.sd, long.sd)
    assert np.array_equal(short.sa, long.sa)
