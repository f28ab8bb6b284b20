"""Every method and driver gives the bits of record (`tools/bits.py`, which also compares the other levels and writes the record).

What was run when the record was written is in `support/bitcases`; methods come from the registry, and one without a record is no failure.
"""

import importlib.util
import math
from typing import Any

import pytest

from support.places import ROOT


@pytest.fixture(scope="module")
def bits() -> Any:
    spec = importlib.util.spec_from_file_location("tools_bits", ROOT / "tools" / "bits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_bits_of_record(bits: Any) -> None:
    """At the level in use; the rest of the suite holds levels against each other."""
    said: list[str] = []
    assert bits.compare(said.append) == 0, "\n".join(line for line in said if not line.startswith("new"))
    assert int(said[-1].split()[0]) > 1000


def test_a_last_bit_is_seen(bits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    record = bits.read()
    key = "solve_ivp rk4 fixed n=3"
    assert key in record["bits"]
    sha, numbers, facts, marks = record["bits"][key]
    other = math.nextafter(float.fromhex(numbers[-1]), math.inf).hex()
    said: list[str] = []

    def compared(line: list[Any], **more: Any) -> int:
        monkeypatch.setattr(bits, "read", lambda: {"bits": {key: line, **more}, "machine": {}})
        said.clear()
        return bits.compare(said.append, only=key)

    assert compared([sha, numbers, facts, marks]) == 0
    assert compared(["0" * 64, [*numbers[:-1], other], facts, marks]) == 1
    assert said[0].startswith(f"DIFFERS {key}: y.flat[")
    assert other in said[0]
    assert numbers[-1] in said[0]
    assert compared(["0" * 64, numbers, [facts[0], facts[1] + 1, *facts[2:]], marks]) == 1
    assert f"nfev: recorded {facts[1] + 1}, now {facts[1]}" in said[0]
    assert compared([sha, numbers, facts, marks], **{f"{key} gone": [sha, [], [], ""]}) == 1
    assert said[0].startswith(f"GONE {key} gone")


def test_a_method_without_a_record_is_no_failure(bits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bits, "read", lambda: {"bits": {}, "machine": {}})
    said: list[str] = []
    assert bits.compare(said.append, only="solve_ivp rk4 fixed n=3") == 0
    assert said[0] == "new: not recorded: solve_ivp rk4 fixed n=3"
