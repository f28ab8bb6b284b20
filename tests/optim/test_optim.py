"""Optimizer classes: binding, groups, options, state, errors, and the same sequences as torch.optim."""

import copy
import inspect
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow
from mflow import optim
from support.oracles.reference import PARITY, RATES, SEEING, Follow, defaults
from support.problems import READ_ONLY, WRONG, Array, flush_to_zero, gradients, start_of
from support.small_cases import for_all

EPS = 2.0**-52


def class_of(record: Any) -> Any:
    return getattr(optim, record.class_name)


def walk(opt: Any, grads: Array) -> None:
    for g in grads:
        opt.step(g)


# ---- arrangement of the parameters -----------------------------------------------------------------------------------


def test_step_is_in_place_and_follows_the_oracle(update_method: Any) -> None:
    c, grads = start_of(23), gradients(23, 12)
    opt, oracle = class_of(update_method)(c, lr=0.25), Follow(update_method.name, defaults(update_method, lr=0.25), c)
    moved = np.zeros(23, np.longdouble)
    for g in grads:
        before, kept = c.copy(), g.copy()
        opt.step(g)
        want = oracle.step(before, g)
        moved += abs(want - before)
        assert np.all(abs(c - want) <= 8 * EPS * (abs(before) + moved))
        assert np.array_equal(g, kept)
    assert opt.steps == len(grads)


@for_all("shape", [(), (1,), (0,), (3, 4), (2, 0, 3), (2, 1, 3)])
def test_any_shape_has_the_bits_of_its_numbers(update_method: Any, shape: tuple[int, ...]) -> None:
    n = math.prod(shape)
    flat, grads = start_of(n), gradients(n, 5)
    shaped = flat.reshape(shape).copy()
    one, two = class_of(update_method)(flat), class_of(update_method)(shaped)
    for g in grads:
        one.step(g)
        two.step(g.reshape(shape).copy())
    assert shaped.shape == shape
    assert shaped.tobytes() == flat.tobytes()


def test_lists_dicts_and_groups_are_one_array_in_parts(update_method: Any) -> None:
    make, c, grads = class_of(update_method), start_of(30), gradients(30, 6)
    cuts = (slice(0, 1), slice(1, 18), slice(18, 30))

    def parts(a: Array) -> list[Array]:
        return [a[cut].copy() for cut in cuts]

    whole, listed, tupled, named, grouped = c.copy(), parts(c), tuple(parts(c)), dict(zip("abc", parts(c), strict=True)), parts(c)
    opts = [
        (make(whole), lambda g: g),
        (make(listed), parts),
        (make(tupled), lambda g: tuple(parts(g))),
        (make(named), lambda g: dict(zip("cba", parts(g)[::-1], strict=True))),
        (make([{"params": grouped[:2]}, {"params": {"w": grouped[2]}}]), lambda g: [parts(g)[:2], {"w": parts(g)[2]}]),
    ]
    for opt, arrange in opts:
        for g in grads:
            opt.step(arrange(g))
    for result in (listed, tupled, list(named.values()), grouped):
        assert np.concatenate(result).tobytes() == whole.tobytes()


def test_no_parameters_at_all(update_method: Any) -> None:
    opt = class_of(update_method)([])
    opt.step([])
    assert opt.steps == 1


def test_groups_have_their_own_options() -> None:
    a, b, g = np.ones(3), np.ones(3), np.ones(3)
    opt = optim.SGD([{"params": a, "lr": 0.5}, {"params": [b], "maximize": True, "weight_decay": 0.5}], lr=0.25)
    opt.step([g, [g]])
    assert a.tolist() == [0.5] * 3
    assert b.tolist() == [1.125] * 3  # 1 - 0.25 (-1 + 0.5)
    assert [group["lr"] for group in opt.param_groups] == [0.5, 0.25]
    assert opt.param_groups[1]["maximize"] is True


