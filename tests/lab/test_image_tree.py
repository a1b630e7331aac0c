"""What decides which tree with roles an image is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.image_tree import tree_key
from pxe.image.recipe import Kernel

FILES = {
    "playbook.yaml": "- import_playbook: ansible/playbooks/site.yaml",
    "ansible/roles/worker/tasks/main.yml": "- pack it",
    "ansible/playbooks/site.yaml": "- hosts: all",
    "avatar/uv.lock": "numpy 2",
    "avatar/src/avatar/__init__.py": "",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("changed", [*FILES, "inventory"])
def test_another_role_worker_or_variable_makes_another_tree(tmp_path: Path, changed: str) -> None:
    checkout = write(tmp_path / "checkout", FILES)
    inventory = write(tmp_path / "inventory", {"farm.yaml": "all: {}"})
    before = tree_key("base", inventory, checkout, Kernel.CLOUD)
    write(checkout, {"avatar/.venv/bin/python": "what a worker leaves", "docs/guide.md": "words"})
    assert tree_key("base", inventory, checkout, Kernel.CLOUD) == before
    place = inventory / "farm.yaml" if changed == "inventory" else checkout / changed
    place.write_text("another")
    assert tree_key("base", inventory, checkout, Kernel.CLOUD) != before
