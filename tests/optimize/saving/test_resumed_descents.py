"""A minimisation that goes on from its file: with every method that minimises, and with a path."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow
from support.hostile import altered


def bowl(x: Any) -> Any:
    return float(0.5 * x @ ([1.0, 20.0] * x)), [1.0, 20.0] * x


def valley(x: Any) -> Any:
    a, b = x[1] - x[0] ** 2, 1.0 - x[0]
    return float(100.0 * a**2 + b**2), np.array([-400.0 * x[0] * a - 2.0 * b, 200.0 * a])


def settings_of(record: Any) -> dict[str, Any]:
    more = {"update": {"lr": 0.01}, "step": {"dt": 0.05}}.get(record.kind, {})
    return {**more, "friction": 1.0} if "second_order" in mflow.get_method(record.name).flags else more


@pytest.mark.parametrize("record", [r for r in registry.records() if r.kind in ("step", "update", "direction")], ids=lambda r: r.name)
def test_every_method_resumes(tmp_path: Any, record: Any) -> None:
    """Second-order methods and implicit ones whose first stage is the slope at hand wrote files that nothing could read."""
    file, how = tmp_path / "run", {"jac": True, "method": record.name, **settings_of(record)}
    whole = mflow.minimize(bowl, [3.0, 1.0], maxiter=30, **how)
    mflow.minimize(bowl, [3.0, 1.0], maxiter=20, checkpoint=file, checkpoint_every=7, **how)
    again = mflow.minimize(bowl, [3.0, 1.0], maxiter=30, resume=file, **how)
    assert np.array_equal(whole.x, again.x)
    assert (whole.nit, whole.reason) == (again.nit, again.reason)


@pytest.mark.parametrize(("method", "more"), [("lbfgs", {}), ("bfgs", {}), ("cg", {}), ("trust_ncg", {}), ("sgd", {"lr": 1e-3})])
def test_a_path_begins_where_the_file_stood(tmp_path: Any, method: str, more: dict[str, Any]) -> None:
    """It began at x0, where the run never was."""
    file, start = tmp_path / "run", [-1.2, 1.0]
    whole = mflow.minimize(valley, start, jac=True, method=method, maxiter=25, path=True, **more)
    mflow.minimize(valley, start, jac=True, method=method, maxiter=11, checkpoint=file, **more)
    again = mflow.minimize(valley, [0.0, 0.0], jac=True, method=method, maxiter=25, path=True, resume=file, **more)
    assert np.array_equal(again.path.x, whole.path.x[11:])
    assert np.array_equal(again.path.fun, whole.path.fun[11:])


def test_a_file_of_second_order_that_is_damaged_is_refused(tmp_path: Any) -> None:
    file, how = tmp_path / "run", {"jac": True, "method": "newmark", "dt": 0.05, "friction": 1.0}
    mflow.minimize(bowl, [3.0, 1.0], maxiter=20, checkpoint=file, **how)
    data = file.read_bytes()
    for at in (len(data) - 3, len(data) - 40, len(data) // 2):
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(ValueError, match="damaged"):
            mflow.minimize(bowl, [3.0, 1.0], maxiter=30, resume=file, **how)


@pytest.mark.parametrize("method", ["sgd", "nesterov", "heavy_ball", "schedule_free_sgd"])
def test_a_run_that_had_left_the_finite_numbers_says_so(method: str, tmp_path: Any) -> None:
    """Its last point was saved, and x0, which gives the shape alone, was said to be the last one that was finite."""

    def steep(x: Any) -> tuple[float, Any]:
        return (
            float((1 - x[0]) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2),
            np.array([-2 * (1 - x[0]) - 40 * x[0] * (x[1] - x[0] ** 2), 20 * (x[1] - x[0] ** 2)]),
        )

    how: dict[str, Any] = {"jac": True, "method": method, "lr": 1.0, "maxiter": 60}
    with np.errstate(all="ignore"):
        whole = mflow.minimize(steep, [-0.5, 0.8], checkpoint=tmp_path / "a", checkpoint_every=1, **how)
        again = mflow.minimize(steep, [0.0, 0.0], resume=tmp_path / "a", **how)
    assert (whole.reason, again.reason, again.nit) == ("diverged", "non_finite", whole.nit)
    assert "not finite at the point that was saved, of iteration" in again.message
    assert not again.success
    assert np.abs(again.x).max() > np.abs(whole.x).max() > 1e30
    with np.errstate(all="ignore"):
        assert again.fun == pytest.approx(steep(again.x)[0], nan_ok=True)


@pytest.mark.parametrize("options", [{}, {"bounds": [(-2.0, 0.5), (None, None)]}])
def test_a_false_size_of_the_gradient_is_refused(tmp_path: Any, options: dict[str, Any]) -> None:
    """A run that went on from a file with 0 in this place said "converged" where it stood, far from the minimum."""
    file, how = tmp_path / "run", {"jac": True, "method": "lbfgs", **options}
    mflow.minimize(valley, [-1.2, 1.0], maxiter=5, checkpoint=file, **how)
    magic, facts, blocks = altered.read(file)
    run, places = blocks["descent"], 0
    whole = mflow.minimize(valley, [-1.2, 1.0], maxiter=5, **how)
    lower, upper = ([-2.0, -np.inf], [0.5, np.inf]) if options else (-np.inf, np.inf)
    largest = np.abs(np.clip(whole.x - whole.jac, lower, upper) - whole.x).max() if options else np.abs(whole.jac).max()
    largest = min(np.abs(whole.jac), key=lambda g: abs(g - largest))  # as it is saved, without the rounding of the projection
    for at in range(28, len(run) - 4):
        if run[at : at + 8] == struct.pack("<d", largest):
            places += 1
            for value in (0.0, 1e-300, 0.5 * largest):
                packed = run[:at] + struct.pack("<d", value) + run[at + 8 : -4]
                altered.write(file, magic, facts, {"descent": packed + zlib.crc32(packed).to_bytes(4, "little")})
                with pytest.raises(ValueError, match="run"):
                    mflow.minimize(valley, [-1.2, 1.0], maxiter=30, resume=file, **how)
            break
    assert places == 1


def offset(x: Any) -> Any:
    """A cost whose last digits are spent, with a gradient that does not vanish."""
    return float(1e8 + np.sum(np.abs(x))), np.sign(x)


@pytest.mark.parametrize("method", ["lbfgs", "cg"])
@pytest.mark.parametrize("cut", [30, 119, 150, 199])
def test_a_run_that_stalls_ends_alike_with_a_file_and_after_it(method: str, cut: int, tmp_path: Any) -> None:
    """With a file it went on to maxiter; nothing was known of a stall that had begun before the file."""
    file, how = tmp_path / "run", {"jac": True, "method": method, "line_search": "armijo", "check_gradient": False, "gtol": 1e-9}
    plain = mflow.minimize(offset, [1.3, 2.2], maxiter=400, **how)
    whole = mflow.minimize(offset, [1.3, 2.2], maxiter=400, checkpoint=tmp_path / "whole", checkpoint_every=7, **how)
    mflow.minimize(offset, [1.3, 2.2], maxiter=cut, checkpoint=file, checkpoint_every=7, **how)
    again = mflow.minimize(offset, [1.3, 2.2], maxiter=400, resume=file, checkpoint=file, **how)
    ended = mflow.minimize(offset, [1.3, 2.2], maxiter=400, resume=file, **how)  # from where it had stalled
    assert plain.nit == 200
    assert plain.reason == "line_search_failed"
    for other in (whole, again, ended):
        assert (other.nit, other.reason, other.message) == (plain.nit, plain.reason, plain.message)
        assert np.array_equal(other.x, plain.x)


@pytest.mark.parametrize(("value", "words"), [([0, 1.0, 1.0], "four"), ([-1, 1.0, 1.0, 0], "stalling"), ([30, 1.0, 1.0, 4], "stalling"),
                                              ([30, "x", 1.0, 0], "stalling"), (None, "four")])  # fmt: skip
def test_a_stall_that_no_run_has_is_refused(value: Any, words: str, tmp_path: Any) -> None:
    file, how = tmp_path / "run", {"jac": True, "method": "lbfgs", "line_search": "armijo", "check_gradient": False, "gtol": 1e-9}
    mflow.minimize(offset, [1.3, 2.2], maxiter=30, checkpoint=file, **how)
    magic, facts, blocks = altered.read(file)
    altered.write(file, magic, {**facts, "stalling": value}, blocks)
    with pytest.raises(ValueError, match=rf"^resume: .*{words}"):
        mflow.minimize(offset, [1.3, 2.2], maxiter=60, resume=file, **how)