def test_param_groups_are_read_and_set() -> None:
    c = np.ones(2)
    opt = optim.Adam(c, lr=0.5)
    group = opt.param_groups[0]
    assert (group["betas"], group["clip_value"], opt.lr) == ((0.9, 0.999), None, 0.5)
    group["lr"], group["betas"], group["maximize"] = 0.25, (0.5, 0.75), True
    assert (opt.lr, opt.param_groups[0]["betas"], opt.param_groups[0]["maximize"]) == (0.25, (0.5, 0.75), True)
    opt.step(np.ones(2))
    assert c == pytest.approx(1.25)
    opt.lr = 0.125
    assert dict(group)["lr"] == 0.125
    with pytest.raises(ValueError, match="expected a number in"):
        group["lr"] = -1.0
    with pytest.raises(TypeError, match="no parameter"):
        group["lrr"] = 1.0
    with pytest.raises(ValueError, match="make a new optimizer"):
        group["amsgrad"] = True
    with pytest.raises(TypeError, match="not removed"):
        del group["lr"]
    assert (opt.lr, group["amsgrad"]) == (0.125, False)


def test_bound_gradients_are_read_where_they_are(update_method: Any) -> None:
    a, b = [start_of(5), start_of(4)], [start_of(5), start_of(4)]
    bound = [np.empty(5), np.empty(4)]
    one, two = class_of(update_method)(a), class_of(update_method)(b)
    two.bind(bound)
    for g in gradients(9, 5):
        one.step([g[:5].copy(), g[5:].copy()])
        bound[0][:], bound[1][:] = g[:5], g[5:]
        two.step()
    assert [x.tobytes() for x in a] == [x.tobytes() for x in b]


@pytest.mark.parametrize("how", ["step", "bind"])
def test_a_refused_gradient_does_not_replace_the_bound_one(how: str) -> None:
    a, b = np.ones(2), np.ones(2)
    opt = optim.SGD([a, b], lr=1.0)
    opt.bind([np.ones(2), np.ones(2)])
    with pytest.raises(ValueError, match=r"g\[1\]: expected shape"):
        getattr(opt, how)([np.full(2, 7.0), np.ones(3)])
    opt.step()
    assert (a.tolist(), b.tolist()) == ([0.0, 0.0], [0.0, 0.0])


# ---- options ---------------------------------------------------------------------------------------------------------


def test_maximize_is_minus_the_gradient(update_method: Any) -> None:
    for weight_decay in (0.0, 0.25):
        up, down, grads = start_of(9), start_of(9), gradients(9, 6)
        walk(class_of(update_method)(up, maximize=True, weight_decay=weight_decay), grads)
        walk(class_of(update_method)(down, weight_decay=weight_decay), -grads)
        assert up.tobytes() == down.tobytes()


def test_weight_decay_l2_is_part_of_the_gradient(update_method: Any) -> None:
    options = {"lr": 0.25, "decoupled_weight_decay": False}
    c, by_hand = start_of(9), start_of(9)
    one, two = class_of(update_method)(c, weight_decay=0.5, **options), class_of(update_method)(by_hand, weight_decay=0.0, **options)
    for g in gradients(9, 6):
        one.step(g)
        two.step(g + 0.5 * two.ask())
    assert c.tobytes() == by_hand.tobytes()


def test_weight_decay_decoupled_shrinks_first(update_method: Any) -> None:
    if update_method.name in SEEING:
        return  # decays another point than c, or c by more than this: as its oracle says
    options = {"lr": 0.25, "decoupled_weight_decay": True}
    c = start_of(9)
    one = class_of(update_method)(c, weight_decay=0.5, **options)
    plain = start_of(9)
    two = class_of(update_method)(plain, weight_decay=0.0, **options)
    for k, g in enumerate(gradients(9, 6)):
        before, start = c.copy(), plain.copy()
        one.step(g)
        two.step(g)
        lr = RATES[update_method.name](defaults(update_method, lr=0.25), k)
        np.testing.assert_allclose(c - before * (1 - lr * 0.5), plain - start, rtol=0, atol=8 * EPS * np.max(abs(c) + abs(plain) + 1))


def test_clipping_by_value(update_method: Any) -> None:
    c, cut, grads = start_of(9), start_of(9), gradients(9, 6)
    walk(class_of(update_method)(c, clip_value=0.1), grads)
    walk(class_of(update_method)(cut), np.clip(grads, -0.1, 0.1))
    assert c.tobytes() == cut.tobytes()


