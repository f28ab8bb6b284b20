"""Files that hold a state: written as a whole or not at all, with a checksum, without pickle.

A file is a line that names its kind, the CRC-32 of the rest (4 bytes, little-endian), a line of JSON, and blocks of bytes whose lengths
the JSON gives. A checksum says that the bytes are those that were written, not that they make sense: who reads a file checks every field.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import stat
import time
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mflow.base.checks import Array, check_saved

if TYPE_CHECKING:
    from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["misfit_of", "number_of", "numbers_of", "read_state", "replace_file", "write_state"]

LONGEST_HEAD = 1 << 30  # of the line of JSON: the times of t_eval are in it
MOST_DIGITS = 300  # of a whole number in it: float() takes what is below 1.8e308
OLD = 3600.0  # seconds after which a file that is still being written is a stale one, where there are no locks
PART = ".mflow.part"  # what a file is called while it is written; a leading dot and some letters come before it
READERS = {  # who goes on from a file of each kind
    "stepper": "mflow.Stepper.load, and resume= of mflow.minimize, read",
    "checkpoint": "resume= of the driver that wrote it reads",
    "training": "resume= of mflow.train reads",
}
KIND = re.compile(rf"mflow ({'|'.join(READERS)}) \d".encode())  # how a file begins


def write_state(path: str | os.PathLike[str], kind: str, facts: dict[str, Any], blocks: dict[str, bytes]) -> None:
    """Write ``facts`` (what JSON can hold) and ``blocks`` to a file, atomically; remove what killed writers of it have left behind.

    Raises FileNotFoundError if its folder does not exist, FileExistsError if something else than a file has its name, OSError if it cannot
    be written; an older file then stays as it was. Where the path is a link, the file that it leads to is written.
    """
    import json
    from pathlib import Path

    head = {"facts": facts, "blocks": [[name, len(data)] for name, data in blocks.items()]}
    body = json.dumps(head).encode() + b"\n" + b"".join(blocks.values())
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target}: expected a folder {target.parent} to save it in, found none; make it first")
    if target.exists() and not target.is_file():
        raise FileExistsError(f"{target}: expected a file to save to, got a folder or a device; give another name")
    replace_file(target, f"mflow {kind} 2\n".encode() + zlib.crc32(body).to_bytes(4, "little"), body)


def replace_file(target: Path, *parts: bytes) -> None:
    """Write a file, which is no link, as a whole or not at all; remove what killed writers of it have left behind.

    It may be read by whom the file that it replaces may, else as any new file. Raises OSError.
    """
    handle, name = _new_part(target)
    try:
        with os.fdopen(handle, "wb") as file:
            if target.exists():
                os.chmod(name, target.stat().st_mode & 0o777)
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:
                os.replace(name, target)  # while it is locked
        if fcntl is None:  # Windows moves no open file
            os.replace(name, target)
    except BaseException as error:
        if isinstance(error, OSError):
            error.add_note(f"while {str(target)!r} was written; what it held before is kept")
        with contextlib.suppress(FileNotFoundError):  # a signal may be answered when the file has its name already
            os.unlink(name)
        raise
    _remove_stale_parts(target)


def _new_part(target: Path) -> tuple[int, str]:
    """(handle, name) of a new file beside the target, which is locked until it is closed."""
    while True:
        name = os.path.join(target.parent, f".{target.name}.{os.urandom(4).hex()}{PART}")
        try:
            handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        except FileExistsError:
            continue
        if not _lock(handle) or os.fstat(handle).st_nlink:
            return handle, name
        os.close(handle)  # another writer took it for a stale one before it was locked


def _lock(handle: int) -> bool:
    """Whether the file could be locked for this process; False too where the file system has no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _parts_of(target: Path) -> Iterator[Path]:
    """Files that writers of the target have made; those of earlier versions have another ending and no dot in front."""
    from pathlib import Path

    name = re.escape(target.name)
    now, before = re.compile(rf"\.{name}\.[a-z0-9_]{{8}}{re.escape(PART)}"), re.compile(rf"{name}[a-z0-9_]{{8}}\.part")
    with os.scandir(target.parent) as entries:
        for entry in entries:
            if now.fullmatch(entry.name) or (before.fullmatch(entry.name) and _is_ours(entry.path)):
                yield Path(entry.path)


