"""The models folder: what of the manifest is there, how an operator's file comes in, whether it stays the
same.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from avatar.engines.weights.inspection import inspect
from avatar.engines.weights.manifest import WeightFile, manifest, weight_file
from avatar.engines.weights.voice_card import card_of, read_voice_card
from avatar.errors import InvalidInput, Unavailable

FOLDER_VARIABLE = "AVATAR_MODELS"
FARM_FOLDER = Path("/opt/soundstage/models")
"""Where the role `models` puts them on a farm's machines."""

State = Literal["missing", "there", "not_pinned", "changed", "wrong"]
LOCK_FILE = "models.lock.json"


def models_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """`$AVATAR_MODELS`; else the user's folder of the XDG specification, or a farm machine's when only that
    is there.
    """
    if named := environment.get(FOLDER_VARIABLE):
        return Path(named)
    base = environment.get("XDG_DATA_HOME")
    own = (Path(base) if base else Path.home() / ".local" / "share") / "soundstage" / "models"
    return FARM_FOLDER if FARM_FOLDER.is_dir() and not own.is_dir() else own


@dataclass(frozen=True, slots=True)
class Found:
    """One file of the manifest and how it stands; `sentence` says what is wrong."""

    file: WeightFile
    path: Path
    state: State
    sha256: str | None = None
    size_bytes: int | None = None
    sentence: str = ""