@pytest.mark.parametrize("size", [0.5, 20.0, 1e6])
def test_clipping_by_the_norm_of_all(update_method: Any, size: float) -> None:
    """torch's form: all gradients times min(1, max/(norm + 1e-6))."""
    one, two = [start_of(7), start_of(2)], [start_of(7), start_of(2)]
    clipped, plain = class_of(update_method)(one, clip_norm=size, lr=0.25), class_of(update_method)(two, lr=0.25)
    rng = np.random.default_rng(3)
    for _ in range(6):
        g = [rng.standard_normal(7) * 5, rng.standard_normal(2) * 5]
        factor = min(1.0, size / (math.sqrt(math.fsum(x * x for part in g for x in part)) + 1e-6))
        clipped.step(g)
        plain.step([factor * part for part in g])
    for got, want in zip(one, two, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-13)


def test_norm_clipping_of_huge_gradients() -> None:
    c = np.zeros(4)
    optim.SGD(c, lr=1.0, clip_norm=2.0).step(np.array([1e200, -1e200, 1e200, 1e200]))
    np.testing.assert_allclose(c, [-1.0, 1.0, -1.0, -1.0], rtol=1e-15)


def test_schedule_is_a_changing_lr(update_method: Any) -> None:
    seen: list[int] = []

    def schedule(k: int) -> float:
        seen.append(k)
        return 0.5 / (1 + k)

    c, by_hand, grads = start_of(6), start_of(6), gradients(6, 5)
    scheduled, manual = class_of(update_method)(c, lr=schedule), class_of(update_method)(by_hand, lr=0.5)
    for k, g in enumerate(grads):
        scheduled.step(g)
        manual.lr = 0.5 / (1 + k)
        manual.step(g)
        assert scheduled.lr == manual.lr
    assert c.tobytes() == by_hand.tobytes()
    assert sorted(set(seen)) == [0, 1, 2, 3, 4]


def test_schedule_survives_setting_another_parameter() -> None:
    c = np.zeros(1)
    opt = optim.SGD(c, lr=lambda k: 0.5)
    opt.step(np.ones(1))
    opt.param_groups[0]["weight_decay"] = 0.0
    assert opt.lr == 0.5
    with pytest.raises(ValueError, match="expected a number in"):
        opt.lr = -1.0
    opt.step(np.ones(1))
    assert c[0] == -1.0


def test_pull_and_push_nesterov_are_one_sequence() -> None:
    """At constant lr and mu the look-ahead points of the pull form are the parameters of the push form."""
    push_c, pull_c = np.array([1.0, -2.0, 0.5]), np.array([1.0, -2.0, 0.5])
    push, pull = optim.Nesterov(push_c, lr=0.1, momentum=0.8), optim.Nesterov(pull_c, lr=0.1, momentum=0.8, form="pull")
    stiffness = np.array([1.0, 0.3, 4.0])
    for _ in range(60):
        ahead = pull.ask()
        np.testing.assert_allclose(ahead, push_c, rtol=0, atol=1e-14)
        push.step(stiffness * push_c)
        pull.step(stiffness * ahead)
    assert np.max(abs(push_c)) < 1e-3
    assert np.max(abs(pull_c - push_c)) > 1e-8  # two sequences of parameters, one of look-ahead points


def test_ask_gives_copies_of_the_parameters(update_method: Any) -> None:
    c = [start_of(5), np.ones((2, 2))]
    opt = class_of(update_method)(c)
    opt.step([np.ones(5), np.ones((2, 2))])
    state = copy.deepcopy(opt.state_dict())
    for mine, asked in zip(c, opt.ask(), strict=True):
        assert asked.tobytes() == mine.tobytes()
        assert not np.shares_memory(asked, mine)
    assert str(opt.state_dict()) == str(state)


def test_consistent_momentum_lookahead_asks_ahead() -> None:
    c = np.ones(1)
    opt = optim.ConsistentMomentum(c, lr=0.5, lookahead=True)
    opt.step(np.ones(1))  # v = -0.5, c = 0.75
    assert (c[0], opt.ask()[0]) == (0.75, 0.5)