def _is_ours(path: str) -> bool:
    """Whether a file begins as a saved state."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return KIND.match(file.read(24)) is not None
    return False


def _remove_stale_parts(target: Path) -> None:
    """Removes what a writer that was killed has left behind. A file that is being written is locked, and stays."""
    with contextlib.suppress(OSError):
        for part in _parts_of(target):
            with contextlib.suppress(OSError):
                if fcntl is None:
                    if time.time() - part.stat().st_mtime > OLD:
                        part.unlink()
                    continue
                with open(part, "rb") as file:
                    if _lock(file.fileno()):
                        part.unlink()


def read_state(path: Any, kind: str, argument: str = "path") -> tuple[dict[str, Any], dict[str, bytes]]:
    """(facts, blocks) of a file that `write_state` wrote, whose first line and length are looked at before the rest of it is read.

    Raises ValueError if it is damaged, another kind of file, or no file but a folder or a device.
    """
    where = check_saved(path, argument)
    status = os.stat(where)  # a pipe is not even opened: that would wait for its writer
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{argument}: expected a file that mflow has saved, got {where}, which is a device, a pipe or a socket")
    magic = f"mflow {kind} 2\n".encode()
    foreign = ValueError(f"{where}: damaged, or not a {kind} saved by this version of mflow")
    with open(where, "rb") as file:
        first = file.read(len(magic) + 5)
        if other := KIND.match(first):
            what = other[1].decode()
            if what != kind:
                raise ValueError(f"{where}: expected a {kind}, got a {what}, which {READERS[what]}")
        if not first.startswith(magic) or not first.endswith(b"{"):
            raise foreign
        head = b"{" + file.readline(LONGEST_HEAD)
        facts, lengths = _parsed(head)
        if lengths is None or sum(length for _, length in lengths) != status.st_size - len(first) + 1 - len(head):
            raise foreign
        rest = file.read()
    if zlib.crc32(rest, zlib.crc32(head)) != int.from_bytes(first[len(magic) : -1], "little"):
        raise foreign
    if not isinstance(facts, dict):
        raise ValueError(f"{where}: a damaged or foreign {kind} (facts: expected a table of names and values, got {facts!r})")
    blocks, at = {}, 0
    for name, length in lengths:
        blocks[name] = rest[at : at + length]
        at += length
    return facts, blocks


def _parsed(head: bytes) -> tuple[Any, list[tuple[str, int]] | None]:
    """The facts, and the names and lengths of the blocks; None where the line is not one that `write_state` writes."""
    import json

    try:
        parsed = json.loads(head, parse_int=_whole)
        facts, pairs = parsed["facts"], [(name, length) for name, length in parsed["blocks"]]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None, None
    fit = all(isinstance(name, str) and type(length) is int and length >= 0 for name, length in pairs)
    return facts, pairs if fit and len(dict(pairs)) == len(pairs) else None


def _whole(digits: str) -> int:
    """A whole number that a float can hold; Python's have no end. Raises ValueError."""
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"expected a number of at most {MOST_DIGITS} digits")
    return int(digits)


def numbers_of(blocks: dict[str, bytes], name: str, shape: tuple[int, ...], finite: bool = True) -> Array:
    """A block as a read-only float64 array of this shape. Raises ValueError, with its name, where it has another length or a NaN."""
    if name not in blocks:
        raise ValueError(f"{name}: expected {math.prod(shape)} numbers, got none")
    if len(blocks[name]) != 8 * math.prod(shape):
        raise ValueError(f"{name}: expected {math.prod(shape)} numbers, got {len(blocks[name])} bytes")
    array = np.frombuffer(blocks[name]).reshape(shape)
    if finite and not np.all(np.isfinite(array)):
        raise ValueError(f"{name}: expected finite numbers, got some that are not")
    return array


def number_of(value: Any, name: str) -> float:
    """A number as JSON has it, NaN and infinities among them. Raises TypeError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    return float(value)


def misfit_of(error: Exception) -> str:
    """Why a saved state does not fit, in the words of what was raised."""
    return f"there is no {error}" if isinstance(error, KeyError) else str(error)
