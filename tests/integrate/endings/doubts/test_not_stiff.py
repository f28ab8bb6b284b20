"""Large implicit runs whose message says that the problem is not stiff. Oracle: the spectrum of second differences, 0 to 4."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.sparse import diags_array

import mflow

N, SAYS = 500, "not stiff at these tolerances"
BUMP = np.exp(-((np.arange(N) - 50.0) ** 2) / 50.0)


def diffusion(rate, t_end, method, n=N, kind="sparse", **more):
    J = diags_array([np.full(n - 1, rate), np.full(n, -2.0 * rate), np.full(n - 1, rate)], offsets=[-1, 0, 1], format="csc")
    jac = {"sparse": J, "dense": J.toarray()}[kind]
    given = {} if method == "tsit5" else {"jac": lambda t, y: jac}
    return mflow.solve_ivp(lambda t, y: J @ y, (0, t_end), BUMP[:n], method, rtol=1e-5, save="last", **given, **more)


@pytest.mark.parametrize("method", ["bdf", "radau5", "esdirk43", "rodas5p"])
def test_explicit_steps_would_be_few(method):
    r = diffusion(0.5, 10.0, method)
    said = re.search(r"adds up to ([\d.]+), so that an explicit method is stable with about (\d+) steps", r.message)
    assert float(said[1]) == pytest.approx(4.0 * 0.5 * 10.0, rel=0.2)
    assert f"none of these {r.nlu} factorizations" in r.message
    explicit = diffusion(0.5, 10.0, "tsit5")
    assert explicit.success
    assert explicit.nsteps <= int(said[2])


def test_nothing_is_said_where_it_is_stiff_or_does_not_matter():
    assert SAYS in diffusion(0.5, 10.0, "bdf", kind="dense").message
    assert SAYS not in diffusion(5e3, 10.0, "bdf").message  # 12 000 explicit steps
    assert SAYS not in diffusion(0.5, 10.0, "bdf", n=100).message  # factors of few components
    assert SAYS not in diffusion(0.5, 10.0, "bdf", max_step=0.5).message  # steps that are short because they have to be
    assert SAYS not in diffusion(0.5, 10.0, "auto").message


@pytest.mark.parametrize("method", ["bdf", "radau5", "esdirk43", "rodas5p"])
def test_nothing_is_said_of_rates_that_a_mass_matrix_makes(method):
    """Those of M^-1 J are 1 and 1e4, which is 5e4 in all, some 18 000 explicit steps; with a mass of 0 there is no explicit method."""
    small = np.ones(N)
    small[: N // 2] = 1e-4
    none = np.ones(N)
    none[0] = 0.0
    varying = [lambda t: small] if method in ("radau5", "bdf") else []
    for mass in (diags_array(small, format="csr"), none, *varying):
        r = mflow.solve_ivp(
            lambda t, y: -y, (0, 5), np.where(none, 1.0, 0.0), method, mass=mass, jac=diags_array(-np.ones(N), format="csr")
        )
        assert r.success
        assert SAYS not in r.message


def test_nothing_is_said_where_explicit_steps_would_be_more():
    """The flame of 500 components: its rate is 1 behind the front, for 1000 of time, which the implicit method crosses in a few steps."""
    start = 1e-3 + 1e-4 * np.linspace(0.0, 1.0, N)
    r = mflow.solve_ivp(
        lambda t, y: y * y - y**3, (0, 2000), start, "bdf", jac=lambda t, y: diags_array(2.0 * y - 3.0 * y * y, format="csc")
    )
    assert r.success
    assert SAYS not in r.message


def test_nothing_is_said_of_rates_that_a_wrong_jacobian_has():
    """The rates are 1 to 100; by jac they are a hundredth of that, which Newton's iteration stands."""
    rates = np.linspace(1.0, 100.0, N)
    for part, said in ((0.01, False), (1.0, True)):
        r = mflow.solve_ivp(lambda t, y: -rates * y, (0, 0.2), np.ones(N), "esdirk43", jac=diags_array(-part * rates, format="csr"))
        assert r.success
        assert r.doubts == ()
        assert (SAYS in r.message) is said


def test_a_stiff_run_has_the_bits_it_had():
    """What looks changes no step; here it gives up soon, there it never begins."""
    watched, not_watched = diffusion(5e3, 10.0, "radau5"), diffusion(5e3, 10.0, "radau5", max_step=1e6)
    assert watched.y.tobytes() == not_watched.y.tobytes()
    assert (watched.nfev, watched.nlu) == (not_watched.nfev, not_watched.nlu)
