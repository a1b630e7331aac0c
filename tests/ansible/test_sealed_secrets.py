"""The secrets folder, sealed on the controller: only the recovery key opens it, and it is sealed anew only
when it changes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from farm_in_lab import Run, run_ansible

KEY = "the private key of the farm's authority"


@pytest.fixture
def secrets(tmp_path: Path, ansible_environment: Path) -> Path:
    if shutil.which("age") is None:
        pytest.skip("age is not installed: apt install age")
    folder = tmp_path / "secrets"
    (folder / "tls").mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    (folder / "tls" / "ca-key.pem").write_text(KEY)
    return folder


def seal(secrets: Path, recipient: str, *digests: str) -> tuple[Run, list[dict[str, Any]]]:
    """Seals once per digest of what is sealed already, in one run; returns the results."""
    out = secrets.parent / "out.json"
    task = {"secrets": str(secrets), "recipient": recipient}
    tasks: list[dict[str, Any]] = [
        {"soundstage.farm.seal_secrets": {**task, "digest": digest}, "register": f"result_{number}"}
        for number, digest in enumerate(digests)
    ]
    content = "{{ [" + ", ".join(f"result_{number}" for number in range(len(digests))) + "] | to_json }}"
    tasks.append({"ansible.builtin.copy": {"content": content, "dest": str(out), "mode": "0600"}})
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "become": False,
        "tasks": tasks,
    }
    (secrets.parent / "seal.yaml").write_text(json.dumps([play]))
    words = ["-i", "localhost,", str(secrets.parent / "seal.yaml")]
    done = run_ansible("ansible-playbook", words, {**os.environ, "ANSIBLE_BECOME": "false"})
    return done, json.loads(out.read_text()) if out.exists() else []


def test_only_the_recovery_key_opens_the_sealed_folder(secrets: Path, tmp_path: Path) -> None:
    identity = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "key").write_text(identity)
    recipient = next(line for line in identity.splitlines() if "public key" in line).split()[-1]
    done, results = seal(secrets, recipient, "", "of other files")
    assert done.status == 0, done.output
    first, second = results
    assert KEY not in first["content"] and first["digest"] == second["digest"]
    opened = subprocess.run(
        ["age", "--decrypt", "--identity", tmp_path / "key"],
        input=first["content"].encode(),
        capture_output=True,
    )
    listed = subprocess.run(["tar", "--list"], input=opened.stdout, capture_output=True, check=True).stdout
    assert listed.decode().split() == ["tls/ca-key.pem"]
    _, unchanged = seal(secrets, recipient, first["digest"])
    assert (unchanged[0]["changed"], unchanged[0].get("content")) == (False, None)
    (secrets / "tls" / "ca-key.pem").write_text("another one")
    _, changed = seal(secrets, recipient, first["digest"])
    assert changed[0]["changed"] and changed[0]["digest"] != first["digest"]


def test_without_a_recovery_key_nothing_is_sealed_and_another_word_is_refused(secrets: Path) -> None:
    done, results = seal(secrets, "", "")
    assert done.status == 0, done.output
    assert (results[0]["changed"], results[0].get("content")) == (False, None)
    done, _ = seal(secrets, "age1-no-recipient", "")
    assert done.status != 0
    assert "backup.not_sealed" in done.said()
