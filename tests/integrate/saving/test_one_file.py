"""One format of saved states: steppers, `minimize`, `train` and hosts of the C API go on from each other's files."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
from mflow_core.problems.problem import objective_problem
from mflow_core.stepping import stepper

import mflow

START = np.array([1.5, -0.75, 0.5])
SCALE = np.array([1.0, 3.0, 0.5])
DONE, ALL = 7, 20


def grad(c):
    return SCALE * c + 0.125 * c**3


def cost(c):
    return float(0.5 * c @ (SCALE * c) + 0.03125 * np.sum(c**4)), grad(c)


def stepper_of(name):
    return mflow.Stepper(name, grad=grad, y0=START, **settings_of(name))


def settings_of(name):
    """What `minimize` takes by default, and others do not."""
    return {"friction": 1.0} if "friction" in mflow.get_method(name).parameters else {}


def writers(name, path):
    """Every way to write the state after DONE steps."""
    st = stepper_of(name)
    st.advance(DONE)

    def by_stepper():
        st.save(path)

    def by_minimize():
        mflow.minimize(cost, START, jac=True, method=name, gtol=0.0, maxiter=DONE, checkpoint=path, **settings_of(name))

    def by_train():
        mflow.train(cost, START, None, name, epochs=DONE, jac=True, checkpoint=path, **settings_of(name))

    def by_host():
        path.write_bytes(st._run.pack())

    return by_stepper, by_minimize, by_train, by_host


def test_every_door_goes_on_from_every_file(update_method, tmp_path):
    name, path, settings = update_method.name, tmp_path / "state", settings_of(update_method.name)
    whole = stepper_of(name)
    whole.advance(ALL)
    for write in writers(name, path):
        write()
        st = mflow.Stepper.load(path, grad)
        assert st.k == DONE
        st.advance(ALL - DONE)
        np.testing.assert_array_equal(st.y, whole.y, err_msg=write.__name__)
        r = mflow.minimize(cost, START, jac=True, method=name, gtol=0.0, maxiter=ALL, resume=path, **settings)
        np.testing.assert_array_equal(r.x, whole.y, err_msg=write.__name__)
        assert r.nit == ALL
        epochs = ALL if write.__name__ == "by_train" else ALL - DONE
        trained = mflow.train(cost, START, None, name, epochs=epochs, jac=True, resume=path, **settings)
        np.testing.assert_array_equal(trained.last_params, whole.y, err_msg=write.__name__)


def test_a_host_reads_the_files(tmp_path):
    """run_restore of the C API takes a file as it is."""
    path, st = tmp_path / "state", stepper_of("adam")
    st.advance(DONE)
    st.save(path)
    problem = objective_problem(None, grad, START.shape)
    run = stepper.Run(st.method.record, problem, START, 0.0, np.nan, st.method.numbers)
    data = path.read_bytes()
    run.unpack(data)
    assert run.k == DONE
    np.testing.assert_array_equal(run.y, st.y)
    for at in range(0, len(data), 5):
        damaged = bytearray(data)
        damaged[at] ^= 4
        with pytest.raises(ValueError, match="damaged"):
            run.unpack(bytes(damaged))


@pytest.mark.parametrize("name", ["euler", "rk4", "backward_euler"])
def test_integrators_along_the_flow(name, tmp_path):
    path, dt = tmp_path / "state", 0.125
    st = mflow.Stepper(name, lambda t, c: -grad(c), START)
    st.advance(DONE, dt)
    st.save(path)
    whole = mflow.minimize(cost, START, jac=True, method=name, dt=dt, gtol=0.0, maxiter=ALL)
    on = mflow.minimize(cost, START, jac=True, method=name, dt=dt, gtol=0.0, maxiter=ALL, resume=path, checkpoint=path)
    np.testing.assert_allclose(on.x, whole.x, rtol=1e-13)  # of an implicit one the solver remembers how well it went
    back = mflow.Stepper.load(path, lambda t, c: -grad(c))
    assert back.k == ALL
    np.testing.assert_array_equal(back.y, on.x)


def fuse(calls):
    """A callback that raises in this call."""
    left = iter(range(calls - 1, -1, -1))

    def callback(xk):
        assert 1 / next(left) > 0

    return callback


def test_a_run_that_was_cut_has_the_bits_of_one_that_was_not(tmp_path):
    path = tmp_path / "state"
    f = mflow.objectives.Rosenbrock(6)
    x0 = np.full(6, -0.5)
    for settings in (
        {"method": "adam", "lr": lambda k: 0.01 * 0.999**k},
        {"method": "lbfgs"},
        {"method": "momentum", "lr": 1e-4, "callback": lambda xk: None},
        {"method": "lbfgs", "bounds": [(-1, 0.9)] * 6},
    ):
        whole = mflow.minimize(f, x0, maxiter=30, **settings)
        with pytest.raises(ZeroDivisionError):
            mflow.minimize(f, x0, maxiter=30, checkpoint=path, checkpoint_every=4, **{**settings, "callback": fuse(14)})
        on = mflow.minimize(f, x0, maxiter=30, resume=path, **settings)
        assert (on.nit, on.fun) == (whole.nit, whole.fun)
        np.testing.assert_array_equal(on.x, whole.x)


def test_every_field_is_checked(tmp_path):
    """A file with a right checksum and a field that no run writes is refused by each door."""
    path, changed = tmp_path / "state", tmp_path / "changed"
    stepper_of("momentum").save(path)
    doors = (
        lambda: mflow.minimize(cost, START, jac=True, method="momentum", resume=changed),
        lambda: mflow.train(cost, START, None, "momentum", jac=True, resume=changed),
    )
    first, _, body = path.read_bytes().partition(b"\n")
    line, _, blocks = body[4:].partition(b"\n")
    head = json.loads(line)
    for field, value in (("method", "adam"), ("method", 3), ("parameters", {"lr": 0.5}), ("parameters", None), ("shape", [4]),
                         ("shape", "three"), ("control", None)):  # fmt: skip
        new = {**head, "facts": {**head["facts"], field: value}}
        rest = json.dumps(new).encode() + b"\n" + blocks
        changed.write_bytes(first + b"\n" + zlib.crc32(rest).to_bytes(4, "little") + rest)
        for door in doors:
            with pytest.raises(ValueError, match=r"resume: .*changed.* is damaged|resume: .*changed does not fit"):
                door()
    packed = mflow.Stepper("momentum", grad=grad, y0=START)._run.pack()
    for at in range(0, len(packed) - 4, 4):
        data = bytearray(packed)
        data[at] ^= 64
        changed.write_bytes(bytes(data))
        for door in doors:
            with pytest.raises(ValueError, match="resume"):
                door()


def test_another_run_is_refused(tmp_path):
    path = tmp_path / "state"
    stepper_of("momentum").save(path)
    with pytest.raises(ValueError, match=r"resume: .* does not fit this call, or is damaged \(method: expected"):
        mflow.minimize(cost, START, jac=True, method="momentum", momentum=0.5, resume=path)
    with pytest.raises(ValueError, match=r"resume: .* does not fit this call, or is damaged \(shape: expected"):
        mflow.minimize(lambda c: (float(c @ c), 2 * c), np.ones(2), jac=True, method="momentum", resume=path)
    with pytest.raises(ValueError, match=r"resume: .* does not fit this call, or is damaged \(optimizer: expected adam"):
        mflow.train(cost, START, None, "adam", jac=True, resume=path)
    with pytest.raises(ValueError, match=r"resume: .* does not fit this call, or is damaged \(params: expected 2 numbers, got 3"):
        mflow.train(lambda c: (float(c @ c), 2 * c), np.ones(2), None, "momentum", jac=True, resume=path)
    with pytest.raises(ValueError, match='lr="auto" remembers'):
        mflow.minimize(cost, START, jac=True, method="momentum", lr="auto", resume=path)
    with pytest.raises(ValueError, match="checkpoint_every: there is no file"):
        mflow.minimize(cost, START, jac=True, checkpoint_every=3)
    controlled = mflow.Stepper("dopri5", lambda t, c: -grad(c), START, rtol=1e-6)
    controlled.advance_to(1.0)
    controlled.save(path)
    with pytest.raises(ValueError, match="error control"):
        mflow.minimize(cost, START, jac=True, method="dopri5", dt=0.1, resume=path)
