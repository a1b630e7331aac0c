"""Describes the hardware that a ramdisk reports, and finds changes since the boot before."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from provisioning_api.machines.identity import Mac

# All of this was reported by an untrusted machine: it is data, and stays data.
_PLAIN = re.compile(r"[^A-Za-z0-9 ._,:;()/+@#=-]")


def plain(text: str) -> str:
    """Only what no template, shell or terminal reads as more than text: `{{`, `$(`, quotes and escapes go."""
    return " ".join(_PLAIN.sub("", text).split())


Plain = Annotated[str, AfterValidator(plain), Field(max_length=200)]
_Count = Annotated[int, Field(ge=0, le=1 << 40)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Disk(_Part):
    """`name` as the kernel has it (`sda`, `nvme0n1`); `bytes` whole."""

    name: Plain
    bytes: Annotated[int, Field(ge=0, le=1 << 60)]
    model: Plain = ""
    serial: Plain = ""
    rotational: bool = False


class Nic(_Part):
    mac: Mac
    name: Plain = ""
    driver: Plain = ""
    speed_mbit: _Count = 0


class Gpu(_Part):
    """`vendor` and `device` are PCI ids, four hex digits each."""

    address: Plain
    vendor: Annotated[str, Field(pattern=r"^[0-9a-f]{4}$")]
    device: Annotated[str, Field(pattern=r"^[0-9a-f]{4}$")]
    model: Plain = ""
    vram_mib: _Count = 0


class Hardware(_Part):
    """One report. What the ramdisk could not read is left at its default."""

    vendor: Plain = ""
    product: Plain = ""
    serial: Plain = ""
    firmware: Plain = ""
    boot_mode: Annotated[str, Field(pattern=r"^(bios|uefi|)$")] = ""
    cpu_model: Plain = ""
    cpu_threads: _Count = 0
    cpu_flags: Annotated[tuple[Plain, ...], Field(max_length=400)] = ()
    memory_mib: _Count = 0
    disks: Annotated[tuple[Disk, ...], Field(max_length=128)] = ()
    nics: Annotated[tuple[Nic, ...], Field(max_length=64)] = ()
    gpus: Annotated[tuple[Gpu, ...], Field(max_length=64)] = ()

    def digest(self) -> str:
        """SHA-256 over the canonical JSON: equal reports are stored once."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


class Change(BaseModel):
    """One difference: `path` like `disks[sda].bytes`; None where there was or is nothing."""

    path: str
    before: Any = None
    after: Any = None


# By what the members of a list are known again.
_KEYS = {"disks": "name", "nics": "mac", "gpus": "address"}


def differences(before: Hardware, after: Hardware) -> list[Change]:
    """Returns what is not as it was, sorted by path."""
    old, new = _flat(before), _flat(after)
    return [
        Change(path=path, before=old.get(path), after=new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def _flat(hardware: Hardware) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in hardware.model_dump(mode="json").items():
        key = _KEYS.get(name)
        if key is None:
            found[name] = value
            continue
        for member in value:
            for inner, content in member.items():
                if inner != key:
                    found[f"{name}[{member[key]}].{inner}"] = content
    return found
