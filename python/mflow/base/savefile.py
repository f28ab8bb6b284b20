"""Files that hold a state: written as a whole or not at all, with a checksum, without pickle.

A file is a line that names its kind, the CRC-32 of the rest (4 bytes, little-endian), a line of JSON, and blocks of bytes whose lengths
the JSON gives.
"""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any

__all__ = ["read_state", "write_state"]


def write_state(path: str | os.PathLike[str], kind: str, facts: dict[str, Any], blocks: dict[str, bytes]) -> None:
    """Write ``facts`` (what JSON can hold) and ``blocks`` to a file, atomically.

    Raises FileNotFoundError if its folder does not exist, OSError if it cannot be written; an older file then stays as it was.
    """
    head = {"facts": facts, "blocks": [[name, len(data)] for name, data in blocks.items()]}
    body = json.dumps(head).encode() + b"\n" + b"".join(blocks.values())
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target}: expected a folder {target.parent} to save it in, found none; make it first")
    handle, name = tempfile.mkstemp(prefix=target.name, suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(f"mflow {kind} 2\n".encode() + zlib.crc32(body).to_bytes(4, "little"))
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def read_state(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(facts, blocks) of a file that `write_state` wrote. Raises ValueError if it is damaged or another kind of file."""
    data = Path(path).read_bytes()
    magic = f"mflow {kind} 2\n".encode()
    body = data[len(magic) + 4 :]
    check = data[len(magic) : len(magic) + 4]
    if not data.startswith(magic) or len(check) < 4 or zlib.crc32(body) != int.from_bytes(check, "little"):
        raise ValueError(f"{os.fspath(path)}: damaged, or not a {kind} saved by this version of mflow")
    head, _, rest = body.partition(b"\n")
    try:
        parsed = json.loads(head)
        facts, lengths = parsed["facts"], parsed["blocks"]
        blocks, at = {}, 0
        for name, length in lengths:
            blocks[name] = rest[at : at + length]
            at += length
        if at != len(rest):
            raise ValueError(f"{len(rest)} bytes follow, not {at}")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)}: a damaged or foreign {kind} ({error!r})") from error
    return facts, blocks
