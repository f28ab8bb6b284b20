"""The state of a run in a file, whoever wrote it: a `Stepper`, `minimize`, `train`, or a host of the C API.

    a Stepper, minimize     a file of savefile.py: method, parameters, shape, and the state as the core packs it (stepping/checkpoint.pyx)
    train                   the same facts of its optimizer, with the vectors as its parameters are arranged
    a C host                the bytes of run_save alone; run_restore takes the bytes of the first kind of file, too

Who reads one goes on where the method and its parameters are the same. Every field is checked here, and once more by the core.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
from mflow_core.problems.problem import objective_problem
from mflow_core.stepping import stepper

from mflow.base.checks import Array, check_saved, check_whole
from mflow.base.methods import Method, get_method, public_values
from mflow.saving.fields import MANY, NOT_CONTROLLED, check_names, counts_of, method_of, read_start
from mflow.saving.savefile import misfit_of, number_of, numbers_of, read_state, write_state

__all__ = ["SavedRun", "is_training", "read_run", "stepper_fields", "write_run"]

HEAD = struct.Struct("<8sIIqIIII")  # of a packed state: magic, format, flags, n, vectors, scalars, parameters, length of the name
NUMBERS = 22  # of 8 bytes each, between the name and the parameters: time, counters, the controller
MOST = 2**40  # components
LEDGER = 0x20000  # in the flags: the accounts of energies follow


class SavedRun(NamedTuple):
    """method : with the parameters of the run. shape : of the state. k, t : steps so far, and the time that the core counts. vectors :
    those carried, flat. scalars : numbers carried beside them. packed : the state in the core's bytes. controlled : whether its steps were
    of its own choice. counts : evaluations of the cost and of its gradient so far, where its writer says. differences : what its writer had
    learned of a cost by these (saved_look.py)."""

    method: Method
    shape: tuple[int, ...]
    k: int
    t: float
    vectors: list[Array]
    scalars: list[float]
    packed: bytes
    controlled: bool
    counts: tuple[int, int] = (0, 0)
    differences: Any = None


def write_run(path: Any, method: Method, start: Array, run: stepper.Run, more: dict[str, Any]) -> None:
    """Write a file as `Stepper.save` does, of steps without error control."""
    facts = {"method": method.name, "parameters": public_values(method.record, method.all_numbers), "shape": list(start.shape),
             "t0": 0.0, "control": NOT_CONTROLLED, "rebuilt": [0, 0, 0], "problem_bytes": run.problem.saved_bytes, **more}  # fmt: skip
    write_state(path, "stepper", facts, {"run": run.pack(), "start": start.tobytes()})


def read_run(path: Any, argument: str) -> SavedRun:
    """The state in a file. Raises ValueError where it is damaged, or holds none."""
    from pathlib import Path

    first, where = _first(path, argument), check_saved(path, argument)
    try:
        if first.startswith(b"MFLOWRUN"):
            return _unpacked(Path(where).read_bytes(), None, None)
        if first.startswith(b"mflow training"):
            return _of_training(*read_state(path, "training", argument))
        return _of_steps(*read_state(path, "stepper", argument))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
        raise ValueError(f"{argument}: {Path(where)} is damaged, or holds another state ({misfit_of(error)})") from error


def _of_steps(facts: dict[str, Any], blocks: dict[str, bytes]) -> SavedRun:
    """The state of steps, all of whose fields fit together."""
    if "descent" in blocks:
        raise ValueError("run: expected the state of steps, got that of a line search")
    method, start, _, control = read_start(facts, blocks)
    if isinstance(method, str) or np.iscomplexobj(start):
        raise ValueError(f"method: expected steps of one method along real numbers, got those of {method}")
    check_names("blocks", blocks, {"run", "start"}, {"events", "v0"} if "second_order" in method.flags else {"events"})
    saved = _unpacked(blocks["run"], method, start.shape, control["rtol"] is not None, facts.get("problem_bytes", 0))
    counts = counts_of(facts, saved.k if method.kind == "update" and "counts" in facts else 0)
    return saved._replace(counts=counts, differences=facts.get("differences"))


def is_training(path: Any) -> bool:
    """Whether `train` has written a file."""
    return _first(path, "resume").startswith(b"mflow training")


def _first(path: Any, argument: str) -> bytes:
    """The first bytes of a file; none of a pipe or a device, which is not even opened."""
    where = check_saved(path, argument)
    if not stat.S_ISREG(os.stat(where).st_mode):
        return b""
    with open(where, "rb") as file:
        return file.read(16)


def stepper_fields(path: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(facts, blocks) as `Stepper.save` writes them, of any file that holds the state of a run."""
    if not _first(path, "path").startswith((b"MFLOWRUN", b"mflow training")):
        return read_state(path, "stepper")
    saved = read_run(path, "path")
    control: dict[str, Any] = {**NOT_CONTROLLED}
    facts = {"method": saved.method.name, "parameters": saved.method.parameters, "shape": list(saved.shape), "t0": 0.0, "control": control}
    blocks = {"run": saved.packed, "start": saved.vectors[0].tobytes()}
    if saved.method.kind == "update":
        facts["clock"] = [saved.k * float(saved.method.parameters["lr"]), 0.0]
    if "second_order" in saved.method.flags:
        control["energy"] = bool(HEAD.unpack_from(saved.packed)[2] & LEDGER)
        blocks["v0"] = saved.vectors[1].tobytes()
    return facts, blocks