def test_ask_is_not_reached_by_flush_to_zero() -> None:
    c = np.full(3, 1e-309)
    opt = optim.Nesterov(c, lr=0.5, form="pull")
    opt.step(c * 0.5)
    want = opt.ask().tobytes()
    with flush_to_zero():
        got = opt.ask().tobytes()
    assert got == want


def test_step_is_not_reached_by_flush_to_zero(update_method: Any) -> None:
    one, two, g = np.full(40, 1e-309), np.full(40, 1e-309), np.linspace(1, 2, 40) * 1e-309
    plain, flushed = class_of(update_method)(one, lr=0.25), class_of(update_method)(two, lr=0.25)
    plain.step(g)
    with flush_to_zero():
        flushed.step(g)
    assert one.tobytes() == two.tobytes()


# ---- state -----------------------------------------------------------------------------------------------------------


def test_state_dict_resumes_with_the_same_bits(update_method: Any) -> None:
    make, grads = class_of(update_method), gradients(12, 14)
    options = {"amsgrad": True} if "amsgrad" in defaults(update_method) else {}
    straight, part = start_of(12), start_of(12)
    walk(make(straight, lr=0.25, **options), grads)
    first = make(part, lr=0.25, **options)
    walk(first, grads[:5])
    state, saved = pickle.loads(pickle.dumps(first.state_dict())), part.copy()
    walk(first, grads[5:])
    assert part.tobytes() == straight.tobytes()  # saving did not change the continuing run
    resumed = make(saved, lr=0.5, **options)
    resumed.load_state_dict(state)
    walk(resumed, grads[5:])
    assert saved.tobytes() == straight.tobytes()
    assert resumed.steps == 14


def test_foreign_state_is_refused_and_changes_nothing(update_method: Any) -> None:
    c, make = start_of(3), class_of(update_method)
    opt = make(c)
    opt.step(np.ones(3))
    before = str(opt.state_dict())
    other = optim.SGD(np.ones(3), momentum=0.5) if update_method.name != "momentum" else optim.SGD(np.ones(3))
    strange = [other.state_dict(), make([np.ones(3), np.ones(3)]).state_dict()]
    if opt.state_dict()["vectors"][0]:
        strange.append(make(np.ones(4)).state_dict())
    for state in strange:
        with pytest.raises(ValueError, match=r"^state: "):
            opt.load_state_dict(state)
    assert str(opt.state_dict()) == before


ALONE = """
import numpy as np, mflow
c = np.ones(3)
opt = mflow.optim.Adam(c)
opt.step(np.ones(3))
"""


def alone(code: str) -> str:
    """In a process of its own: what it prints, or the last line of its error; a crash shows as its signal."""
    done = subprocess.run([sys.executable, "-c", ALONE + code], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), f"ended with code {done.returncode}"
    return done.stdout if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("scalars", ["[1.0] * 100_000", "[1.0]", "[]"])
def test_scalars_of_the_wrong_number_are_refused(scalars: str) -> None:
    assert "ValueError: state: " in alone(f"s = opt.state_dict(); s['groups'][0]['scalars'] = {scalars}; opt.load_state_dict(s)")


@pytest.mark.parametrize("steps", [-5, 1.5, "many", None])
def test_steps_that_are_no_count_are_refused(steps: Any) -> None:
    opt = optim.Adam(np.ones(3), lr=0.5)
    opt.step(np.ones(3))
    before = opt.state_dict()
    with pytest.raises((TypeError, ValueError), match=r"steps"):
        opt.load_state_dict({**before, "steps": steps})
    assert str(opt.state_dict()) == str(before)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["deepcopy", "pickle"])
