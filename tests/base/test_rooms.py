"""Names of `mflow` that stand in one of its modules: the error says in which."""

from __future__ import annotations

import pytest

import mflow


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("EMA", "optim.EMA"),
        ("Logistic", "objectives.Logistic"),
        ("StepLR", "schedules.StepLR"),
        ("read_record", "data.read_record"),
        ("NewtonKrylov2", ""),
    ],
)
def test_a_name_of_a_module_is_answered_by_it(name: str, place: str) -> None:
    with pytest.raises(AttributeError, match=f"it is mflow.{place}$" if place else "has no 'NewtonKrylov2'; "):
        getattr(mflow, name)


def test_a_kind_of_fits_leads_to_them() -> None:
    with pytest.raises(ValueError, match=r"'model'; mflow\.compile_fit compiles a model and its fit"):
        mflow.compile(lambda x, a: a * x, kind="model")
