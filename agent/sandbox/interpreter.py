"""Finds the Python that runs inside, and the folders that it needs; called by the sandbox."""

from __future__ import annotations

import stat
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from soundstage.errors import Unavailable

SYSTEM_PYTHON = Path("/usr/bin/python3")
SYSTEM_PREFIX = Path("/usr")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The program, and the trees that are shown read-only at the same place inside."""

    program: Path
    trees: tuple[Path, ...]
    hidden: tuple[Path, ...]
    """Folders within the trees that are shown empty: packages of the installation."""


def find_interpreter(*, for_others: bool) -> Interpreter:
    """Our own Python or the system's. With `for_others`, one that every user of the machine can read.

    Raises Unavailable when there is none.
    """
    own = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    candidates = [(own, Path(sys.base_prefix).resolve(), "python{}.{}".format(*sys.version_info))]
    system = SYSTEM_PYTHON.resolve()
    if system.is_file():
        candidates.append((system, SYSTEM_PREFIX, system.name))
    for program, prefix, version in candidates:
        stdlib = prefix / "lib" / version
        if stdlib.is_dir() and (not for_others or (_readable_by_all(program) and _readable_by_all(stdlib))):
            return _shown(program, prefix, stdlib)
    raise Unavailable(
        "sandbox.no_python",
        "There is no Python here that the sandbox can use.",
        "Install Debian's package python3, or start the server as a user of its own.",
    )


def _shown(program: Path, prefix: Path, stdlib: Path) -> Interpreter:
    trees = [program, stdlib]
    trees += [] if prefix == SYSTEM_PREFIX else sorted((prefix / "lib").glob("libpython3*.so*"))
    trees += libraries(Path("/usr/lib"))
    trees += [path for path in (Path("/usr/lib64"), Path("/usr/share/zoneinfo")) if path.is_dir()]
    hidden = [stdlib / name for name in ("site-packages", "dist-packages") if (stdlib / name).is_dir()]
    return Interpreter(program, tuple(trees), tuple(hidden))


def libraries(below: Path) -> list[Path]:
    """The shared libraries for this processor in a folder such as /usr/lib, and the loader beside them."""
    multiarch = below / (sysconfig.get_config_var("MULTIARCH") or "")
    return [*([multiarch] if multiarch.is_dir() else []), *sorted(below.glob("ld-linux-*.so.*"))]


def _readable_by_all(path: Path) -> bool:
    """Returns whether a user without any rights of its own can reach and read it."""
    for folder in path.parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            return False
    return bool(path.stat().st_mode & stat.S_IROTH)
