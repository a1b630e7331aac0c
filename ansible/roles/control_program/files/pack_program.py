"""Packs the control plane for machines of one kind, on the controller; the role control_program calls it once
per run.

Prints JSON: `digest` names exactly this content, `archive` is a tar file. It holds `service/` and `ansible/`,
the locked packages of the two environments, each unpacked and ready to be put on Python's path, and
`project/`, the playbooks and what their roles read. The machine needs no package index and no pip. What was
packed once is taken from the cache, which keeps the youngest. Only the standard library; uv is called.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugins" / "module_utils"))

from packing import build_once, digest_of, run, tell, uv_program, write_archive

PACKED_FORM = "2"  # change it when the archive is packed in another way
_LOCKS = ("pyproject.toml", "uv.lock", "ansible/pyproject.toml", "ansible/uv.lock", "avatar/pyproject.toml")
# Of the checkout: what wheels are built from, and what playbooks read.
_ROOMS = ("soundstage", "policy", "studio", "provisioning_api", "farm", "agent", "lab", "app", "pxe", "jobs")
_PROJECT = (
    "playbook.yaml",
    "ansible.cfg",
    "ansible",
    "inventory",
    "jobs",
    "personas",
    "avatar",
    "farm",
    "pxe",
    "scripts",
)
_NOT_CARRIED = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", "node_modules", ".git"}
# Only the command line of num2words needs it, and it cannot be packed for another machine.
_WITHOUT_WHEEL = ("docopt",)
_ENVIRONMENT = ".venv"  # and whatever begins so


def main() -> int:
    arguments = _arguments()
    words = (PACKED_FORM, arguments.python_version, arguments.platform, *sorted(arguments.extra))
    files = _files(arguments.source, (*_LOCKS, *_ROOMS, *_PROJECT))
    digest = digest_of(words, arguments.source, files)

    def build(folder: Path) -> Path:
        packed = _build(arguments, folder)
        return write_archive(packed, folder / "control.tar", left_out=_of_the_installer, plain_modes=True)

    tell(build_once(arguments.cache, "control", digest, build, only_look=arguments.check))
    return 0


def _files(source: Path, names: Iterable[str]) -> Iterator[Path]:
    """All files and links below these, each once, without what tools leave behind."""
    found: set[Path] = set()
    for name in names:
        start = source / name
        for folder, below, files in os.walk(start):
            below[:] = [one for one in below if one not in _NOT_CARRIED and not one.startswith(_ENVIRONMENT)]
            links = [one for one in below if (Path(folder) / one).is_symlink()]
            found |= {Path(folder) / one for one in (*files, *links) if not one.endswith(".pyc")}
        if start.is_file():
            found.add(start)
    yield from sorted(one for one in found if one.is_file() or one.is_symlink())


def _build(arguments: argparse.Namespace, folder: Path) -> Path:
    """The folder that is to be packed."""
    packed, source = folder / "packed", arguments.source
    wheels = folder / "wheels"
    for project in (source, source / "avatar"):
        run([arguments.uv, "build", "--quiet", "--wheel", "--out-dir", str(wheels), str(project)])
    left_out = (f"--no-emit-package={name}" for name in ("soundstage-avatar", *_WITHOUT_WHEEL))
    own = [*left_out, *(f"--extra={name}" for name in arguments.extra)]
    _install(arguments, folder / "service.txt", source, packed / "service", [*own, "--no-emit-project"])
    _install(arguments, folder / "ansible.txt", source / "ansible", packed / "ansible", ["--no-emit-project"])
    built = [str(wheel) for wheel in sorted(wheels.glob("*.whl"))]
    run([*_into(arguments, packed / "service"), "--no-deps", *built])
    for file in _files(source, _PROJECT):
        target = packed / "project" / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target, follow_symlinks=False)
    return packed


def _install(
    arguments: argparse.Namespace, locked: Path, project: Path, target: Path, without: list[str]
) -> None:
    """Exactly the locked packages of a project, each with its hash."""
    command = [arguments.uv, "export", "--quiet", "--locked", "--no-dev", "--no-header", *without]
    run([*command, "--project", str(project), "--output-file", str(locked)])
    words = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(locked)]
    run([*_into(arguments, target), *words])


def _into(arguments: argparse.Namespace, target: Path) -> list[str]:
    command = [arguments.uv, "pip", "install", "--quiet", "--target", str(target), "--link-mode", "copy"]
    version, platform = arguments.python_version, arguments.platform
    return [*command, "--python-version", version, "--python-platform", platform]


def _of_the_installer(name: Path) -> bool:
    """Programs and byte code that uv puts beside packages: they name this computer's Python."""
    return bool({"bin", "__pycache__"} & set(name.parts[1:2]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Pack the control plane for machines of one kind.")
    parser.add_argument("--source", type=Path, required=True, help="the checkout")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--uv", type=uv_program, default="uv")
    parser.add_argument("--python-version", default="3.13", help="of the machines")
    parser.add_argument("--platform", default="x86_64-manylinux_2_40", help="of the machines, as uv names it")
    parser.add_argument("--extra", action="append", default=[], help="an optional dependency to pack, too")
    parser.add_argument("--check", action="store_true", help="say what would be packed, and pack nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
