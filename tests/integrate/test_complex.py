"""Complex states. Oracles: closed forms, and the same equation written out in real and imaginary parts."""

import cmath
import ctypes
import pickle
from concurrent import futures

import numpy as np
import pytest

import mflow
from mflow.problems.complexes import Pairs
from support.levels import first_order

TOLS = {"rtol": 1e-7, "atol": 1e-9}
RATES = np.array([-1.0 + 2.0j, -0.3 - 1.0j])
START = np.array([1.0 + 0.5j, -2.0j])


def decay(t, z):
    return RATES * z


def parts_of(z):
    return np.ascontiguousarray(z).view(float)


def written_out(t, y):
    """decay, of x1, y1, x2, y2."""
    a, b = RATES.real, RATES.imag
    x, v = y[0::2], y[1::2]
    out = np.empty(4)
    out[0::2], out[1::2] = a * x - b * v, b * x + a * v
    return out


@pytest.mark.parametrize("method", first_order("embedded"))
def test_the_bits_are_those_of_the_parts(method):
    jac = {"jac": np.diag(RATES)} if mflow.get_method(method).is_implicit else {}
    r = mflow.solve_ivp(decay, (0, 3), START, method, **TOLS, **jac)
    assert (r.y.dtype, r.y.shape) == (np.complex128, (2, len(r.t)))
    assert r.success
    exact = START[:, None] * np.exp(RATES[:, None] * r.t)
    assert np.max(np.abs(r.y - exact)) < (2e-3 if mflow.get_method(method).order < 4 else 2e-5)
    blocks = np.zeros((4, 4))
    for k, rate in enumerate(RATES):
        blocks[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[rate.real, -rate.imag], [rate.imag, rate.real]]
    parts = mflow.solve_ivp(written_out, (0, 3), START.view(float), method, **TOLS, **({"jac": blocks} if jac else {}))
    assert (r.nsteps, r.nfev, r.njev) == (parts.nsteps, parts.nfev, parts.njev)
    np.testing.assert_allclose(parts_of(r.y[:, -1]), parts.y[:, -1], rtol=1e-9)  # sums of two products round differently


def chain(n=4):
    """The matrix of a chain z_k' = -(50 + 25i) k z_k + i z_(k-1), stiff by its own damping."""
    return np.diag(-50.0 * np.arange(1, n + 1) * (1.0 + 0.5j)) + np.diag(np.full(n - 1, 1.0j), -1)


def written_out_chain():
    """The run of the chain in real and imaginary parts, whose Jacobian needs no reading of a complex one."""
    J = chain()
    n = len(J)
    blocks = np.empty((2 * n, 2 * n))
    blocks[0::2, 0::2] = blocks[1::2, 1::2] = J.real
    blocks[1::2, 0::2], blocks[0::2, 1::2] = J.imag, -J.imag
    r = mflow.solve_ivp(lambda t, y: parts_of(J @ y.view(complex) + 1.0), (0, 2), np.zeros(2 * n), "radau5", jac=blocks, **TOLS)
    assert r.success
    return r


@pytest.mark.parametrize("kind", ["function", "differences", "sparse", "banded", "packed", "pattern", "vectorized", "inplace"])
def test_jacobians_of_holomorphic_functions(kind):
    """Newton's iteration asks for no more Jacobians and factorizations than in real and imaginary parts."""
    sparse = pytest.importorskip("scipy.sparse")
    J = chain()
    n = len(J)
    packed = np.zeros((2, n), dtype=complex)
    packed[0], packed[1, :-1] = np.diag(J), np.diag(J, -1)

    def fun(t, z):
        return J @ z + 1.0

    def filled(t, z, out):
        out[:] = fun(t, z)

    how = {
        "function": {"jac": lambda t, z: J + 0.0 * z[0]}, "differences": {}, "sparse": {"jac": sparse.csc_array(J)},
        "banded": {"jac": J, "lband": 1, "uband": 0}, "packed": {"jac": packed, "lband": 1, "uband": 0},
        "pattern": {"jac_sparsity": (J != 0).astype(float)}, "vectorized": {"vectorized": True}, "inplace": {"inplace": True},
    }[kind]  # fmt: skip
    if kind == "vectorized":
        r = mflow.solve_ivp(lambda t, Z: J @ Z + 1.0, (0, 2), np.zeros(n, complex), "radau5", **how, **TOLS)
    else:
        r = mflow.solve_ivp(filled if kind == "inplace" else fun, (0, 2), np.zeros(n, complex), "radau5", **how, **TOLS)
    np.testing.assert_allclose(r.y[:, -1], np.linalg.solve(J, -np.ones(n)), rtol=1e-6)
    parts = written_out_chain()
    assert (r.nsteps, r.nrejected, r.nlu) == (parts.nsteps, parts.nrejected, parts.nlu)
    assert r.njev <= parts.njev + 1


