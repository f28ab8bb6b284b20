"""The battery for optimizers: every update method on every instruction set, from the registry."""

import math
from typing import Any

import numpy as np
import pytest
from mflow_core.optimize import updater

from support.battery import EPS, bits, descent_of, same_at
from support.levels import LEVELS
from support.oracles.reference import LIMIT_FLOWS, Follow, defaults, looks_ahead, variants
from support.problems import SIZES, Array, Walk, gradients, start_of
from support.small_cases import for_all

# ---- updates ---------------------------------------------------------------------------------------------------------


def test_update_agrees_with_its_oracle(update_method: Any) -> None:
    """On every level, to 8 roundings; where the formula itself is worse (RAdam's takes thousands from thousands), to half of what it
    loses in doubles."""
    c0, grads = start_of(61), gradients(61, 25)
    for parameters in variants(update_method):
        for scale in (1.0, -0.5):
            walks = [Walk(same_at(update_method, level), parameters, c0) for level in LEVELS]
            oracle, rounded = (Follow(update_method.name, parameters, c0, number) for number in (np.longdouble, np.float64))
            moved, allowed = np.zeros(c0.shape, np.longdouble), 8 * EPS
            for k, g in enumerate(grads):
                before = walks[0].vectors[0].copy()
                want = oracle.step(before, g, scale)
                loss = np.abs(rounded.step(before, g, scale) - want)
                for walk in walks:
                    walk.step(g, scale)
                moved = moved + np.abs(want - before)
                size = np.abs(before) + moved
                allowed = max(allowed, 0.5 * np.max(loss / size))
                for walk, level in zip(walks, LEVELS, strict=True):
                    assert np.all(np.abs(walk.vectors[0] - want) <= allowed * size), (parameters, scale, k, level)


def test_update_writes_the_vectors_of_its_record_and_no_others(update_record: Any) -> None:
    """The record names as many vectors as `apply` is told of: one more would be dead weight, one fewer somebody else's memory."""
    for parameters in variants(update_record):
        sizes = update_record.sizes(parameters)
        vectors, guards = [np.ones(13) for _ in range(sizes["n_vec"])], [np.full(13, 7.0) for _ in range(2)]
        updater.start(update_record, parameters, vectors)
        first, scalars = [vector.copy() for vector in vectors], np.zeros(max(sizes["n_scal"], 1))
        for k, g in enumerate(gradients(13, 4)):
            coefficients = updater.begin(update_record, parameters, k, scalars)
            updater.update(update_record, coefficients, 1.0, [*vectors, *guards], g)
        assert all(np.all(guard == 7.0) for guard in guards), parameters
        assert all(np.any(now != before) for now, before in zip(vectors, first, strict=True)), parameters


def test_update_order_in_lr(flow_record: Any) -> None:
    """For lr -> 0 the linear methods follow their flow, to the declared order."""
    L, T, errors = 0.5, 1.0, []
    for steps in (2000, 4000):
        parameters = defaults(flow_record, lr=T / steps)
        parameters.update({"friction": 0.5} if "friction" in parameters else {"momentum": 0.5} if "momentum" in parameters else {})
        walk = Walk(flow_record, parameters, np.ones(1))
        for _ in range(steps):
            walk.step(L * walk.vectors[0])
        errors.append(abs(walk.vectors[0][0] - LIMIT_FLOWS[flow_record.name](parameters, L, T)))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(flow_record.order, abs=0.05)


@for_all("n", SIZES)
def test_update_has_the_same_bits_on_every_level(update_method: Any, n: int) -> None:
    c0, grads, moved = start_of(n), gradients(n, 4), False
    for parameters in (variants(update_method)[0], variants(update_method)[-1]):
        walks = [Walk(same_at(update_method, level), parameters, c0) for level in LEVELS]
        before = walks[0].bits
        for g in grads:
            for walk in walks:
                walk.step(g)
            assert len({walk.bits for walk in walks}) == 1
            moved = moved or walks[0].bits != before
    assert moved or n < 64  # steps of one length may lead back to the start, small gradients may lie on a plateau


