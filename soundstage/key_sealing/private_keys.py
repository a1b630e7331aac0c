"""The private keys of an installation: what each opens, how they are sealed, and how that is changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from soundstage.errors import Unavailable
from soundstage.key_sealing.key_files import (
    HEADER,
    MAGIC,
    KeyFiles,
    new_header,
    open_header,
    read_header,
    write_replacing,
)
from soundstage.key_sealing.sealers import sealer_of
from soundstage.settings.sealing import SealingSettings

PRIVATE_KEYS = MappingProxyType(
    {
        "seal.key": "tokens of connected accounts, secrets of webhooks; lost: connect and make them anew",
        "audit.key": "the proof of the audit log; lost: its lines cannot be verified any more",
        "session.key": "logins of the page; lost: everybody logs in once more",
        "tls/ca.key": "the authority of the studio's https; lost: every browser has to trust a new one",
        "tls/videos.key": "the signature in videos; lost: those signed before show an unknown signer",
        "provisioning/keys/ca.key": "certificates of machines; lost: every machine enrols anew",
        "provisioning/keys/ssh_host_ca": "SSH host certificates; lost: every machine enrols anew",
        "provisioning/keys/ssh_user_ca": "SSH logins of runs and commands; lost: every machine enrols anew",
        "provisioning/keys/manifest.key": "the signature of boot images; lost: build images anew",
        "provisioning/keys/challenge.key": "calls of machines under way; lost: they call again",
        "provisioning/keys/audit.key": "the proof of the machines' audit log; lost: no line can be verified",
        "provisioning/keys/seal.key": "passwords of BMCs and announced machines; lost: set them anew",
    }
)
"""By path in `state_dir`: what a key opens, and what is lost with it."""


@dataclass(frozen=True, slots=True)
class SealedKeys:
    """Names of sealed and plain keys of a state folder, and what opens them."""

    sealed: tuple[str, ...]
    plain: tuple[str, ...]
    opens_with: tuple[str, ...]


def inspect_keys(state_dir: Path) -> SealedKeys:
    """Reads what is sealed and by what; opens nothing. Raises `sealing.bad_header`, and OSError."""
    found = {name: state_dir / name for name in PRIVATE_KEYS if (state_dir / name).is_file()}
    sealed = tuple(name for name, path in found.items() if _is_sealed(path))
    headers = (read_header(folder / HEADER) for folder in _folders(state_dir))
    return SealedKeys(
        sealed,
        tuple(name for name in found if name not in sealed),
        tuple(dict.fromkeys(header["opens_with"] for header in headers if header)),
    )


def check_keys(state_dir: Path, sealing: SealingSettings) -> None:
    """Opens all data keys. Raises `sealing.*`."""
    for folder in _folders(state_dir):
        KeyFiles(folder, sealing).check()


def seal_keys(state_dir: Path, new: SealingSettings, old: SealingSettings) -> SealedKeys:
    """Brings all private keys to the sealing `new`; `old` opens those that `new` does not. Opens and wraps
    everything before the first file is written. A second call finishes one that was cut off. Raises
    `sealing.*`, and OSError.
    """
    opened = {folder: _opened_by(folder / HEADER, new, old) for folder in _folders(state_dir)}
    sealer = sealer_of(new)
    if sealer is None:
        _unseal(state_dir, {folder: by for folder, by in opened.items() if by is not None})
        return inspect_keys(state_dir)
    headers = {
        folder: new_header(new.method, sealer, open_header(folder / HEADER, by))
        for folder, by in opened.items()
        if by is not None and by != new
    }
    for folder, header in headers.items():
        write_replacing(folder / HEADER, header)
    for name in inspect_keys(state_dir).plain:
        path = state_dir / name
        files = KeyFiles(path.parent, new)
        content = path.read_bytes()
        encrypted = files.encrypt(path.name, content)
        if files.decrypt(path.name, encrypted) == content:
            write_replacing(path, encrypted)
    return inspect_keys(state_dir)


def _opened_by(header: Path, new: SealingSettings, old: SealingSettings) -> SealingSettings | None:
    """Returns the settings that open a folder, or None where it is not sealed. Raises `sealing.*`."""
    if not read_header(header):
        return None
    try:
        open_header(header, new)
        return new
    except Unavailable:
        open_header(header, old)
        return old


def _unseal(state_dir: Path, opened: dict[Path, SealingSettings]) -> None:
    for folder, by in opened.items():
        files = KeyFiles(folder, by)
        plain = {
            path: files.read(path.name)
            for name in PRIVATE_KEYS
            if (path := state_dir / name).parent == folder and path.is_file()
        }
        for path, content in plain.items():
            write_replacing(path, content)
        files.header.unlink()


def _folders(state_dir: Path) -> list[Path]:
    return list(dict.fromkeys((state_dir / name).parent for name in PRIVATE_KEYS))


def _is_sealed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