@pytest.mark.parametrize(
    "wrong",
    [np.transpose, np.real, lambda J: np.diag(np.diag(J)), lambda J: np.tril(J, -1).conj() + np.diag(np.diag(J))],
    ids=["transposed", "real part", "diagonal", "conjugate coupling"],
)
@pytest.mark.filterwarnings("ignore:solve_ivp. jac ")  # some are told of: the diagonal is far larger along a step
def test_wrong_complex_jacobians_cost_evaluations(wrong):
    """The counts that the test above compares tell right Jacobians from wrong ones, even where the steps are the same."""
    J, parts = chain(), written_out_chain()
    r = mflow.solve_ivp(lambda t, z: J @ z + 1.0, (0, 2), np.zeros(len(J), complex), "radau5", jac=wrong(J), **TOLS)
    assert r.njev > 3 * parts.njev
    assert r.nlu > 1.2 * parts.nlu


@pytest.mark.parametrize(("lower", "upper"), [(1, 0), (0, 2), (2, 1), (0, 0), (4, 0)])
def test_packed_bands_stay_packed(lower, upper):
    n, rng = 6, np.random.default_rng(3)
    J = rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))
    J *= (np.subtract.outer(range(n), range(n)) <= lower) & (np.subtract.outer(range(n), range(n)) >= -upper)
    packed = np.full((lower + upper + 1, n), complex("nan+nanj"))  # what lies outside of the matrix is not read
    for i, j in zip(*np.nonzero(J), strict=True):
        packed[upper + i - j, j] = J[i, j]
    pairs = Pairs(np.zeros(n, complex))
    full, bands = pairs.matrix(J), pairs.matrix(packed, lower, upper)
    assert bands.shape == (pairs.band(lower) + pairs.band(upper) + 1, 2 * n)
    back = np.zeros_like(full)
    for i, j in zip(*np.nonzero(full), strict=True):
        back[i, j] = bands[pairs.band(upper) + i - j, j]
    np.testing.assert_array_equal(back, full)


def test_packed_bands_solve_as_the_matrix_does():
    J = np.diag([-50.0, -80.0 + 30j, -900j - 100.0]) + np.diag([1j, 2.0], -1) + np.diag([3.0, 1.0 + 1j], 1)
    wide = np.zeros((4, 3), complex)  # a band more below
    for i, j in zip(*np.nonzero(J), strict=True):
        wide[1 + i - j, j] = J[i, j]
    packed = wide[:3]  # whose shape is that of the matrix
    given = {"y0": np.ones(3, complex), "t_span": (0, 0.1), "method": "radau5", **TOLS}
    dense = mflow.solve_ivp(lambda t, z: J @ z, jac=J, **given)
    for jac, lower in ((packed, 1), (lambda t, z: packed, 1), (wide, 2), (lambda t, z: wide, 2)):
        r = mflow.solve_ivp(lambda t, z: J @ z, jac=jac, lband=lower, uband=1, **given)
        assert (r.nsteps, r.nfev, r.nlu) == (dense.nsteps, dense.nfev, dense.nlu)
        np.testing.assert_allclose(r.y[:, -1], dense.y[:, -1], rtol=1e-9)
    mass = np.array([[2.0, 1j, 0.0], [0.5j, 3.0, 0.0], [0.0, 1.0, 4.0]])
    bands = np.array([[0.0, 1j, 0.0], [2.0, 3.0, 4.0], [0.5j, 1.0, 0.0], [0.0, 0.0, 0.0]])
    dense = mflow.solve_ivp(lambda t, z: J @ z, mass=mass, **given)
    r = mflow.solve_ivp(lambda t, z: J @ z, mass=bands, lband=2, uband=1, **given)
    np.testing.assert_allclose(r.y[:, -1], dense.y[:, -1], rtol=1e-8)