def test_ask_has_the_same_bits_on_every_level(update_record: Any) -> None:
    """The point of the gradient: c, or ahead of it by a multiple of v, for every form of the method."""
    for parameters in variants(update_record):
        points = []
        for record in (update_record, *(same_at(update_record, level) for level in LEVELS)):
            walk = Walk(record, parameters, start_of(77))
            for g in gradients(77, 2):
                walk.step(g)
            points.append(updater.ask(record, updater.begin(record, parameters, 2, walk.scalars), walk.vectors))
            c = walk.vectors[0]
        assert len(set(map(bits, points))) == 1
        ahead = looks_ahead(update_record) or parameters.get("lookahead", parameters.get("form", 0.0))
        assert (bits(points[0]) != bits(c)) == bool(ahead)


@for_all("cuts", [(1,), (0, 5, 5), (13, 64, 65, 200), tuple(range(1, 257)), (256,)])
def test_update_chunks_have_the_same_bits(update_record: Any, cuts: tuple[int, ...]) -> None:
    c0, grads = start_of(257), gradients(257, 4)
    for parameters in variants(update_record):
        whole, parts = Walk(update_record, parameters, c0), Walk(update_record, parameters, c0, cuts)
        for g in grads:
            whole.step(g)
            parts.step(g)
        assert whole.bits == parts.bits


def test_update_stays_inside_its_range(update_record: Any) -> None:
    """Outside nothing is written; inside are the bits of an update of everything."""
    whole, part = (Walk(update_record, defaults(update_record, lr=0.5), start_of(40)) for _ in range(2))
    for k, g in enumerate(gradients(40, 3)):
        before = [vector.copy() for vector in whole.vectors]
        for vector, old in zip(part.vectors, before, strict=True):
            vector[:] = old
        whole.step(g)
        updater.update(update_record, updater.begin(update_record, part.parameters, k, part.scalars), 1.0, part.vectors, g, 11, 29)
        for vector, full, old in zip(part.vectors, whole.vectors, before, strict=True):
            assert bits(vector) == bits(np.concatenate([old[:11], full[11:29], old[29:]]))
    assert bits(whole.vectors[0][11:29]) != bits(start_of(40)[11:29])


def test_nan_stays_where_it_is_and_is_not_lost(update_record: Any) -> None:
    """A NaN in one gradient is in c from then on, and in every vector that a small change of that gradient would still be seen in."""
    for parameters in variants(update_record):
        clean, changed, dirty = (Walk(update_record, parameters, start_of(33)) for _ in range(3))
        first, second = gradients(33, 2)
        for walk, value in ((clean, 0.25), (changed, 0.25 * (1 + 2.0**-20)), (dirty, np.nan)):
            first[7] = value
            walk.step(first)
        others = np.arange(33) != 7
        assert np.isnan(dirty.vectors[0][7])
        assert bits(dirty.vectors[0][others]) == bits(clean.vectors[0][others])
        for walk in (clean, changed, dirty):
            walk.step(2.0**-10 * second)  # small: what is largest is the first
        assert np.isnan(dirty.vectors[0][7])
        for name, *entries in zip(update_record.vectors, *(walk.vectors for walk in (clean, changed, dirty)), strict=False):
            a, b, c = (entry[7] for entry in entries)
            assert a == b or np.isnan(c), (name, parameters)  # no maximum has swallowed it


def test_descent_counts_and_resumes(update_record: Any) -> None:
    """Run.descend: one gradient an iteration; a saved run goes on with the same bits, and with those of the functions of the record."""
    c0, calls = start_of(9), []

    def grad(c: Array) -> Array:
        calls.append(c)
        return 1.5 * c - 0.25

    straight = descent_of(update_record, grad, c0)
    assert straight.descend(20, -1.0, False) == 0
    assert len(calls) == straight.njev == straight.nfev == 20
    first = descent_of(update_record, grad, c0)
    first.descend(7, -1.0, False)
    resumed = descent_of(update_record, grad, np.ones(9))
    resumed.unpack(first.pack())
    resumed.descend(13, -1.0, False)
    assert resumed.pack() == straight.pack()
    walk = Walk(update_record, defaults(update_record), c0)
    for _ in range(20):
        walk.step(grad(walk.asked))
    assert bits(walk.vectors[0]) == bits(straight.vector(0))
