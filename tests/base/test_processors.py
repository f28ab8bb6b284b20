"""How many threads there are by default: as many as the processors that the process is bound to."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os
os.sched_setaffinity(0, {next(iter(os.sched_getaffinity(0)))})
from mflow.base.threads import processors
print(processors())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system binds no process")
def test_those_that_it_is_bound_to() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == "1\n"


def test_a_system_that_binds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from mflow.base.threads import processors

    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert processors() == 7