def test_what_is_not_holomorphic_goes_by_differences():
    r = mflow.solve_ivp(lambda t, z: -100.0 * np.conj(z) * abs(z) - 1000.0 * (z - 1.0), (0, 1), [2.0 + 1.0j], "radau5", **TOLS)
    z = r.y[0, -1]
    assert abs(-100.0 * z.conjugate() * abs(z) - 1000.0 * (z - 1.0)) < 1e-3
    assert r.nsteps < 160


def test_every_output_is_complex():
    z0 = np.array([[1.0, 2.0j]])
    seen = []
    event = mflow.Event(lambda t, z: z[0, 0].real, direction=-1, action=lambda t, z: -z)
    r = mflow.solve_ivp(
        lambda t, z: 1j * z, (0, 2), z0, events=[event, lambda t, z: z[0, 1].real + 1.0], dense_output=True,
        outputs=lambda t, z: z[0, 0] * 2.0, callback=lambda t, z: seen.append(z),
        max_step=lambda t, z: 0.1 / abs(z[0, 0]), doses=[(0.5, (0, 1), 1.0j)], rtol=1e-9, atol=1e-11,
    )  # fmt: skip
    assert r.y.shape == (1, 2, len(r.t))
    assert r.y.dtype == r.outputs.dtype == r.sol(0.3).dtype == np.complex128
    assert seen[0].shape == (1, 2)
    assert np.array_equal(r.outputs, 2.0 * r.y[0, 0])
    at = np.array([0.1, 0.3])
    np.testing.assert_allclose(r.sol(at), z0[..., None] * np.exp(1j * at), atol=1e-8)
    np.testing.assert_allclose(r.sol.derivative(0.3), 1j * z0 * cmath.exp(0.3j), atol=1e-6)
    assert abs(r.t_events[0][0] - np.pi / 2) < 1e-8
    np.testing.assert_allclose(r.y_events[0][0], -r.y_after[0][0], atol=0)
    assert r.y_events[0].shape == (1, 1, 2)
    behind = (2.0j * cmath.exp(0.5j) + 1.0j) * cmath.exp(1j * (np.pi / 2 - 0.5))
    np.testing.assert_allclose(r.y_events[0][0], [[1j, behind]], atol=1e-8)


def test_fixed_steps_and_checkpoints(tmp_path):
    path = tmp_path / "run"
    whole = mflow.solve_ivp(decay, (0, 1), START, "rk4", dt=0.1)
    mflow.solve_ivp(decay, (0, 1), START, "rk4", dt=0.1, checkpoint=path, max_steps=4)
    again = mflow.solve_ivp(decay, (0, 1), START, "rk4", dt=0.1, resume=path)
    assert again.y.tobytes() == whole.y.tobytes()
    parts = mflow.solve_ivp(written_out, (0, 1), START.view(float), "rk4", dt=0.1)
    np.testing.assert_allclose(parts_of(whole.y[:, -1]), parts.y[:, -1], rtol=1e-14)
    one = mflow.solve_ivp(decay, (0, 1), START, "rk4", dt=lambda q, t, z: 0.1 + 0.0 * z[0].real)
    np.testing.assert_allclose(one.y[:, -1], whole.y[:, -1], rtol=1e-12)


