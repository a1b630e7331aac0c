"""Packs the worker for machines of one kind, on the controller; the role worker calls it once per run.

Prints JSON: `digest` names exactly this worker, `archive` is a tar file with the worker's wheel,
`requirements.txt` (every package with its hash) and `wheels/` (the packages, unless machines fetch them from
an index). What was packed once is taken from the cache. Only the standard library; uv is called.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugins" / "module_utils"))

from packing import build_once, digest_of, run, tell, uv_program, write_archive

PACKED_FORM = "1"  # change it when the archive is packed in another way


def main() -> int:
    arguments = _arguments()
    words = (PACKED_FORM, arguments.python_version, arguments.platform, *sorted(arguments.extra))
    wheels = str(bool(arguments.with_wheels))
    digest = digest_of((*words, wheels), arguments.source, _sources(arguments.source))

    def build(folder: Path) -> Path:
        _build(arguments, folder)
        return write_archive(folder / "packed", folder / "worker.tar")

    tell(build_once(arguments.cache, "worker", digest, build, only_look=arguments.check))
    return 0


def _sources(source: Path) -> Iterator[Path]:
    yield from (source / name for name in ("pyproject.toml", "uv.lock", "README.md"))
    package = source / "src"
    # `rglob` does not follow the link to the presenters.
    found = (*package.rglob("*"), *(package / "avatar" / "presenters").glob("*"))
    yield from sorted(file for file in found if file.is_file() and "__pycache__" not in file.parts)


def _build(arguments: argparse.Namespace, folder: Path) -> None:
    packed = folder / "packed"
    packed.mkdir()
    run([arguments.uv, "build", "--quiet", "--wheel", "--out-dir", str(packed), str(arguments.source)])
    (packed / ".gitignore").unlink(missing_ok=True)
    requirements = packed / "requirements.txt"
    extras = [word for extra in arguments.extra for word in ("--extra", extra)]
    command = [arguments.uv, "export", "--quiet", "--locked", "--no-dev", "--no-emit-project", "--no-header"]
    run([*command, *extras, "--project", str(arguments.source), "--output-file", str(requirements)])
    if arguments.with_wheels:
        version = arguments.python_version
        command = [arguments.uv, "tool", "run", "--quiet", "pip", "download", "--quiet", "--no-deps"]
        command += [
            "--require-hashes",
            "--only-binary=:all:",
            "--implementation=cp",
            f"--python-version={version}",
        ]
        command += [f"--abi={abi}" for abi in (f"cp{version.replace('.', '')}", "abi3", "none")]
        command += [f"--platform={platform}" for platform in _platforms(arguments.platform)]
        exported = folder / "requirements.txt"
        # pip judges markers by the Python that it runs with, not by the one it downloads for.
        run(
            [
                arguments.uv,
                "pip",
                "compile",
                "--quiet",
                "--no-deps",
                "--generate-hashes",
                "--no-header",
                f"--python-version={version}",
                f"--python-platform={arguments.platform}",
                "--output-file",
                str(exported),
                str(requirements),
            ]
        )
        run([*command, f"--dest={packed / 'wheels'}", f"--requirement={exported}"])
        _require_locked(packed / "wheels", requirements.read_text(encoding="utf-8"))
        shutil.copyfile(exported, requirements)


def _require_locked(wheels: Path, locked: str) -> None:
    """Every package must be one that the lock names, whatever the index says by now."""
    for wheel in sorted(wheels.iterdir()):
        with wheel.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() not in locked:
                print(f"{wheel.name} is not the file that avatar/uv.lock names.", file=sys.stderr)
                sys.exit(1)


def _platforms(platform: str) -> list[str]:
    """The wheels' names for a platform of uv, for example `x86_64-manylinux_2_40`: it, and all older ones."""
    machine, _, newest = platform.partition("-manylinux_2_")
    return [f"manylinux_2_{minor}_{machine}" for minor in range(int(newest), 4, -1)] + [
        f"manylinux2014_{machine}"
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Pack the worker for machines of one kind.")
    parser.add_argument("--source", type=Path, required=True, help="the folder avatar/ of the checkout")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--uv", type=uv_program, default="uv")
    parser.add_argument("--python-version", default="3.13", help="of the machines")
    parser.add_argument("--platform", default="x86_64-manylinux_2_40", help="of the machines, as uv names it")
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("--with-wheels", action="store_true")
    parser.add_argument("--check", action="store_true", help="say what would be packed, and pack nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
