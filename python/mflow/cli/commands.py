"""The `mflow` command: its parser, and `main`. Each subcommand is a module of its own."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import functools
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from mflow.base.result import place_of, words_of
from mflow.cli import compare, doctor, explain, methods, simulate, spectrum, stability
from mflow.cli.arguments import UsageError, check_apart, check_file
from mflow.cli.methods import version
from mflow.cli.output import Shown, print_error, write_csv, write_json

__all__ = ["main"]

# Options of other commands that one does not need, by (command, option).
UNNEEDED = {("mflow stability", "--axis"): "not needed: the table has both axes"}
# Options by what Python's functions, or other commands, call the same.
OTHER_WORDS = {"--t-span": "--t-end T, which looks from 0 to T", "--tend": "--t-end", "--zeta": "--damping", "--step": "--dt"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process if not given.

    Returns
    -------
    int
        Exit code: 0, 2 for a mistake in the arguments, an error in the user's own function (one line, with its file and line) or a
        picture or an output that could not be written, 130 after Ctrl-C. A mistake that argparse itself finds raises SystemExit(2).

    Examples
    --------
    >>> from mflow.cli.commands import main
    >>> main(["methods", "no_such_method"])
    2
    """
    code = 0
    try:
        try:
            code = _answer(argv)
        finally:  # argparse leaves by SystemExit
            if not getattr(sys.stdout, "closed", False):  # by the user's own function
                print(end="", flush=True)  # here, as what the interpreter says of its own last flush is no sentence
    except BrokenPipeError:  # as in `mflow methods | head`: the reader is gone
        _drop_output()
    except OSError as error:
        _drop_output()
        if code != 2:  # with 2 it has been told
            print_error(f"standard output: {error.strerror}")
        return 2
    return code


def _drop_output() -> None:
    """What is still to be written goes nowhere, without a word."""
    sys.stdout = io.StringIO()


def _answer(argv: Sequence[str] | None) -> int:
    """The exit code of a command, whose output is still to be flushed. A reader that is gone raises BrokenPipeError."""
    parser = _parser()
    with contextlib.suppress(ImportError):  # completion in a shell: eval "$(register-python-argcomplete mflow)"
        import argcomplete

        argcomplete.autocomplete(parser)
    arguments = argparse.Namespace()
    given = _joined(sys.argv[1:] if argv is None else argv)
    try:
        _refuse_unknown_command(parser, given)
        _, unknown = parser.parse_known_args(given, arguments)
        if unknown:
            _refuse_unknown(getattr(arguments, "parser", parser), unknown)
        if "run" not in arguments:
            parser.print_help()
            return 0
        code: int = arguments.run(arguments)
        return code
    except UsageError as error:
        print_error(str(error))
        return 2
    except KeyboardInterrupt:
        print("mflow: stopped", file=sys.stderr)
        return 130
    except (Exception, SystemExit) as error:
        if isinstance(error, BrokenPipeError | SystemExit) and not _place(error, arguments):
            raise  # the reader is gone; argparse has spoken
        if os.environ.get("MFLOW_TRACEBACK"):
            raise
        print_error(_words(error, arguments))
        return 2


def _refuse_unknown_command(parser: argparse.ArgumentParser, given: Sequence[str]) -> None:
    """Exit with code 2 for a command that there is not, naming the one that is meant."""
    names = [module.__name__.rpartition(".")[2] for module, _ in _MODULES]
    if given and given[0][:1] != "-" and given[0] not in names:
        near = difflib.get_close_matches(given[0], names, 1)
        fix = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        parser.error(f"expected a command, got {given[0]!r}; {fix}")


def _refuse_unknown(parser: argparse.ArgumentParser, unknown: list[str]) -> None:
    """Exit with code 2, under the usage of the command that was asked for."""
    options = [text for action in parser._actions for text in action.option_strings]
    words = []
    for text in unknown:
        name = text.partition("=")[0]
        near = OTHER_WORDS.get(name, "") or next(iter(difflib.get_close_matches(name, options, 1)), "")
        meant = f"did you mean {near}?" if near.partition(" ")[0] in options else UNNEEDED.get((parser.prog, name), "")
        words.append(text + (f" ({meant})" if meant else ""))
    parser.error(f"unrecognized arguments: {' '.join(words)}")