def test_algebraic_equations_of_complex_states():
    r = mflow.solve_ivp(lambda t, z: [1j * z[0], z[1] - z[0] ** 2], (0, 1), [1.0 + 0j, 0.0], "radau5", mass=[1.0, 0.0], **TOLS)
    np.testing.assert_allclose(r.y[:, -1], [cmath.exp(1j), cmath.exp(2j)], rtol=1e-6)
    assert r.y0.dtype == np.complex128


def test_auto_takes_complex_states():
    r = mflow.solve_ivp(lambda t, z: -1e4 * (z - cmath.exp(1j * t)) + 1j * cmath.exp(1j * t), (0, 3), [0j], "auto", rtol=1e-6, atol=1e-9)
    assert r.switches == 1
    assert abs(r.y[0, -1] - cmath.exp(3j)) < 1e-5


def test_an_exception_brings_complex_results():
    def fails(t, z):
        if t > 0.5:
            raise RuntimeError("no further")
        return 1j * z

    with pytest.raises(RuntimeError, match="no further") as caught:
        mflow.solve_ivp(fails, (0, 1), [1.0 + 0j], max_step=0.1)
    assert caught.value.partial_result.y.dtype == np.complex128
    assert abs(caught.value.partial_result.y[0, -1]) > 0.9


def test_complex_numbers_where_they_do_not_belong():
    with pytest.raises(TypeError, match=r"^fun: expected a return value of real numbers \(float64\), got dtype complex128; for complex "
                                        r"slopes pass a complex y0, as in y0 \+ 0j\n"):  # fmt: skip
        mflow.solve_ivp(lambda t, y: 1j * y, (0, 1), [1.0])
    with pytest.raises(ValueError, match="nonnegative: expected None with a complex y0"):
        mflow.solve_ivp(decay, (0, 1), START, nonnegative=True)
    with pytest.raises(ValueError, match="fun: expected an array of shape"):
        mflow.solve_ivp(lambda t, z: [1j], (0, 1), START)
    with pytest.raises(ValueError, match="y0: expected finite numbers, got "):
        mflow.solve_ivp(decay, (0, 1), [1j, complex("nan")])
    with pytest.raises(ValueError, match="jac: expected an array of shape"):
        mflow.solve_ivp(decay, (0, 1), START, "radau5", jac=np.eye(3))
    with pytest.raises(ValueError, match="elementwise: expected False with a complex y0"):
        mflow.solve_ivp(decay, (0, 1), START, elementwise=True)
    for name in ("rtol", "atol", "steady_rtol", "steady_atol"):
        with pytest.raises(ValueError, match=rf"^{name}: expected one number, .* a state of shape \(2,\), got shape \(3,\)$"):
            mflow.solve_ivp(decay, (0, 1), START, until="steady", **{name: [1e-3] * 3})


@pytest.mark.parametrize("start", [[1.0], [1.0 + 0j]], ids=["real", "complex"])
def test_threads_alone_are_told_of(start):
    with pytest.warns(UserWarning, match="^solve_ivp: threads: without effect without elementwise=True$"):
        mflow.solve_ivp(lambda t, y: -y, (0, 1), start, threads=2)


def test_an_empty_list_of_events_and_compiled_ones():
    r = mflow.solve_ivp(decay, (0, 1), START, events=[])
    assert r.t_events == []
    assert mflow.solve_ivp(decay, (0, 1), START).t_events is None

    def half(t, y, out, n, ctx):
        out[0] = t - 0.5
        return 0

    signature = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.c_double, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t, ctypes.c_void_p
    )
    compiled = signature(half)
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    name = b"int (double, const double *, double *, ptrdiff_t, void *)"
    capsule = new(ctypes.cast(compiled, ctypes.c_void_p), name, None)
    for event in (capsule, [capsule]):
        r = mflow.solve_ivp(decay, (0, 1), START, events=event)
        np.testing.assert_allclose(r.t_events[0], [0.5], rtol=1e-12)


def test_drivers_of_real_states_name_the_one_that_takes_complex_ones():
    words = r"expected real numbers, got complex128; stack real and imaginary parts, or take mflow\.solve_ivp, whose y0 may be complex$"
    with pytest.raises(TypeError, match=f"^c0: {words}"):
        mflow.gradient_flow(lambda c: c, START, 1.0)


