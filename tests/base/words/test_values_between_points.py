"""Values between the saved points, asked of the result itself, as other libraries' solutions are called."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import mflow


def decay(**options: Any) -> Any:
    return mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], **options)


def spring(**options: Any) -> Any:
    return mflow.solve_dynamics(stiffness=4.0, t_span=(0, 1), x0=[1.0], dt=0.1, **options)


@pytest.mark.parametrize("run", [decay, spring])
def test_a_result_names_what_has_them(run: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"Result: expected r\.sol\(t\) .*, got r\(t\): give dense_output=True to the call"):
        run()(0.5)
    dense = run(dense_output=True)
    with pytest.raises(TypeError, match=r"got r\(t\): call r\.sol\(t\)$"):
        dense(0.5)
    assert dense.sol(0.5) is not None


def test_copies_answer_as_well() -> None:
    for one in (copy.copy(decay()), pickle.loads(pickle.dumps(decay()))):
        with pytest.raises(TypeError, match=r"expected r\.sol\(t\)"):
            one(0.5)
