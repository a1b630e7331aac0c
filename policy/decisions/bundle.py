"""The Rego modules and their data as they are shipped, with the revision that names exactly this content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

DECISION = "data.soundstage.authz.decision"
PERMISSIONS = "data.soundstage.authz.permissions"
# What others call comes first: an OPA server takes one module after the other, and checks each.
MODULES = ("patterns.rego", "api_keys.rego", "tenants.rego", "tools.rego", "authz.rego")
# The second is generated from the records of the agent's tools (`make docs`).
DATA = ("data.json", "tools.json")


@dataclass(frozen=True, slots=True)
class Bundle:
    """`modules` by file name; `data` without the revision, which `document` adds."""

    modules: Mapping[str, str]
    data: Mapping[str, Any]
    revision: str

    @classmethod
    def of(cls, modules: Mapping[str, str], data: Mapping[str, Any]) -> Bundle:
        """The revision is a hash over everything that a decision depends on."""
        content = json.dumps([list(modules.items()), data], sort_keys=True)
        revision = hashlib.sha256(content.encode()).hexdigest()[:16]
        return cls(MappingProxyType(dict(modules)), MappingProxyType(dict(data)), revision)

    def document(self) -> dict[str, Any]:
        """Returns what the Rego sees as `data`."""
        return {**self.data, "revision": self.revision}


@cache
def load_bundle() -> Bundle:
    """Loads `policy/rego`, without its tests."""
    folder = files("policy").joinpath("rego")
    modules = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in MODULES}
    data: dict[str, Any] = {}
    for name in DATA:
        data |= json.loads(folder.joinpath(name).read_text(encoding="utf-8"))
    return Bundle.of(modules, data)
