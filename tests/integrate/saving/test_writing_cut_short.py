"""Files whose writing is cut short: by a signal that is answered when the file has its name already, and by a disk that is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

import mflow
from mflow.saving import savefile


def swing(t: float, y: Any) -> Any:
    return [y[1], -y[0]]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_a_signal_when_the_file_is_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: type[BaseException]) -> None:
    target = tmp_path / "run.mflow"
    replace = os.replace

    def answered(name: str, path: Path) -> None:
        replace(name, path)
        raise raised

    monkeypatch.setattr(savefile.os, "replace", answered)
    with pytest.raises(raised) as told:
        mflow.solve_ivp(swing, (0, 50), [1.0, 0.0], save="last", checkpoint=target, checkpoint_every=20)
    monkeypatch.undo()
    if raised is KeyboardInterrupt:
        assert told.value.partial_result.reason == "interrupted"  # type: ignore[attr-defined]
    assert [path.name for path in tmp_path.iterdir()] == ["run.mflow"]
    assert mflow.solve_ivp(swing, (0, 50), [1.0, 0.0], save="last", resume=target).success


def test_a_full_disk_names_the_file_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "run.mflow"
    target.write_bytes(b"what it held")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(savefile.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as told:
        savefile.replace_file(target, b"new")
    assert any("run.mflow' was written; what it held before is kept" in note for note in told.value.__notes__)
    assert target.read_bytes() == b"what it held"
    assert [path.name for path in tmp_path.iterdir()] == ["run.mflow"]


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_first_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    calls = []
    with pytest.raises(PermissionError, match=r"checkpoint: the folder .* cannot be written to"):
        mflow.solve_ivp(lambda t, y: calls.append(t) or [0.0], (0, 1), [1.0], checkpoint=tmp_path / "run.mflow")
    assert not calls


@pytest.mark.skipif(os.name == "nt", reason="rights and links of POSIX")
def test_files_have_the_rights_of_any_new_file_and_links_stay(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    target, link = tmp_path / "scratch" / "run.mflow", tmp_path / "run.mflow"
    link.symlink_to(target)
    before = os.umask(0o002)
    try:
        mflow.solve_ivp(swing, (0, 5), [1.0, 0.0], checkpoint=link)
        assert target.stat().st_mode & 0o777 == 0o664
        target.chmod(0o640)
        mflow.solve_ivp(swing, (0, 5), [1.0, 0.0], checkpoint=link)
    finally:
        os.umask(before)
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["run.mflow", "run.mflow", "scratch"]
    assert mflow.solve_ivp(swing, (0, 5), [1.0, 0.0], resume=link).success


def test_a_limit_on_steps_counts_those_before_the_file(tmp_path: Path) -> None:
    call: dict[str, Any] = {"fun": swing, "t_span": (0, 50), "y0": [1.0, 0.0], "max_steps": 30}
    path = tmp_path / "run.mflow"
    assert mflow.solve_ivp(**call, checkpoint=path, checkpoint_every=10).message.startswith("max_steps = 30 was reached, and t = ")
    again = mflow.solve_ivp(**call, resume=path)
    assert again.nsteps == 30
    assert again.message.startswith("max_steps = 30 was reached, 30 of them before the file, and t = ")
    assert mflow.solve_ivp(**{**call, "max_steps": 40}, resume=path).nsteps == 40