def test_copies_go_on_with_the_same_bits(duplicate: Callable[[Any], Any], update_method: Any) -> None:
    """Optimizer and arrays copied together stay together, in every arrangement, and leave the originals alone."""
    grads = gradients(8, 6)
    c = {"a": start_of(8)[:3].copy(), "b": start_of(8)[3:].copy()}
    opt = class_of(update_method)(c, lr=0.25, clip_norm=2.0)
    opt.step({"a": grads[0][:3].copy(), "b": grads[0][3:].copy()})
    other, d = duplicate((opt, c))
    assert all(d[k].tobytes() == c[k].tobytes() and not np.shares_memory(c[k], d[k]) for k in c)
    for one in (opt, other):
        for g in grads[1:]:
            one.step({"a": g[:3].copy(), "b": g[3:].copy()})
    assert all(d[k].tobytes() == c[k].tobytes() for k in c)
    assert str(other.state_dict()) == str(opt.state_dict())


def test_a_shallow_copy_never_shares_vectors() -> None:
    """copy.copy may be refused or may give an optimizer of its own on the same arrays; both never own the same memory."""
    c = np.ones(2)
    opt = optim.Adam(c, lr=0.5)
    try:
        other = copy.copy(opt)
    except TypeError:
        return
    other.step(np.ones(2))
    assert (opt.steps, other.steps) == (0, 1)


# ---- errors ----------------------------------------------------------------------------------------------------------


@for_all(("wrong", "kind", "words"), [*WRONG, (READ_ONLY, ValueError, r"read-only .*\.copy\(\)")])
def test_parameters_that_do_not_fit(update_method: Any, wrong: Any, kind: Any, words: str) -> None:
    params = [np.ones(2), wrong] if not isinstance(wrong, list) else [np.ones(2), tuple(wrong)]
    with pytest.raises(kind, match=r"^params\[1\]: .*(" + words + ")"):
        class_of(update_method)(params)
    with pytest.raises(kind, match=r"^params\['w'\]: .*(" + words + ")"):
        class_of(update_method)({"w": params[1]})


@for_all(("wrong", "kind", "words"), [*WRONG, (np.ones(4), ValueError, r"expected shape \(3,\) as the parameters have, got \(4,\)")])
def test_gradients_that_do_not_fit(update_method: Any, wrong: Any, kind: Any, words: str) -> None:
    c, other = np.ones(3), np.ones(3)
    opt = class_of(update_method)([other, c])
    with pytest.raises(kind, match=r"^g\[1\]: .*(" + words + ")"):
        opt.step([np.ones(3), wrong])
    assert (opt.steps, c.tolist(), other.tolist()) == (0, [1.0] * 3, [1.0] * 3)
    opt.step([np.ones(3), READ_ONLY])  # a gradient is only read
    assert opt.steps == 1


@pytest.mark.parametrize("g", [np.ones((3, 1)), np.ones((1, 3)), np.ones(()), np.ones(0)])
def test_gradient_of_another_shape(g: Array) -> None:
    with pytest.raises(ValueError, match=r"^g: expected shape \(3,\) as the parameters have, got "):
        optim.Adam(np.ones(3)).step(g)


def test_gradients_in_another_arrangement() -> None:
    two = optim.SGD([np.ones(2), np.ones(2)])
    for g in ([np.ones(2)], [np.ones(2)] * 3, (np.ones(2),), {"a": np.ones(2)}, np.ones(2)):
        with pytest.raises((TypeError, ValueError), match=r"^g: "):
            two.step(g)
    named = optim.SGD({"a": np.ones(2)})
    for wrong in ([np.ones(2)], {"b": np.ones(2)}, {}):
        with pytest.raises(TypeError, match="keys"):
            named.step(wrong)
    with pytest.raises(TypeError, match=r"none is bound; call opt\.step\(g\), or opt\.bind\(g\)"):
        two.step()


def test_gradient_must_not_share_memory_with_its_parameters(update_method: Any) -> None:
    memory = np.ones(8)
    opt = class_of(update_method)(memory[:5])
    for g in (memory[:5], memory[3:8]):
        with pytest.raises(ValueError, match=r"^g: .* shares memory with parameters.* copy"):
            opt.step(g)
    assert np.all(memory == 1.0)