def _is_whole(data: bytes) -> bool:
    """Whether the checksum at the end of some bytes is theirs."""
    return zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")


def _unpacked(data: bytes, method: Method | None, shape: tuple[int, ...] | None, controlled: bool = False, after: int = 0) -> SavedRun:
    """The fields of a packed state. method and shape: what the file says beside it, or None; after: bytes behind it that the problem keeps
    (the last acceleration of a second-order method), with a checksum of their own."""
    magic, _, _, n, n_vec, n_scal, n_par, length = HEAD.unpack_from(data)
    name = data[HEAD.size : HEAD.size + length].decode()
    at = HEAD.size + length
    end, least = len(data) - after, at + 8 * (NUMBERS + n_par + n_scal + n_vec * n) + 4
    whole = 0 <= n <= MOST and end >= least and _is_whole(data[:end]) and (not after or _is_whole(data[end:]))
    if magic != b"MFLOWRUN" or not whole:
        raise ValueError("run: expected the state of a run, got other bytes")
    t, _, _, _, k, *_, h = struct.unpack_from("<4d6qd", data, at)
    numbers = np.frombuffer(data, "<f8", n_par + n_scal + n_vec * n, at + 8 * NUMBERS).astype(np.float64)
    record = get_method(name).record
    names = [p[0] for p in record.parameters_]
    if len(names) != n_par:
        raise ValueError(f"run: expected {len(names)} parameters of {name}, got {n_par}")
    values = dict(zip(names, numbers[:n_par].tolist(), strict=True))
    packed = method_of(name, public_values(record, values))  # a schedule has changed its lr
    method, shape = method or packed, (n,) if shape is None else shape
    differs = [key for key, value in packed.all_numbers.items() if key != "lr" and method.all_numbers.get(key) != value]
    if method.name == name and differs:
        raise ValueError(f"parameters: expected {method!r}, as the file says beside it, got {packed!r}")
    if method.name != name or int(np.prod(shape)) != n:
        raise ValueError(f"run: expected {method.name} with the shape {shape}, got {name} with {n} components")
    check_whole(k, "k", 0, MANY)
    method = packed
    if method.sizes["n_vec"] != n_vec or method.sizes["n_scal"] != n_scal:
        expected = f"{method.sizes['n_vec']} vectors and {method.sizes['n_scal']} numbers beside them"
        older = "; in older files v of centred RMSprop is another mean" if name == "rmsprop" and n_scal == 0 else ""
        raise ValueError(f"run: expected {expected} of {name}, got {n_vec} and {n_scal}{older}")
    scalars = numbers[n_par : n_par + n_scal].tolist()
    vectors = list(numbers[n_par + n_scal :].reshape(n_vec, n))
    return SavedRun(method, shape, k, t, vectors, scalars, data, controlled or h != 0.0)


def _of_training(facts: dict[str, Any], blocks: dict[str, bytes]) -> SavedRun:
    """The optimizer of a training with one group, as a run of all its parameters in one vector."""
    state, shapes = facts["optimizer"], facts["call"]["shapes"]
    if len(state["groups"]) != 1:
        raise ValueError(f"groups: expected one, got {len(state['groups'])}; go on by mflow.train")
    group = state["groups"][0]
    if group["maximize"] is not False:
        raise ValueError("maximize: a run of another kind does not take it; go on by mflow.train")
    known = [tuple(check_whole(n, "shapes", 0, MANY) for n in shape) for shape in shapes]
    record = get_method(state["method"]).record
    numbers = {name: number_of(value, name) for name, value in group["parameters"].items()}
    method, k = method_of(state["method"], public_values(record, numbers)), check_whole(state["steps"], "steps", 0, MANY)
    parts = [[numbers_of(blocks, f"params {i}", shape).ravel() for i, shape in enumerate(known)]]
    for name in method.record.vectors[1 : method.sizes["n_vec"]]:
        parts.append([numbers_of(blocks, f"vector {i} {name}", shape).ravel() for i, shape in enumerate(known)])
    vectors = [np.concatenate(part) for part in parts]
    shape = known[0] if len(known) == 1 else vectors[0].shape
    scalars = [number_of(x, "scalars") for x in group["scalars"]]
    problem = objective_problem(None, lambda c: c, shape)
    run = stepper.Run(method.record, problem, np.zeros(shape), 0.0, np.nan, method.numbers)
    run.place(k, vectors, scalars)
    return SavedRun(method, shape, k, 0.0, vectors, scalars, run.pack(), False)
