"""Writes the Fortran face of mflow.h, src/mflow_core/include/mflow/mflow.f90: `python tools/make_fortran.py [--check]`.

Structs become bind(C) types, constants parameters, callbacks abstract interfaces, and each function of the table a procedure pointer
that `mf_use` fills. How a C type becomes Fortran's is in `argument` below.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from mflow_core import abi
from mflow_core.abi import Field, Function

HEADER = Path(__file__).resolve().parents[1] / "src" / "mflow_core" / "include" / "mflow" / "mflow.h"
TARGET = HEADER.with_name("mflow.f90")
NUMBERS = {
    "int": "integer(c_int)", "int32_t": "integer(c_int32_t)", "uint32_t": "integer(c_int32_t)", "int64_t": "integer(c_int64_t)",
    "ptrdiff_t": "integer(c_intptr_t)", "double": "real(c_double)",
}  # fmt: skip
PASSED = ("mf_frame", "mf_problem", "mf_run_options", "mf_sizes", "mf_sweep")  # structs that are handed over as themselves
MAY_BE_NULL = {("mf_value_grad_fn", "value"), ("mf_value_grad_fn", "grad"), ("mf_solve_accel_fn", "q"), ("mf_energy_fn", "y0")}
TAKEN = {"sizes": "mf_get_sizes", "sweep": "mf_do_sweep", "loss": "mf_find_loss"}  # mf_sizes and mf_sweep are types; as in api.pxd
RENAMED = {("mf_sweep", "X"): "dense"}  # Fortran does not tell X from x
TYPES = ("mf_problem", "mf_param", "mf_sizes", "mf_frame", "mf_sweep", "mf_method", "mf_run_options", "mf_api")

HEAD = """\
! mflow.f90: mflow.h for Fortran, written by tools/make_fortran.py. The module needs no library and no Python: compile it with your code,
! hand mf_use the address of the table (module mflow_python gets it from Python), and call mf_find, mf_step, mf_update, ...
!
!   Structs begin with size: make them with mf_new_problem(), mf_new_frame(), mf_new_run_options(), mf_new_sweep().
!   Texts are C's: mf_find("rk4" // c_null_char). Callbacks are bind(C) functions, handed over as c_funloc(f); arrays begin at 1.
!   Pointers to carried vectors are arrays of c_ptr: [c_loc(y)].
"""

TEXT = """
  ! A text of the library, such as mf_error_text(code), as Fortran has it.
  function mf_text(address) result(text)
    type(c_ptr), intent(in) :: address
    character(:), allocatable :: text
    character(kind=c_char), pointer :: at(:)
    integer :: i, n
    text = ""
    if (.not. c_associated(address)) return
    call c_f_pointer(address, at, [huge(0)])
    n = 0
    do while (at(n + 1) /= c_null_char)
      n = n + 1
    end do
    text = repeat(" ", n)
    do i = 1, n
      text(i:i) = at(i)
    end do
  end function

