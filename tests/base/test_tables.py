"""What results look like in a notebook: HTML that parses, with what the text says, and nothing of the user's read as markup."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.base.tables import Readable, Table


class Reader(HTMLParser):
    """The words of a page; fails where tags do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.seen: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data.split()


def cost(x: Any) -> Any:
    return float(np.sum((x - 1) ** 2))


def fit() -> Any:
    t = np.linspace(0, 1, 12)
    return mflow.curve_fit(lambda t, a, b: a * np.exp(-b * t), t, 2 * np.exp(-1.5 * t) + 0.01 * np.sin(9 * t), [1, 1])


REPORTS = {
    "certificate": lambda: mflow.minimize(cost, [0.0, 0.0]).certificate(),
    "convergence": lambda: mflow.convergence("rk4"),
    "consistency": lambda: mflow.consistency("sgd"),
    "explain": lambda: mflow.explain(cost, [0.0, 0.0]),
    "fit": fit,
    "gradient": lambda: mflow.check_gradient(cost, [0.3, 0.2], lambda x: 2 * (x - 1)),
    "posedness": lambda: mflow.posedness(lambda t, y: -y, 0.0, [1.0]),
    "sweep": lambda: mflow.sweep(lambda method, lr, seed: {"loss": lr}, ["sgd", "adam"], [0.1, 1.0]),
}


@pytest.mark.parametrize("make", REPORTS.values(), ids=list(REPORTS))
def test_a_report_says_the_same_in_a_notebook(make: Any) -> None:
    report = make()
    assert isinstance(report, Readable)
    page = Reader(report._repr_html_())
    assert page.words == str(report).split()


@pytest.mark.parametrize("result", [
    lambda: mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0]), lambda: mflow.minimize(cost, [0.0]),
    lambda: mflow.solve_dynamics(1.0, None, 1.0, None, (0, 1), [1.0], dt=0.1),
])  # fmt: skip
def test_a_result_is_a_table_of_its_fields(result: Any) -> None:
    r = result()
    page = Reader(r._repr_html_())
    assert page.seen >= {"table", "caption", "th", "pre"}
    assert set(r) <= set(page.words)
    assert r.reason in page.words


def test_words_are_no_markup() -> None:
    table = Table(["<b>", "&"], [["a<b", "</td>"]])
    assert Reader(table.html()).words == ["<b>", "&", "a<b", "</td>"]
    r = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0])
    r.message = "<script>"
    assert "script" not in Reader(r._repr_html_()).seen


def test_a_table_in_plain_text() -> None:
    assert str(Table(["dt", "order"], [["0.1", "2.00"], ["0.05", ""]])) == "dt    order\n0.1    2.00\n0.05"


def test_every_report_has_its_table_as_text() -> None:
    for make in REPORTS.values():
        report = make()
        assert report.table() == str(report)


def test_a_result_shows_a_networks_parameters_in_short() -> None:
    """Each weight was printed twice, before the reason and the message."""
    p = {"W": np.ones((4, 16)), "b": np.zeros(16), "c": np.zeros(1)}
    zero = {key: np.zeros_like(a) for key, a in p.items()}
    r = mflow.train(lambda p, X: (0.5, zero), p, np.ones((4, 1)), "sgd", lr=0.1, epochs=1, jac=True)
    assert "params: {'W': float64 (4, 16), 'b': float64 (16,), 'c': array([0.])}" in str(r)
    r.params = [np.ones(7), (np.ones((1, 9)), 3, "four")]
    assert "params: [float64 (7,), (float64 (1, 9), 3, 'four')]" in str(r)
    r.params = ([*range(30)],)
    assert "params: ([0, 1, 2, ..., 27, 28, 29],)" in str(r)
