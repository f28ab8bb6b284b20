"""Saved files whose fields are altered, one at a time, under a right checksum."""

from __future__ import annotations

import copy
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

WRONG: tuple[Any, ...] = (None, "x", True, -1, -1000000, 10**30, 20, 0.5, float("nan"), float("inf"), -1e300, [], {}, [[1.0]])
RUN = struct.Struct("<8sIIqIIII")  # how a packed run begins, before the method's name


def read(path: Path) -> tuple[bytes, Any, dict[str, bytes]]:
    """(first line, facts, blocks)."""
    data = path.read_bytes()
    magic, rest = data.split(b"\n", 1)
    head, body = rest[4:].split(b"\n", 1)
    parsed, blocks, at = json.loads(head), {}, 0
    for name, length in parsed["blocks"]:
        blocks[name] = body[at : at + length]
        at += length
    return magic, parsed["facts"], blocks


def write(path: Path, magic: bytes, facts: Any, blocks: dict[str, bytes]) -> None:
    head = {"facts": facts, "blocks": [[name, len(data)] for name, data in blocks.items()]}
    body = json.dumps(head).encode() + b"\n" + b"".join(blocks.values())
    path.write_bytes(magic + b"\n" + zlib.crc32(body).to_bytes(4, "little") + body)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a value and everything inside it stands; of a list of numbers, its first one."""
    yield path
    for key in value if isinstance(value, dict) else range(min(len(value), 1)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def put(facts: Any, place: tuple[Any, ...], *value: Any) -> Any:
    """The facts with another value at a place; without one, the place is missing."""
    if not place:
        return value[0]
    changed = copy.deepcopy(facts)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if value:
        inner[place[-1]] = value[0]
    else:
        del inner[place[-1]]
    return changed


def with_facts(facts: Any) -> Iterator[tuple[str, Any]]:
    for place in places(facts):
        for value in WRONG:
            yield f"{place} = {value!r}", put(facts, place, value)
        if place:
            yield f"{place} is missing", put(facts, place)


def with_blocks(blocks: dict[str, bytes]) -> Iterator[tuple[str, dict[str, bytes]]]:
    for name, data in blocks.items():
        yield f"{name} is missing", {k: v for k, v in blocks.items() if k != name}
        for words, other in (("empty", b""), ("short", data[:-8]), ("long", data + bytes(8)), ("long by one", data + b"\0")):
            if other != data:
                yield f"{name} is {words}", {**blocks, name: other}
    yield "one more", {**blocks, "more": bytes(8)}


def with_numbers(blocks: dict[str, bytes], *names: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """NaN in place of the first, the middle and the last number of each of these blocks."""
    for name in names:
        count = len(blocks[name]) // 8
        for k in sorted({0, count // 2, count - 1} if count else ()):
            data = blocks[name]
            yield f"{name}[{k}] is nan", {**blocks, name: data[: 8 * k] + struct.pack("<d", float("nan")) + data[8 * k + 8 :]}


def with_run(blocks: dict[str, bytes]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The time, the counts and the controller of a packed run, each altered; its own checksum is right."""
    run = blocks["run"]
    *_, length = RUN.unpack_from(run)
    first = RUN.size + length
    others = [struct.pack("<d", x) for x in (float("nan"), float("inf"), -1e300, 1e300)]
    others += [struct.pack("<q", k) for k in (-1, 2**40, 2**62)]
    spots = [(at, word) for at in range(first, first + 22 * 8, 8) for word in others]
    spots += [(8, struct.pack("<I", 9)), (12, struct.pack("<I", 0x80)), (16, struct.pack("<q", 10**9)), (24, struct.pack("<I", 77))]
    for at, word in spots:
        packed = run[:at] + word + run[at + len(word) : -4]
        packed += zlib.crc32(packed).to_bytes(4, "little")
        if packed != run:
            yield f"run, number {(at - first) // 8} = {word.hex()}", {**blocks, "run": packed}


def numbers_matter(name: str) -> bool:
    """Whether NaN in a block of a run changes what comes after; of what is only written down, it does not."""
    return name not in ("run", "found", "rows D", "rows e")


def cases(path: Path, numbers: Callable[[str], bool] = numbers_matter) -> list[tuple[str, Any, dict[str, bytes]]]:
    """All altered files: (words, facts, blocks). numbers: whether those of a block are altered."""
    _, facts, blocks = read(path)
    out = [(words, other, blocks) for words, other in with_facts(facts)]
    for more in (with_blocks(blocks), with_numbers(blocks, *filter(numbers, blocks)), with_run(blocks) if "run" in blocks else ()):
        out += [(words, facts, other) for words, other in more]
    return out


class Stop(Exception):
    pass


def fuse(steps: int) -> Callable[..., None]:
    """A callback that ends a run by an exception."""
    left = [steps]

    def callback(*state: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Stop

    return callback