end module mflow
"""


def component(owner: str, field: Field) -> str:
    """One field of a type, with what it is when nothing was said: zero."""
    field = field._replace(name=RENAMED.get((owner, field.name), field.name))
    if field.type.endswith("_fn") or "(*)" in field.type:
        return f"type(c_funptr) :: {field.name} = c_null_funptr"
    if "*" in field.type:
        return f"type(c_ptr) :: {field.name} = c_null_ptr"
    if field.type in NUMBERS:
        return f"{NUMBERS[field.type]} :: {field.name} = 0"
    return f"type({field.type}) :: {field.name}"


def argument(owner: str, field: Field) -> str:
    """How an argument is declared: numbers by value, arrays of numbers as arrays, structs as themselves, all else as addresses."""
    bare = field.type.replace("const ", "").strip()
    held = bare.rstrip("* ")
    intent = "intent(in)" if field.type.startswith("const ") else "intent(inout)"
    if "*" not in bare:
        return f"{NUMBERS[bare]}, value :: {field.name}"
    if (owner, field.name) in MAY_BE_NULL or held == "void":
        return f"type(c_ptr), value :: {field.name}"
    if bare.count("*") > 1:
        return f"type(c_ptr), intent(in) :: {field.name}(*)"
    if held == "char":
        return f"character(kind=c_char), intent(in) :: {field.name}(*)"
    if held in PASSED:
        return f"type({held}), {intent} :: {field.name}"
    if held in ("int", "int64_t") or (owner, field.name) == ("mf_run_y", "t"):
        return f"{NUMBERS[held]}, intent(out) :: {field.name}"
    return f"{NUMBERS[held]}, {intent} :: {field.name}(*)" if held in NUMBERS else f"type(c_ptr), value :: {field.name}"


def wrapped(text: str, indent: str) -> list[str]:
    """A statement on as many lines as it needs."""
    lines = textwrap.wrap(text, 110, break_long_words=False)
    return [indent + ("  " if k else "") + line + (" &" if k + 1 < len(lines) else "") for k, line in enumerate(lines)]


def interface(name: str, owner: str, function: Function) -> list[str]:
    """An abstract interface of this name."""
    names = ", ".join(field.name for field in function.arguments)
    used = sorted({held for field in function.arguments for held in PASSED if held in field.type.split()})
    if function.returns == "void":
        kind, head = "subroutine", f"subroutine {name}({names}) bind(C)"
    else:
        kind, head = "function", f"function {name}({names}) bind(C) result(out)"
    lines = [*wrapped(head, "    "), "      import"]
    lines += [f"      {argument(owner, field)}" for field in function.arguments]
    if kind == "function":
        lines.append(f"      {NUMBERS.get(function.returns, 'type(c_ptr)')} :: out")
    assert all(held in TYPES for held in used)
    return [*lines, f"    end {kind}", ""]


def public(name: str) -> str:
    """What Fortran calls a function of the table."""
    return TAKEN.get(name, f"mf_{name}")


def module(header: Path = HEADER) -> str:
    """The text of mflow.f90."""
    lines = [HEAD + "module mflow", "  use, intrinsic :: iso_c_binding", "  implicit none", "  public", ""]
    lines += [f"  integer(c_int), parameter :: {name} = {value}" for name, value in abi.enums(header).items()]
    for name in TYPES:
        lines += [
            "",
            f"  type, bind(C) :: {name}",
            *(f"    {component(name, field)}" for field in abi.structs(header)[name]),
            f"  end type {name}",
        ]
    lines += ["", "  abstract interface", ""]
    for name, function in abi.callbacks(header).items():
        lines += interface(name, name, function)
    for name, function in abi.functions(header).items():
        lines += interface(public(name) + "_i", public(name), function)
    lines += ["  end interface", ""]
    lines += [f"  procedure({public(name)}_i), pointer :: {public(name)} => null()" for name in abi.functions(header)]
    lines += ["", "contains", ""]
    lines += [
        "  ! Takes the table at this address: MF_OK, or MF_E_VERSION where the library is older than this file.",
        "  integer(c_int) function mf_use(table) result(status)", "    type(c_ptr), value :: table", "    type(mf_api), pointer :: api",
        "    status = MF_E_ARGUMENT", "    if (.not. c_associated(table)) return", "    call c_f_pointer(table, api)",
        "    status = MF_E_VERSION", "    if (api%abi /= MF_ABI .or. api%version < MF_API_VERSION) return",
    ]  # fmt: skip
    lines += [f"    call c_f_procpointer(api%{name}, {public(name)})" for name in abi.functions(header)]
    lines += ["    status = MF_OK", "  end function", ""]
    for name in ("mf_problem", "mf_frame", "mf_run_options", "mf_sweep"):
        new = name.replace("mf_", "mf_new_")
        lines += [f"  type({name}) function {new}() result(made)", "    made%size = int(c_sizeof(made), c_int32_t)", "  end function", ""]
    return "\n".join(lines) + "\n" + TEXT


def main() -> int:
    """Writes, or checks."""
    if "--check" in sys.argv[1:]:
        if TARGET.read_text(encoding="utf-8") != module():
            print("mflow.f90 is not what mflow.h says: run python tools/make_fortran.py")
            return 1
    else:
        TARGET.write_text(module(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
