# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads files of the farm's secrets folder for templates; a dry run needs none."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import (
    SecretStore,
    SecretStoreError,
)

DOCUMENTATION = r"""
name: secret
short_description: Read a file of the farm's secrets folder
description:
  - Fails with what to do when the file is missing. In check mode, before the first real run has made the
    secrets, it gives a placeholder, so that the run can show everything else.
options:
  _terms:
    description: Names in the folder, such as C(consul/gossip.key).
    required: true
  folder:
    description: The secrets folder.
    required: true
    type: path
author: Soundstage
"""


class LookupModule(LookupBase):
    """Tokens and keys come without their line end; PEM and OpenSSH files as they are."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        try:
            store = SecretStore(self.get_option("folder"))
            return [
                self._read(store, name, bool((variables or {}).get("ansible_check_mode"))) for name in terms
            ]
        except SecretStoreError as error:
            raise AnsibleLookupError(str(error)) from error

    def _read(self, store: SecretStore, name: str, dry: bool) -> str:
        if dry and not store.has(name):
            return f"({name} is made by the first real run)\n"
        whole = name.endswith((".pem", ".pub"))
        return store.read(name).decode() if whole else store.text(name)