# ---- steppers and batches ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*first_order("embedded"), "auto"])
def test_a_stepper_has_the_bits_of_solve_ivp(method, tmp_path):
    jac = {"jac": np.diag(RATES)} if method == "auto" or mflow.get_method(method).is_implicit else {}
    crossing = mflow.Event(lambda t, z: z[0].real)
    doses = [(1.0, 1, 0.5j)]
    r = mflow.solve_ivp(decay, (0, 2), START, method, events=crossing, doses=doses, **TOLS, **jac)
    st = mflow.Stepper(method, decay, START, events=crossing, doses=doses, **TOLS, **jac)
    st.advance_to(1.0)
    st.save(tmp_path / "s")
    on = mflow.Stepper.load(tmp_path / "s", decay, events=crossing, doses=doses, **jac)
    st.advance_to(2.0)
    on.advance_to(2.0)
    exact = (START * np.exp(RATES) + [0.0, 0.5j]) * np.exp(RATES)
    np.testing.assert_allclose(st.y, exact, atol=2e-5)
    assert st.y.dtype == np.complex128
    assert np.array_equal(on.y, st.y)
    whole = mflow.Stepper(method, decay, START, events=crossing, doses=doses, **TOLS, **jac)
    whole.advance_to(2.0)
    assert np.array_equal(whole.y, r.y[:, -1])
    assert [one.t for one in whole.events] == r.t_events[0].tolist()
    assert np.array_equal([one.y for one in whole.events], r.y_events[0])


def test_a_complex_stepper_is_set_pickled_and_looked_into():
    st = mflow.Stepper("dopri5", decay, START, rtol=[1e-7, 1e-8], atol=1e-9)
    st.step()
    middle = st.interpolate(0.5 * st.t)
    np.testing.assert_allclose(middle, START * np.exp(RATES * 0.5 * st.t), atol=1e-6)
    st.y = 2.0 * START
    at, copied = st.t, pickle.loads(pickle.dumps(st))
    for one in (st, copied):
        one.advance_to(at + 1.0)
        np.testing.assert_allclose(one.y, 2.0 * START * np.exp(RATES), atol=1e-6)
    assert np.array_equal(st.y, copied.y)
    with pytest.raises(ValueError, match="shape"):
        st.y = [1.0j]
    with pytest.raises(ValueError, match="finite"):
        mflow.Stepper("rk4", decay, [complex(1.0, np.nan)])


@pytest.mark.parametrize("t_eval", [None, [0.5, 1.0]])
def test_a_batch_is_its_trajectories(t_eval):
    starts = np.stack([START, 2.0 * START, 1j * START])
    crossing = mflow.Event(lambda t, z: z[0].real)
    call = {"events": crossing, "doses": [(0.25, 0, 1j)], **TOLS}
    batch = mflow.solve_ivp_batch(decay, (0, 1), starts, "dopri5", t_eval, **call)
    assert batch.success
    assert batch.y.shape == ((3, 2) if t_eval is None else (3, 2, 2))
    for k, start in enumerate(starts):
        one = mflow.solve_ivp(decay, (0, 1), start, "dopri5", t_eval, **call)
        assert np.array_equal(batch.y[k], one.y[:, -1] if t_eval is None else one.y)
        assert np.array_equal(batch.y_events[k][0], one.y_events[0])
        assert batch[k].y.dtype == np.complex128


def test_a_batch_of_one_start_with_arguments_and_processes():
    with futures.ProcessPoolExecutor(1) as pool:
        for executor in (None, pool):
            r = mflow.solve_ivp_batch(turning, (0, 1), [1.0 + 0j], batch_args=[1.0, 2.0], executor=executor, **TOLS)
            np.testing.assert_allclose(r.y[:, 0], np.exp([1j, 2j]), atol=1e-6)


def turning(t, z, w):
    return 1j * w * z
