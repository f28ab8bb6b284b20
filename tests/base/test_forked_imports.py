"""A child that is forked while another thread imports a part of mflow: what it asks for then is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FORKS = """
import os, threading, time
import mflow
mflow._PLACES["slowly"] = "slow_part"                # a module that is still being imported when the process is forked
os.slow_part_began = threading.Event()               # which the module sets
other = threading.Thread(target=lambda: mflow.slowly)
other.start()
assert os.slow_part_began.wait(30.0)
end = time.monotonic() + 5.0
child = os.fork()
if child == 0:
    os._exit(mflow.slowly)
while True:
    done, status = os.waitpid(child, os.WNOHANG)
    if done or time.monotonic() > end:
        break
    time.sleep(0.01)
if not done:
    os.kill(child, 9)
    os.waitpid(child, 0)
other.join()
print(os.waitstatus_to_exitcode(status) if done else "hangs")
"""


def printed_by(script: str, slow_part: str, folder: Path) -> str:
    """What a Python of its own prints that runs the script, with a module slow_part to import."""
    (folder / "slow_part.py").write_text(slow_part)
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    given = {"env": {**os.environ, "PYTHONPATH": paths}, "capture_output": True, "text": True, "timeout": 60}
    return subprocess.run([sys.executable, "-c", script], check=True, **given).stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is none on this system")
def test_a_child_that_is_forked_during_an_import(tmp_path: Path) -> None:
    """It waited for ever for a thread that it does not have."""
    assert printed_by(FORKS, "import os, time\nos.slow_part_began.set()\ntime.sleep(0.5)\nslowly = 7\n", tmp_path) == "7"


BOTH = """
import threading, time
import mflow
mflow._PLACES["slowly"] = "slow_part"
def at_once():
    import slow_part           # has the lock of the module, and asks mflow for a part of it later
threads = [threading.Thread(target=at_once), threading.Thread(target=lambda: (time.sleep(0.1), mflow.slowly))]
for one in threads:
    one.start()
for one in threads:
    one.join(10.0)
print("hangs" if any(one.is_alive() for one in threads) else "7", flush=True)
import os
os._exit(0)
"""


def test_imports_of_two_threads_do_not_wait_for_each_other(tmp_path: Path) -> None:
    (tmp_path / "slow_part.py").write_text("import time\ntime.sleep(0.5)\nimport mflow\nmflow.Stepper\nslowly = 7\n")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", BOTH], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "7", done.stderr
