"""Optimizers and fits that another thread was using when the process was forked: the child is told so."""

import os
import subprocess
import sys

import pytest

from support.places import environment_for

FORKED = """
import os, threading, warnings
import numpy as np
import mflow
from mflow_core.implicit.proximal import ProximalSteps

warnings.simplefilter("ignore")  # a fork of a process that has threads: the very thing that is tested
inside, leave = threading.Event(), threading.Event()


def wait(value):
    if threading.current_thread() is not threading.main_thread():
        inside.set()
        leave.wait(60)
    return value


opt = mflow.optim.Adam(np.ones(3), lr=lambda k: wait(0.1))
steps = ProximalSteps(lambda c, rows, slopes: wait((np.ones(len(rows)), np.ones((len(rows), 2)))), np.zeros(2), 1)
run = lambda: steps.run(np.arange(1), 1, np.ones(1))
for use, others in ((lambda: opt.step(np.ones(3)), [opt.state_dict, opt.ask]), (run, [])):
    inside.clear(), leave.clear()
    thread = threading.Thread(target=use)
    thread.start()
    inside.wait(60)
    for again in (use, *others):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                again()
            except RuntimeError as error:
                os.write(write, str(error).encode())
            os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        print(os.read(read, 1000).decode())
    leave.set()
    thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_is_told_of_what_was_in_use_when_it_was_forked() -> None:
    """It was told of another thread, which a child does not have, and nothing that it could do."""
    run = [sys.executable, "-c", FORKED]
    out = subprocess.run(run, capture_output=True, text=True, check=False, timeout=120, env=environment_for(__file__))
    lines = out.stdout.splitlines()
    assert len(lines) == 4, out.stderr
    assert all("when this process was forked" in line for line in lines), lines
    assert "made there" in lines[1]