def _place(error: BaseException, arguments: argparse.Namespace) -> str:
    """Where the user's own file raised an error; "" where it was not there."""
    target = getattr(arguments, "objective", None) or getattr(arguments, "target", None)
    return place_of(error, os.path.dirname(os.path.abspath(target.rpartition(":")[0]))) if target else ""


def _words(error: BaseException, arguments: argparse.Namespace) -> str:
    """One line for an error: with its place where it comes from the user's own file, else the library's words."""
    if place := _place(error, arguments):
        return f"{place}: {words_of(error)}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = str(error) if isinstance(error, TypeError | ValueError) and str(error) else words_of(error)
    return text if isinstance(error, TypeError | ValueError | OSError | MemoryError) else f"{text} (MFLOW_TRACEBACK=1 shows where)"


def _joined(argv: Sequence[str]) -> list[str]:
    """`--x0 -1,2` as `--x0=-1,2`: argparse takes a text that begins with a minus for an option."""
    out: list[str] = []
    for text in argv:
        if out and out[-1] == "--x0" and text[:1] == "-" and text[1:2] in set("0123456789."):
            out[-1] = f"--x0={text}"
        else:
            out.append(text)
    return out


# The modules of the subcommands; mflow.cli.arguments says what each of them has.
_MODULES = (
    (compare, "minimise one cost by many methods: a table and a picture"),
    (methods, "list the methods, or describe one"),
    (stability, "limits, order and stability of methods, with their regions"),
    (explain, "look at your own problem: safe steps, posedness, which method to use"),
    (simulate, "a shear building on shaking ground: table, energy ledger, picture"),
    (spectrum, "the response spectrum of a record: table and picture"),
    (doctor, "look at this installation: levels, optional packages, a self-test of the bits"),
)


class _Version(argparse.Action):
    """Prints the version; made only where it is asked for, as the names of the system cost some milliseconds."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"{version()}; {doctor.around()}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mflow", description="Optimization as motion: integrators and optimizers as one family.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version, and what a report of a fault has to name")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for module, text in _MODULES:
        command = commands.add_parser(module.__name__.rpartition(".")[2], help=text, description=module.DESCRIPTION)
        module.add_arguments(command)
        command.add_argument(
            "--json", metavar="FILE", help="write what was found as JSON; - for standard output (the text then goes to stderr)"
        )
        command.add_argument("--quiet", action="store_true", help="print errors and warnings alone, and the JSON of --json -")
        if "--no-plot" in command.format_usage():
            command.epilog = "A picture is written, to FILE of --out, unless --no-plot is given."
        command.set_defaults(run=functools.partial(_run, module), parser=command)
    return parser


def _files(module: Any, arguments: argparse.Namespace) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """What a command writes and what it reads, by option; None where an option is not given."""
    given = vars(arguments)
    read = {"--record": given.get("record"), "--model": given.get("model")}
    draws = not given.get("no_plot") and getattr(module, "draws", lambda _: True)(arguments)
    written = {"--json": given["json"], "--csv": given.get("csv"), "--out": given.get("out") if draws else None}
    for option, name in (("--objective", "objective"), (f"explain {given.get('target')}", "target")):
        if given.get(name) is not None:
            read[option] = given[name].rpartition(":")[0]
    return written, read


def _shown(to: TextIO | None) -> Any:
    """A place for text that the user's function may close; None where there is no such place."""
    return None if to is None else Shown(to)


def _run(module: Any, arguments: argparse.Namespace) -> int:
    tables = [option for option in ("json", "csv") if option in arguments]
    for option in tables:
        if getattr(arguments, option) == "/dev/stdout":  # which may be a file that the shell has opened
            setattr(arguments, option, "-")
    written, read = _files(module, arguments)
    try:
        for option in tables:
            name = getattr(arguments, option)
            check_file(f"--{option}", name)
            if name == "-" and sys.stdout is None:
                raise ValueError(f"--{option} -: there is no standard output; name a file")
        check_apart(written, read)
        module.check_arguments(arguments)
    except ValueError as error:
        raise UsageError(str(error)) from None
    out = _shown(sys.stdout)
    arguments.write_json = functools.partial(write_json, name=arguments.json, to=out)
    arguments.write_csv = functools.partial(write_csv, name=getattr(arguments, "csv", None), to=out)
    text = _shown(io.StringIO()) if arguments.quiet else _shown(sys.stderr) if "-" in written.values() else out
    with contextlib.redirect_stdout(text):
        code: int = module.command(arguments)
    return code
