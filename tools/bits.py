#!/usr/bin/env python3
"""Compare the results of every method and driver, bit for bit, with those of record.

    python tools/bits.py                 every instruction-set level that this processor has, each in a process of its own
    python tools/bits.py --level v2      one of them
    python tools/bits.py --machine       also what passes through libm, BLAS or LAPACK, to a relative 1e-12
    python tools/bits.py --only minimize the cases whose key begins so
    python tools/bits.py --elsewhere     as on an old processor: other kernels of BLAS, NumPy and libm, the lowest level of ours
    python tools/bits.py --record        write the record anew

The cases are in `tests/support/bitcases`, the record is `tests/support/bits.json`: for each case the SHA-256 of all numbers of its
result, two of them in hexadecimal, its counters, and two digits of the hash of each array. A case without a record is new, and no
failure; a record without a case is one.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
RECORD = SUPPORT / "bits.json"
SECTIONS = ("bits", "machine")
CLOSE = 1e-12  # relative, in the section "machine"

if str(SUPPORT) not in sys.path:
    sys.path.insert(0, str(SUPPORT))

Say = Callable[[str], None]


def read() -> dict[str, dict[str, Any]]:
    """The record."""
    return json.loads(RECORD.read_text())  # type: ignore[no-any-return]


def write(record: dict[str, dict[str, Any]]) -> None:
    """One case a line, in order."""
    sections = []
    for section in SECTIONS:
        lines = [f"{json.dumps(key)}: {json.dumps(line, separators=(',', ':'))}" for key, line in sorted(record[section].items())]
        sections.append(f"{json.dumps(section)}: {{\n" + ",\n".join(lines) + "\n}")
    RECORD.write_text("{\n" + ",\n".join(sections) + "\n}\n")


def difference(recorded: list[Any], now: Any) -> str:
    """Where a result first differs from the record, in words; empty where it does not."""
    sha, numbers, facts, marks = recorded
    if sha == now.sha:
        return ""
    if facts != [value for _, value in now.facts]:
        for (name, value), before in zip(now.facts, facts, strict=False):
            if value != before:
                return f"{name}: recorded {before!r}, now {value!r}"
        return f"recorded {facts}, now {[value for _, value in now.facts]}"
    for (name, value), before in zip(now.entries, numbers, strict=False):
        if value.hex() != before:
            return f"{name}: recorded {before} ({float.fromhex(before):.17g}), now {value.hex()} ({value:.17g})"
    size = len(now.marks[0][1]) if now.marks else 1
    for k, (name, mark) in enumerate(now.marks):
        if mark != marks[k * size : (k + 1) * size]:
            return f"{name}: an entry that is not recorded, or its shape"
    return "the entries and counters of record agree, something else does not"


def near(recorded: list[Any], now: Any) -> bool:
    """Whether all entries of record are as they were but for rounding."""
    _, numbers, facts, _ = recorded
    if len(numbers) != len(now.entries) or facts != [value for _, value in now.facts]:
        return False
    for (_, value), text in zip(now.entries, numbers, strict=True):
        before = float.fromhex(text)
        same = value == before or (math.isnan(value) and math.isnan(before))
        if not same and not abs(value - before) <= CLOSE * abs(before):
            return False
    return True


def compare(say: Say = print, machine: bool = False, only: str = "") -> int:
    """Run the cases in this process; how many differ or are gone."""
    import bitcases

    record, bad, counts = read(), 0, {"same": 0, "near": 0, "new": 0, "skipped": 0}
    missing = {(section, key) for section in SECTIONS[: 1 + machine] for key in record[section] if key.startswith(only)}
    for case in bitcases.cases():
        if not case.key.startswith(only) or (case.machine and not machine):
            continue
        section = SECTIONS[case.machine]
        missing.discard((section, case.key))
        recorded = record[section].get(case.key)
        if not case.can_run:
            counts["skipped"] += 1
        elif recorded is None:
            counts["new"] += 1
            say(f"new: not recorded: {case.key}")
        else:
            now = bitcases.outcome(case)
            found = difference(recorded, now)
            if found and case.machine and near(recorded, now):
                counts["near"] += 1
            elif found:
                bad += 1
                say(f"DIFFERS {case.key}: {found}")
            else:
                counts["same"] += 1
    for _, key in sorted(missing):
        bad += 1
        say(f"GONE {key}: it is recorded, but there is no such case any more")
    say(f"{counts['same']} same, {bad} differ or are gone" + "".join(f", {n} {name}" for name, n in counts.items() if n and name != "same"))
    return bad


def record_anew(say: Say = print) -> None:
    """Run all cases and write what they give."""
    import bitcases

    new: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for case in bitcases.cases():
        if not case.can_run:
            raise SystemExit(f"{case.key} needs {case.needs}, which is not installed: a record without it would lose the case")
        section = new[SECTIONS[case.machine]]
        if case.key in section:
            raise SystemExit(f"two cases have the key {case.key!r}")
        now = bitcases.outcome(case)
        if not now.entries:
            say(f"no numbers: {case.key}: {now.facts}")
        section[case.key] = now.line()
    write(new)
    say(f"{sum(map(len, new.values()))} cases, {RECORD.stat().st_size / 1000:.0f} kB: {RECORD}")
    say("A new record is right only just before a change that means to change results: git diff shows which.")


def at_level(level: str, arguments: list[str], **environment: str) -> int:
    """The comparison in a process of its own at one instruction-set level."""
    print(f"level {level}:", flush=True)
    command = [sys.executable, str(Path(__file__).resolve()), "--here", *arguments]
    return subprocess.run(command, check=False, env={**os.environ, "MFLOW_ISA": level, **environment}).returncode


def old_processor() -> dict[str, str]:
    """An environment in which OpenBLAS, NumPy and glibc take the kernels of a processor without AVX: what depends on them shows."""
    import numpy as np

    return {
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": ",".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])),
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
    }


def main() -> int:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the record; only right before a change that means to change results")
    parser.add_argument("--machine", action="store_true", help="compare also what libm, BLAS and LAPACK had a hand in")
    parser.add_argument("--level", help="one instruction-set level: v2, v3, v4 or base")
    parser.add_argument("--only", default="", metavar="PREFIX", help="cases whose key begins so")
    parser.add_argument("--elsewhere", action="store_true", help="with other kernels of BLAS, NumPy and libm")
    parser.add_argument("--here", action="store_true", help="in this process, at the level that MFLOW_ISA names or the best one")
    given = parser.parse_args()
    if given.record:
        record_anew()
        return 0
    if given.here:
        return int(compare(machine=given.machine, only=given.only) > 0)
    from mflow_core import registry

    passed = [*(["--machine"] if given.machine else []), *(["--only", given.only] if given.only else [])]
    if given.elsewhere:
        return at_level(given.level or registry.available_levels()[-1], passed, **old_processor())
    levels = [given.level] if given.level else registry.available_levels()
    return max(at_level(level, passed) for level in levels)


if __name__ == "__main__":
    sys.exit(main())
