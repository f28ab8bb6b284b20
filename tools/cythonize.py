"""Writes the C of many Cython modules in one process, as meson.build asks: most of Cython's time for a module is its own start.

    cythonize.py DEPFILE OUTPUT... -- FOLDER SOURCE=NAME,NAME... -- ARGUMENT...

OUTPUT are the C files, called as the modules that they define. SOURCE is a path below FOLDER without its suffix, NAME a module that is
compiled from it: kernels have one for each instruction-set level. The source is translated under the first; under another one the C
differs in the module's name alone, so that it takes a copy. ARGUMENT are Cython's own.

C that is younger than all its sources, by the same Cython with the same arguments, is left as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from Cython import __version__
from Cython.Build.Dependencies import create_dependency_tree
from Cython.Compiler.CmdLine import parse_command_line
from Cython.Compiler.Errors import PyrexError
from Cython.Compiler.Main import Context
from Cython.Compiler.Main import compile as translate


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """What stands before the first `--`, and what stands after it."""
    at = words.index("--")
    return words[:at], words[at + 1 :]


def renamed(text: str, old: str, new: str) -> str:
    """The C of a module under another name of its folder. Cython's names of functions carry the lengths of names, and its strings may be
    compressed, beside which they stand as they are."""
    if len(old) != len(new):
        raise SystemExit(f"cythonize.py: names of levels have to be equally long, got modules {old} and {new}")
    old, new = old.rpartition(".")[2], new.rpartition(".")[2]
    _, compressed, strings = text.partition("/* compression: none ")
    if new != old and compressed and old in strings.partition("#endif")[0].replace('""', ""):
        raise SystemExit(f"cythonize.py: the strings of {old} contain its name, and Cython compresses them; keep Python classes out of it")
    return text.replace(old, new)


def dependencies_of(source: Path, arguments: list[str]) -> list[str]:
    """Every file that the C of a source is made from, itself and this file included."""
    options, _ = parse_command_line([*arguments, str(source)])
    tree = create_dependency_tree(Context.from_options(options))
    return sorted({__file__, str(source), *tree.all_dependencies(str(source))})


def write(source: Path, names: list[str], places: dict[str, Path], mark: str, arguments: list[str]) -> bool:
    """Translates one source to the C of its modules; False where Cython has told an error."""
    target = places[names[0]]
    options, sources = parse_command_line([*arguments, "--module-name", names[0], "-o", str(target), str(source)])
    try:
        failed = translate(sources, options).num_errors > 0
    except PyrexError as error:
        sys.stderr.write(f"{error}\n")
        failed = True
    if failed:
        target.unlink(missing_ok=True)
        return False
    text = target.read_text(encoding="utf-8") + mark
    for name in names:
        places[name].write_text(renamed(text, names[0], name), encoding="utf-8")
    return True


def is_new(places: list[Path], sources: list[str], mark: str) -> bool:
    """Whether C files are there that need no translation."""
    if not all(place.exists() for place in places):
        return False
    youngest = max(Path(source).stat().st_mtime_ns for source in sources)
    return all(place.stat().st_mtime_ns > youngest and place.read_text(encoding="utf-8").endswith(mark) for place in places)


def main(words: list[str]) -> int:
    """Writes the C files that are missing or old, and the names of all that they were made from into DEPFILE."""
    (depfile, *outputs), rest = split(words)
    (folder, *modules), arguments = split(rest)
    places = {Path(output).stem: Path(output) for output in outputs}
    mark = f"\n/* Cython {__version__} {' '.join(arguments)} */\n"
    used: set[str] = set()
    for module in modules:
        path, _, listed = module.partition("=")
        source, names = Path(folder) / f"{path}.pyx", listed.split(",")
        sources = dependencies_of(source, arguments)
        used.update(sources)
        if is_new([places[name] for name in names], sources, mark):
            continue
        if not write(source, names, places, mark, arguments):
            return 1
    text = " \\\n  ".join(name.replace(" ", "\\ ") for name in sorted(used))
    Path(depfile).write_text(f"{outputs[0]}: \\\n  {text}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
