# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypts the secrets folder of the farm to the public half of the recovery key, on the controller.

Only the recovery key opens the result, so that machines can carry it in their backups.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStore
from ansible_collections.soundstage.farm.plugins.plugin_utils.farm_action import FarmAction

_ARGUMENTS: dict[str, Any] = {
    "secrets": {"type": "path", "required": True},
    # Of age; nothing is sealed while it is empty.
    "recipient": {"type": "str", "default": ""},
    # Of what is sealed already: the same files for the same recipient are not sealed again.
    "digest": {"type": "str", "default": ""},
}


class ActionModule(FarmAction):
    """Returns `content` (text) and its `digest`; no content when nothing has changed."""

    arguments = _ARGUMENTS

    def act(self, params: dict[str, Any]) -> dict[str, Any]:
        recipient = params["recipient"].strip()
        if not recipient:
            return {"changed": False, "msg": "There is no recovery key: `soundstage-backup key` makes one."}
        store = SecretStore.open(params["secrets"])
        packed, digest = _pack(store, recipient)
        if digest == params["digest"].strip():
            return {"changed": False}
        if self._task.check_mode:
            return {"changed": True}
        return {"changed": True, "content": _encrypt(packed, recipient), "digest": digest}


def _pack(store: SecretStore, recipient: str) -> tuple[bytes, str]:
    """Returns a tar file of the folder, and a digest that changes with any file, name or recipient."""
    digest = hashlib.sha256(recipient.encode())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for file in sorted(store.folder.rglob("*")):
            if not file.is_file() or file.name == ".lock":
                continue
            name = str(file.relative_to(store.folder))
            content = file.read_bytes()
            digest.update(f"\n{name} {hashlib.sha256(content).hexdigest()}".encode())
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue(), digest.hexdigest()


def _encrypt(content: bytes, recipient: str) -> str:
    try:
        done = subprocess.run(
            ["age", "--encrypt", "--armor", "--recipient", recipient],
            input=content,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise AnsibleActionFail(
            "backup.no_age: the controller needs the program age to seal the secrets folder: apt install age"
        ) from None
    if done.returncode != 0:
        detail = done.stderr.decode(errors="replace").strip()
        raise AnsibleActionFail(f"backup.not_sealed: age refuses the recipient {recipient}: {detail}")
    return done.stdout.decode()
