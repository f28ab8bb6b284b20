"""Batches of motions: each against the same motion alone; blocks of a compiled force against the same formula one by one."""

from __future__ import annotations

import ctypes
import math
import os
import pickle
import shlex
import subprocess
import warnings
from concurrent import futures
from typing import Any

import numpy as np
import pytest
from scipy import LowLevelCallable, sparse

import mflow
from support.hosts import need_program

Array = np.ndarray
DOUBLE = ctypes.POINTER(ctypes.c_double)
LANES = ctypes.CFUNCTYPE(ctypes.c_int, DOUBLE, DOUBLE, DOUBLE, DOUBLE, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p)
ONE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, DOUBLE, DOUBLE, DOUBLE, ctypes.c_ssize_t, ctypes.c_void_p)
SOURCE = """
#include <stddef.h>
int lanes_force(const double *t, const double *x, const double *v, double *f, ptrdiff_t n, ptrdiff_t lanes, void *ctx) {
  for (ptrdiff_t i = 0; i < n; i++)
    for (ptrdiff_t l = 0; l < lanes; l++)
      f[i * lanes + l] = -x[n * lanes + l] * x[i * lanes + l] * x[i * lanes + l] * x[i * lanes + l] + t[l];
  return 0;
}
int one_force(double t, const double *x, const double *v, double *f, ptrdiff_t n, void *ctx) {
  const double *k = ctx;
  for (ptrdiff_t i = 0; i < n; i++)
    f[i] = -*k * x[i] * x[i] * x[i] + t;
  return 0;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    need_program("cc")
    folder = tmp_path_factory.mktemp("batch")
    (folder / "force.c").write_text(SOURCE)
    command = [*shlex.split(os.environ.get("CC", "cc")), "-O1", "-ffp-contract=off", "-fPIC", "-shared"]
    subprocess.run([*command, "-o", str(folder / "force.so"), str(folder / "force.c")], check=True)
    return ctypes.CDLL(str(folder / "force.so"))


def test_motions_have_matrices_loads_steps_and_events_of_their_own() -> None:
    K = [np.diag([1.0, 4.0]), np.array([[2.0, -1.0], [-1.0, 2.0]]), np.diag([9.0, 1.0])]
    loads = [None, [0.0, 1.0], lambda t: [math.sin(t), 0.0]]
    events = [None, lambda t, x, v: x[0], mflow.Event(lambda t, x, v: x[0], terminal=True)]
    times = np.linspace(0, 3, 7)
    r = mflow.solve_dynamics_batch(
        2.0,
        t_span=(0, 3),
        x0=[[1.0, 0.5]] * 3,
        t_eval=times,
        each={"stiffness": K, "load": loads, "dt": [0.1, 0.05, 0.02], "events": events},
    )
    assert r.reason == ["finished", "finished", "event"]
    assert r.success
    assert r.x.shape == (3, 2, 7)
    assert "2 of 3 motions finished; 1 event (motion 2: " in r.message
    for k, dt in enumerate((0.1, 0.05, 0.02)):
        s = mflow.solve_dynamics(2.0, None, K[k], loads[k], (0, 3), [1.0, 0.5], t_eval=times, dt=dt, events=events[k])
        assert r.reached[k] == s.t.size
        assert r.x[k, :, : s.t.size].tobytes() == s.x.tobytes()
        assert r.v[k, :, : s.t.size].tobytes() == s.v.tobytes()
        assert np.all(np.isnan(r.x[k, :, s.t.size :]))
        if k:
            np.testing.assert_array_equal(r.t_events[k][0], s.t_events[0])


def test_last_states_and_a_motion_that_fails() -> None:
    def force(t: float, x: Array, v: Array, k: float) -> Array:
        if k == 2.0 and t > 0.5:
            raise RuntimeError("broken")
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(-k * x**3)

    with pytest.warns(RuntimeWarning, match="motion 2: solve_dynamics: dt = 0.01 exceeds"):
        r = mflow.solve_dynamics_batch(
            force=force, t_span=(0, 1), x0=[1.0], dt=0.01, method="leapfrog", each={"args": [(1.0,), (2.0,), (1e300,)]}
        )
    s = mflow.solve_dynamics(force=force, args=(1.0,), t_span=(0, 1), x0=[1.0], dt=0.01, method="leapfrog")
    assert r.x[0].tobytes() == s.x[:, -1].tobytes()
    assert r.status.tolist() == [0, -1, -1]
    assert r.reason[0] == "finished"
    assert str(r.errors[1]) == "broken"
    assert 0.45 < r.t[1] < 0.55
    assert not r.success


@pytest.mark.filterwarnings("ignore:solve_dynamics. dt = 0.1 exceeds:RuntimeWarning")
@pytest.mark.parametrize("m", [m for m in mflow.methods(family="second_order") if not m.is_implicit], ids=lambda m: m.name)
def test_blocks_have_the_bits_of_motions_alone(m: Any, library: ctypes.CDLL) -> None:
    """Of a force alone; 70 motions are two blocks."""
    block, one = LANES(("lanes_force", library)), ONE(("one_force", library))
    rng = np.random.default_rng(0)
    x0, v0, k = rng.standard_normal((70, 2)), rng.standard_normal((70, 2)), rng.uniform(0.5, 2, 70)
    call: dict[str, Any] = {"t_span": (0.0, 1.05), "dt": 0.1, "method": m}
    if m.parameters.get("damping") == "implicit":
        pytest.skip("solves for v")
    r = mflow.solve_dynamics_batch(x0=x0, v0=v0, force=block, batch=True, batch_args=k[:, None], velocity_free=True, threads=2, **call)
    assert r.success
    for i in (0, 1, 63, 64, 69):
        number = ctypes.c_double(k[i])
        fun = LowLevelCallable(one, ctypes.cast(ctypes.pointer(number), ctypes.c_void_p))
        s = mflow.solve_dynamics(x0=x0[i], v0=v0[i], force=fun, velocity_free=True, energy=False, **call)
        assert r.x[i].tobytes() == s.x[:, -1].tobytes()
        assert r.v[i].tobytes() == s.v[:, -1].tobytes()
    few = mflow.solve_dynamics_batch(x0=x0[5:9], v0=v0[5:9], force=block, batch=True, batch_args=k[5:9, None], velocity_free=True, **call)
    assert few.x.tobytes() == r.x[5:9].tobytes()


@pytest.mark.parametrize("method", ["newmark", "bathe", "generalized_alpha", "staggered", "central_difference"])
def test_blocks_of_matrices(method: str, library: ctypes.CDLL) -> None:
    """Diagonal matrices without a force, and with one that is explicit: against motions alone, at times in between too."""
    rng = np.random.default_rng(1)
    m, c, k = rng.uniform(1, 2, (3, 9, 2))
    x0, times = rng.standard_normal((9, 2)), np.array([0.0, 0.33, 0.9, 1.0])
    call: dict[str, Any] = {"t_span": (0.0, 1.0), "dt": 0.1, "method": method, "t_eval": times}
    explicit = method in ("staggered", "central_difference")
    force = {"force": LANES(("lanes_force", library)), "batch_args": np.ones((9, 1)), "velocity_free": True} if explicit else {}
    r = mflow.solve_dynamics_batch(m, c, k, x0=x0, batch=True, **force, **call)
    for i in range(9):
        alone = {"force": lambda t, x, v: -(x**3) + t, "velocity_free": True} if explicit else {}
        s = mflow.solve_dynamics(m[i], c[i], k[i], x0=x0[i], **alone, **call)
        np.testing.assert_allclose(r.x[i], s.x, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(r.v[i], s.v, rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(r.reached, 4)


def test_a_motion_of_a_block_that_is_not_finite_ends_alone(library: ctypes.CDLL) -> None:
    x0 = np.ones((10, 1))
    x0[3] = 1e60
    r = mflow.solve_dynamics_batch(
        x0=x0, force=LANES(("lanes_force", library)), batch=True, batch_args=np.ones((10, 1)), t_span=(0, 1), dt=0.1, method="leapfrog",
        t_eval=[0.5, 1.0],
    )  # fmt: skip
    assert [k for k in range(10) if r.reason[k] != "finished"] == [3]
    assert r.reason[3] == "non_finite"
    assert "1 non_finite (motion 3: the next state is not finite: it stands at t = " in r.message
    assert np.all(np.isnan(r.x[3]))
    assert np.all(np.isfinite(np.delete(r.x, 3, axis=0)))
    assert len(np.unique(np.delete(r.x, 3, axis=0)[:, 0, 0])) == 1


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (
            {"each": {"stiffness": [1.0], "dt": [0.1, 0.2]}},
            ValueError,
            "each: expected as many entries for every argument, got stif",
        ),
        ({"each": {"spring": [1.0, 2.0]}}, TypeError, r"each\['spring'\]: solve_dynamics has no argument of this name"),
        ({"each": {"dt": [0.1, 0.2, 0.3]}}, ValueError, "each, batch_args: expected 2 entries, one for each motion of x0, got 3"),
        ({"each": {"x0": [1.0, 2.0]}}, ValueError, r"each\['x0'\]: give x0 itself"),
        (
            {"each": {"stiffness": np.eye(3)}, "x0": np.ones(3)},
            ValueError,
            r"each\['stiffness'\]: got one array of shape \(3, 3\): give a list",
        ),
        ({"each": {"mass": sparse.eye_array(3)}, "x0": np.ones(3)}, TypeError, r"each\['mass'\]: expected a sequence .*got dia_array"),
        ({"x0": [1.0]}, ValueError, r"x0: expected starts of shape \(m, n\), got shape \(1,\)"),
        ({"save": "last"}, TypeError, "save: a batch does not take it; t_eval says what to keep"),
        ({"batch": True, "force": lambda t, x, v: x}, TypeError, "force: expected with batch=True a compiled function"),
        ({"batch": True, "stiffness": np.ones((3, 3))}, ValueError, "stiffness: expected a number, 1 numbers or an array of shape"),
        ({"batch": True, "load": [1.0]}, ValueError, "load: a force for blocks"),
        ({"batch": True, "dt": None}, ValueError, "dt: expected the size of the steps"),
        ({"batch": True, "mass": 0.0}, ValueError, "mass: expected masses above 0, got 0"),
        ({"batch_args": [[1.0], [2.0]]}, ValueError, "batch_args: it belongs to batch=True"),
    ],
)
def test_what_does_not_fit_is_said(change: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        mflow.solve_dynamics_batch(**({"stiffness": 1.0, "x0": [[1.0], [2.0]], "t_span": (0, 1), "dt": 0.1} | change))


def test_rows_of_a_table_are_diagonals_where_starts_say_how_many() -> None:
    """A (3, 3) array is ambiguous beside one start alone."""
    table = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    common: dict[str, Any] = {"t_span": (0, 1), "dt": 0.05}
    r = mflow.solve_dynamics_batch(x0=np.ones((3, 3)), each={"stiffness": table}, **common)
    also = mflow.solve_dynamics_batch(x0=np.ones(3), each={"stiffness": table, "load": [None] * 3}, **common)
    for k in range(3):
        alone = mflow.solve_dynamics(stiffness=np.diag(table[k]), x0=np.ones(3), **common)
        np.testing.assert_allclose(r.x[k], alone.x[:, -1], rtol=1e-12)
        assert np.array_equal(also.x[k], r.x[k])


@pytest.mark.parametrize("times", [None, [0.0, 0.5, 1.0]])
@pytest.mark.parametrize("workers", [0, 2])
def test_each_motion_is_a_result_with_what_was_asked_for(times: Any, workers: int) -> None:
    """Outputs were evaluated and thrown away, the ledger too, and a number was no key."""
    common: dict[str, Any] = {"t_span": (0, 1), "dt": 0.05, "t_eval": times, "energy": True, "outputs": lambda t, x, v: [x[0] * v[0], t]}
    springs = [1.0, 4.0, 9.0]
    with futures.ThreadPoolExecutor(2) as pool:
        r = mflow.solve_dynamics_batch(x0=np.ones((3, 1)), each={"stiffness": springs}, **common, executor=pool if workers else None)
    for k, spring in enumerate(springs):
        one, alone = r[k], mflow.solve_dynamics(stiffness=spring, x0=[1.0], **common)
        assert isinstance(one, type(alone))
        for name in ("t", "x", "v", "outputs"):
            np.testing.assert_array_equal(one[name], alone[name][..., -1:] if times is None else alone[name])
        assert one.energy.potential[-1] == r.energy[k].potential[-1] == alone.energy.potential[-1]
        assert (one.reason, one.success, one.nsteps) == (alone.reason, alone.success, alone.nsteps)
    assert r[-1].x.tolist() == r[2].x.tolist()
    with pytest.raises(IndexError, match=r"result\[7\]: the batch has 3 motions"):
        r[7]


def test_implicit_forces_are_refused(library: ctypes.CDLL) -> None:
    with pytest.raises(ValueError, match="method: newmark is implicit in the force, which blocks of motions do not iterate for"):
        mflow.solve_dynamics_batch(x0=[[1.0]], force=LANES(("lanes_force", library)), batch=True, batch_args=[[1.0]], t_span=(0, 1), dt=0.1)


class Pickling(futures.Executor):
    """What goes to the work and comes back is pickled, as where workers are processes."""

    def submit(self, fn: Any, /, *args: Any, **given: Any) -> Any:
        fn, args, given = pickle.loads(pickle.dumps((fn, args, given)))
        future: Any = futures.Future()
        future.set_result(pickle.loads(pickle.dumps(fn(*args, **given))))
        return future


@pytest.mark.parametrize("where", ["here", "threads", "processes"])
def test_warnings_name_the_motions(where: str) -> None:
    """Each text was said once for each piece that an executor ran, at a line of Python's own; of processes none was heard."""
    springs = [900.0, 1.0, 900.0, 400.0]
    with warnings.catch_warnings(record=True) as seen, futures.ThreadPoolExecutor(1) as pool:
        warnings.simplefilter("always")
        given: dict[str, Any] = {"t_span": (0, 1), "dt": 0.15, "method": "central_difference", "each": {"stiffness": springs}}
        executor = {"here": None, "threads": pool, "processes": Pickling()}[where]
        mflow.solve_dynamics_batch(1.0, x0=np.ones((4, 1)), **given, executor=executor)
    told = [one for one in seen if "stability limit" in str(one.message)]
    assert [str(one.message).partition(" of central")[0] for one in told] == [
        "motions 0, 2: solve_dynamics: dt = 0.15 exceeds the stability limit 0.06667",
        "motion 3: solve_dynamics: dt = 0.15 exceeds the stability limit 0.1",
    ]
    assert {one.filename for one in told} == {__file__}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_warnings_of_the_motions_that_are_done_come_before_an_error(error: type[BaseException]) -> None:
    """They were lost where a later motion ended the batch."""

    def stops(t: float, x: Array, v: Array) -> Array:
        raise KeyboardInterrupt

    own = {"stiffness": [900.0, 1.0], "force": [None, stops]} if error is KeyboardInterrupt else {"stiffness": [900.0, [1.0, 2.0, 3.0]]}
    with pytest.warns(RuntimeWarning, match="motion 0: solve_dynamics: dt = 0.15 exceeds"), pytest.raises(error):
        mflow.solve_dynamics_batch(1.0, x0=np.ones((2, 1)), t_span=(0, 1), dt=0.15, method="central_difference", each=own)