class ModelStore:
    """The operator's weights below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def require(self, role: str, name: str | None = None) -> Path:
        """Returns the path of the weights of a role; for engines, which load them strictly.

        Raises Unavailable `weights.missing`, and InvalidInput `weights.changed` when the file has not the
        size it was pinned with. Contents are compared by `verify`: hashing gigabytes at each start takes too
        long.
        """
        entry = weight_file(role)
        path = self._place(entry, name)
        if not path.is_file():
            raise missing(entry, path)
        pin = read_pins(self.folder).files.get(self._key(path))
        if pin is not None and pin.size_bytes != path.stat().st_size:
            raise _changed(path, "its size")
        return path

    def survey(self) -> list[Found]:
        """Every file of the manifest, and every voice that is there; nothing is hashed."""
        pins = read_pins(self.folder).files
        found = []
        for entry in manifest():
            for path in self._paths(entry):
                pin = pins.get(self._key(path))
                if not path.is_file():
                    found.append(Found(entry, path, "missing"))
                    continue
                size = path.stat().st_size
                if pin is None:
                    found.append(Found(entry, path, "not_pinned", size_bytes=size, sentence=_NOT_PINNED))
                elif pin.size_bytes != size:
                    found.append(Found(entry, path, "changed", pin.sha256, size, "Its size is another."))
                else:
                    found.append(Found(entry, path, "there", pin.sha256, size))
        return found

    def verify(self, roles: tuple[str, ...] = ()) -> list[Found]:
        """Hashes and opens what is there (of these roles); what is missing counts when its role is named."""
        requested = {weight_file(role).role for role in roles}
        chosen = [one for one in self.survey() if one.file.role in requested or not requested]
        return [self._verified(one) for one in chosen if requested or one.state != "missing"]

    def add(self, source: Path, entry: WeightFile, *, link: bool = False, replace: bool = False) -> Found:
        """Puts an operator's file into its place and pins it.

        `link` leaves the numbers where they are; `replace` gives up the hash that was pinned before. Raises
        InvalidInput `weights.*`; nothing is changed then.
        """
        if not source.is_file():
            raise InvalidInput("weights.no_file", f"There is no file {source}.", "Name the file you fetched.")
        target = self._place(entry, source.name)
        with _writing(self.folder):
            target.parent.mkdir(parents=True, exist_ok=True)
            staged = target
            if source.resolve() != target.resolve():
                # Under its own name, so that what is wrong with it is told by that name.
                staged = self.folder / _STAGING / self._key(target).replace("/", "-") / source.name
                shutil.rmtree(staged.parent, ignore_errors=True)  # of an add that was killed
                staged.parent.mkdir(parents=True, exist_ok=True)
            try:
                sha256 = self._staged(source, staged, link=link)
                inspect(staged, entry)
                if entry.format == "piper":
                    read_voice_card(card_of(source))
                key = self._key(target)
                with edit_pins(self.folder) as pins:
                    _require_pinned(source, entry, sha256, pins.files.get(key), replace=replace)
                    if staged != target:
                        staged.replace(target)
                    if entry.format == "piper" and card_of(source).resolve() != card_of(target).resolve():
                        shutil.copyfile(card_of(source), card_of(target))
                    size = target.stat().st_size
                    pins.files[key] = Pin(
                        role=entry.role,
                        sha256=sha256,
                        size_bytes=size,
                        added_at=datetime.now(UTC).isoformat(timespec="seconds"),
                    )
            finally:
                if staged != target:
                    shutil.rmtree(staged.parent, ignore_errors=True)
        return Found(entry, target, "there", sha256, size)

    def _staged(self, source: Path, staged: Path, *, link: bool) -> str:
        """The hash of exactly the bytes that are then looked at and put in place."""
        if staged.exists() and staged.samefile(source):
            return sha256_of(staged)
        if link:
            staged.unlink(missing_ok=True)
            staged.symlink_to(source.resolve())
            return sha256_of(staged)
        digest = hashlib.sha256()
        with source.open("rb") as original, staged.open("wb") as copy:
            while block := original.read(1 << 20):
                digest.update(block)
                copy.write(block)
        return digest.hexdigest()

    def _verified(self, found: Found) -> Found:
        if found.state == "missing":
            reason = str(missing(found.file, found.path).message)
            return Found(found.file, found.path, "missing", sentence=reason)
        try:
            sha256 = sha256_of(found.path)
            inspect(found.path, found.file)
            if found.file.format == "piper":
                read_voice_card(card_of(found.path))
        except InvalidInput as error:
            return Found(found.file, found.path, "wrong", size_bytes=found.size_bytes, sentence=error.message)
        expected = found.file.sha256 or found.sha256
        if expected is not None and expected != sha256:
            reason = f"Its SHA-256 is {sha256}, and was {expected}."
            return Found(found.file, found.path, "changed", sha256, found.size_bytes, reason)
        state: State = "not_pinned" if found.sha256 is None else "there"
        return Found(found.file, found.path, state, sha256, found.size_bytes, found.sentence)

    def _paths(self, entry: WeightFile) -> Iterator[Path]:
        if not entry.many:
            yield self.folder / entry.path
            return
        yield from sorted((self.folder / entry.path).glob("*.onnx")) or [self.folder / entry.path]

    def _place(self, entry: WeightFile, name: str | None) -> Path:
        place = self.folder / entry.path
        if not entry.many:
            return place
        if name is None or "/" in name or name.startswith("."):
            raise InvalidInput("weights.role_unclear", f"{entry.role} needs the name of a file.", _VOICE_HINT)
        return place / (name if name.endswith(".onnx") else f"{name}.onnx")

    def _key(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


_STAGING = ".new"
_NOT_PINNED = "It was put there by hand: add it, and its SHA-256 is kept."
_VOICE_HINT = "Name the voice's file, such as en_US-amy-medium.onnx."


def missing(entry: WeightFile, path: Path) -> Unavailable:
    """Returns which file, where it goes, from where, under which licence."""
    return Unavailable(
        "weights.missing",
        f"{entry.engine} needs {path.name} ({entry.role}) at {path}, and it is not there. "
        f"Licence: {entry.licence}. {entry.limits}",
        f"Get it from {entry.source}, then: `models add --role {entry.role} FILE`.",
    )


def _changed(path: Path, what: str) -> InvalidInput:
    return InvalidInput(
        "weights.changed",
        f"{path} is not the file that was added: {what} is another.",
        "Look with `models verify`; add the right file again, with --replace if it is a newer one.",
    )


def _require_pinned(source: Path, entry: WeightFile, sha256: str, pin: Pin | None, *, replace: bool) -> None:
    if entry.sha256 is not None and sha256 != entry.sha256:
        raise InvalidInput(
            "weights.wrong_file",
            f"{source.name} is not {entry.role}: its SHA-256 is {sha256}, the manifest's {entry.sha256}.",
            f"Get it from {entry.source}.",
        )
    if pin is not None and pin.sha256 != sha256 and not replace:
        raise InvalidInput(
            "weights.pinned",
            f"{entry.role} is pinned to another file (SHA-256 {pin.sha256}, added {pin.added_at}).",
            "If the new one is meant, add it with --replace.",
        )


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise Unavailable(
            "weights.not_written",
            f"The weights cannot be put into {folder}: {error.strerror or error}.",
            "Make room, or add with --link." if full else f"Name another folder in {FOLDER_VARIABLE}.",
        ) from error


__all__ = ["LOCK_FILE", "Found", "ModelStore", "State", "missing", "models_folder"]


class Pin(BaseModel):
    """The state of a file when it was added."""

    model_config = ConfigDict(frozen=True)

    role: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int
    added_at: str


class Pins(BaseModel):
    """By path below the models folder."""

    version: int = 1
    files: dict[str, Pin] = Field(default_factory=dict)


def read_pins(folder: Path) -> Pins:
    """No pins where there is no lock file. Raises InvalidInput `weights.lock_damaged`."""
    path = folder / LOCK_FILE
    try:
        return Pins.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Pins()
    except (ValidationError, OSError) as error:
        raise InvalidInput(
            "weights.lock_damaged",
            f"{path} cannot be read: {type(error).__name__}.",
            "Remove it and add the weights anew, after comparing them with their pages.",
        ) from error


@contextmanager
def edit_pins(folder: Path) -> Iterator[Pins]:
    """The pins to change; written at the end, whole or not at all, one writer at a time."""
    with (folder / f".{LOCK_FILE}").open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        pins = read_pins(folder)
        yield pins
        staged = folder / f"{LOCK_FILE}.part"
        staged.write_text(json.dumps(pins.model_dump(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
        staged.replace(folder / LOCK_FILE)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