def test_gradients_that_are_each_others_parameters(update_method: Any) -> None:
    """f = a.b has the gradients (b, a): what one array's step changes must not be read by the next, or it is refused."""
    a, b, x, y = np.ones(3), np.full(3, 2.0), np.ones(3), np.full(3, 2.0)
    opt, apart = class_of(update_method)([a, b], lr=0.1), class_of(update_method)([x, y], lr=0.1)
    apart.step([y.copy(), x.copy()])
    try:
        opt.step([b, a])
    except ValueError as error:
        assert "shares memory" in str(error)  # noqa: PT017
        assert (a.tolist(), b.tolist()) == ([1.0] * 3, [2.0] * 3)
        return
    assert (a.tolist(), b.tolist()) == (x.tolist(), y.tolist())


@pytest.mark.parametrize("parts", [(slice(0, 5), slice(0, 5)), (slice(0, 3), slice(2, 5))])
def test_parameters_must_not_share_memory(parts: tuple[slice, slice]) -> None:
    memory = np.ones(5)
    with pytest.raises(ValueError, match=r"^params: expected arrays that share no memory, got arrays 0 and 1"):
        optim.SGD([memory[part] for part in parts])
    with pytest.raises(ValueError, match=r"^params: .* updated twice a step"):
        optim.SGD([memory, memory])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_gradient_changes_nothing(update_method: Any, bad: float) -> None:
    c = [np.ones(4), np.ones((3, 5))]
    opt = class_of(update_method)(c)
    opt.step([np.ones(4), np.ones((3, 5))])
    before, values = str(opt.state_dict()), [a.copy() for a in c]
    g = np.ones((3, 5))
    g[1, 2] = bad
    with pytest.raises(FloatingPointError, match=r"^g\[1\]\[1, 2\] = .* at step 1: nothing was changed.*check_finite=False"):
        opt.step([np.ones(4), g])
    assert str(opt.state_dict()) == before
    assert all(np.array_equal(a, v) for a, v in zip(c, values, strict=True))


@pytest.mark.parametrize("place", [0, 49_000])
def test_non_finite_gradient_in_a_large_step_says_what_happened(update_method: Any, place: int) -> None:
    c, clean, g = np.ones(70_000), np.ones(70_000), np.ones(70_000)
    opt = class_of(update_method)(c, lr=0.5)
    class_of(update_method)(clean, lr=0.5).step(g)
    g[place] = math.nan
    with pytest.raises(FloatingPointError, match=rf"^g\[{place}\] = nan at step 0") as info:
        opt.step(g)
    start = place // 512 * 512
    left_out = f"all took this step but the blocks of 512 with such a number, the first at g.flat[{start}]"
    assert ("nothing was changed" if place == 0 else left_out) in str(info.value)
    clean[start : 70_000 if place == 0 else start + 512] = 1.0
    assert np.array_equal(c, clean)


def test_check_finite_can_be_left_out(update_method: Any) -> None:
    c = np.ones(3)
    class_of(update_method)(c, check_finite=False).step(np.array([1.0, math.nan, 1.0]))
    assert np.isnan(c).tolist() == [False, True, False]


def test_non_finite_gradient_with_norm_clipping_changes_nothing() -> None:
    c = np.ones(70_000)
    g = np.ones(70_000)
    g[60_000] = math.inf
    with pytest.raises(FloatingPointError, match="nothing was changed"):
        optim.SGD(c, clip_norm=1.0).step(g)
    assert np.all(c == 1.0)


def test_options_that_do_not_fit() -> None:
    c = np.ones(2)
    for options, kind, words in [
        ({"lr": -1.0}, ValueError, r"lr: expected a number in \[0, .*, got -1\.0"),
        ({"lr": "fast"}, TypeError, "a number in"),
        ({"lr": math.nan}, ValueError, "expected a number in"),
        ({"betas": (0.9, 1.0)}, ValueError, r"betas\[1\]: expected a number in \[0, 1\) for adam, got 1\.0"),
        ({"betas": 0.9}, TypeError, "betas: expected 2 numbers for adam, as in"),
        ({"momentun": 0.9}, TypeError, "no parameter 'momentun'"),
        ({"amsgrad": 2}, ValueError, "True or False"),
        ({"clip_norm": 0.0}, ValueError, "clip_norm: expected a number above 0, or None, got 0.0"),
    ]:
        with pytest.raises(kind, match=words):
            optim.Adam(c, **options)
    with pytest.raises(ValueError, match=r"nesterov: expected a momentum above 0"):
        optim.SGD(c, nesterov=True)
    with pytest.raises(ValueError, match=r"dampening: expected a momentum above 0 .* got dampening = 0\.5"):
        optim.SGD(c, dampening=0.5)
    with pytest.raises(AttributeError, match="did you mean 'Adam'"):
        optim.Adm
    with pytest.raises(TypeError, match="expected one of its classes"):
        optim.Optimizer(c)


