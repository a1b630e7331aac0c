"""A variable of a play loses against one in the vars/main.yml of a role, so what a playbook sets is none."""

from __future__ import annotations

import yaml
from farm_in_lab import ROOT


def test_no_playbook_sets_what_a_role_has_fixed() -> None:
    fixed = {
        name
        for path in (ROOT / "ansible/roles").glob("*/vars/main.yml")
        for name in yaml.safe_load(path.read_text()) or {}
    }
    chosen = {
        (path.name, name)
        for path in [ROOT / "playbook.yaml", *(ROOT / "ansible/playbooks").glob("*.yaml")]
        for play in yaml.safe_load(path.read_text())
        for name in play.get("vars", {})
    }
    assert ("rotate-secrets.yaml", "farm__rotating") in chosen and "consul__policies" in fixed
    assert [one for one in sorted(chosen) if one[1] in fixed] == []