@pytest.mark.parametrize("bad", [None, "x", math.nan, -1.0, math.inf])
def test_schedule_that_returns_no_rate(bad: Any) -> None:
    c = np.ones(2)
    opt = optim.SGD(c, lr=lambda k: 0.5 if k == 0 else bad)
    opt.step(np.ones(2))
    with pytest.raises((TypeError, ValueError), match=r"^lr"):
        opt.step(np.ones(2))
    assert (opt.steps, c.tolist()) == (1, [0.5, 0.5])


def test_step_within_a_step_is_refused() -> None:
    c = np.ones(2)
    opt = optim.SGD(c, lr=0.5)
    opt.lr = lambda k: (opt.step(np.ones(2)), 0.5)[1] if opt.steps else 0.5
    opt.step(np.ones(2))
    with pytest.raises(RuntimeError, match=r"already stepping.*when this process was forked"):
        opt.step(np.ones(2))
    assert (opt.steps, c.tolist()) == (1, [0.5, 0.5])


# ---- torch -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), PARITY)
def test_torch_makes_the_same_steps(torch: Any, name: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(11)
    c = rng.standard_normal(50)
    theirs = torch.nn.Parameter(torch.tensor(c))
    mine, other = getattr(optim, name)(c, **options), getattr(torch.optim, name)([theirs], **options)
    exact, sign = Follow(mine.record.name, mine.parameters_of(0), c), -1.0 if options.get("maximize") else 1.0
    moved = np.zeros(50)
    for _ in range(200):
        g, before = rng.standard_normal(50), c.copy()
        theirs.grad = torch.tensor(g)
        with torch.no_grad():
            theirs.copy_(torch.tensor(before))  # so that rounding in c itself, two sums a step in torch's NAdam, does not pile up
        mine.step(g)
        other.step()
        moved += abs(c - before)
        want, out = exact.step(before, g, sign), theirs.detach().numpy()
        beyond = abs(c - out) > 2 * EPS * abs(before) + 8 * EPS * moved
        assert np.all(abs(c - want)[beyond] <= abs(out - want)[beyond])  # where torch's formula loses digits, as RAdam's rho does


@pytest.mark.parametrize("name", sorted({case[0] for case in PARITY}))
def test_torch_has_the_same_defaults(torch: Any, name: str) -> None:
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    mine = inspect.signature(getattr(optim, name)).parameters
    ignored = {"params", "foreach", "capturable", "differentiable", "fused"}
    for key in set(theirs) - ignored:
        assert key in mine, key
        assert mine[key].default == theirs[key].default, key


def test_torch_schedules_alike(torch: Any) -> None:
    """Under a changing lr the push form of nesterov follows torch."""
    c = start_of(5)
    theirs = torch.nn.Parameter(torch.tensor(c))
    mine = optim.SGD(c, lr=lambda k: 0.1 * 0.5**k, momentum=0.9, nesterov=True)
    other = torch.optim.SGD([theirs], lr=0.1, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(other, gamma=0.5)
    for g in np.random.default_rng(5).standard_normal((20, 5)):
        theirs.grad = torch.tensor(g)
        mine.step(g)
        other.step()
        schedule.step()
    np.testing.assert_allclose(c, theirs.detach().numpy(), rtol=0, atol=1e-15)


def test_euler_and_sgd_are_one(update_method: Any) -> None:
    """The classes of `mflow.optim` are the update methods of `mflow.methods`, with their defaults."""
    assert class_of(update_method)(np.ones(1)).lr == mflow.get_method(update_method.name).parameters["lr"]
