"""What a run may name: the playbooks of a folder, with the roles that can run alone."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.provisioning import ProvisioningProcess
from provisioning_api.runs.playbooks import find_playbooks
from provisioning_api.runs.tasks import tasks_of

SITE = """\
- name: All of it
  hosts: all
  roles:
    - {role: common, tags: common}
    - {role: nomad, tags: [nomad, engines]}
    - untagged
"""


def write(project: Path, name: str, text: str) -> None:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_playbooks_are_found_with_roles_also_of_those_that_they_import(tmp_path: Path) -> None:
    write(tmp_path, "playbook.yaml", "- import_playbook: ansible/playbooks/site.yaml\n")
    write(tmp_path, "ansible/playbooks/site.yaml", SITE)
    whole, site = find_playbooks(tmp_path)
    assert (whole.path, site.path) == ("playbook.yaml", "ansible/playbooks/site.yaml")
    assert (whole.title, site.title) == ("playbook", "All of it")
    assert {role.name: role.tags for role in whole.roles} == {
        "common": ["common"],
        "nomad": ["nomad", "engines"],
        "untagged": [],
    }


def test_what_is_no_playbook_or_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "list.yaml", "- only\n- words\n")
    write(tmp_path, "broken.yaml", "a: [")
    write(tmp_path, "empty.yaml", "")
    write(tmp_path, "binary.yaml", "\x00")
    write(tmp_path, "dated.yaml", "- hosts: 2026-13-45\n")
    write(tmp_path, "tagged.yaml", "- hosts: !!int ''\n")
    write(tmp_path, "claimed.yaml", "- hosts: !!timestamp soon\n")
    write(tmp_path, "mixed.yaml", "- hosts: all\n- name: no play\n")
    assert find_playbooks(tmp_path) == []


def test_a_playbook_that_imports_itself_or_the_world_outside_ends(tmp_path: Path) -> None:
    project = tmp_path / "project"
    write(tmp_path, "outside.yaml", SITE)
    write(project, "round.yaml", "- import_playbook: round.yaml\n- import_playbook: ../outside.yaml\n")
    (found,) = find_playbooks(project)
    assert (found.path, found.roles) == ("round.yaml", [])


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("playbook.yaml", True),
        ("ansible/playbooks/site.yaml", True),
        ("ansible/roles/common/tasks/main.yml", True),
        ("ansible/roles/common/files/new.bin", True),
        ("ansible/playbooks/roles/mine/tasks/main.yml", True),
        ("ansible/plugins/filter/ours.py", True),
        ("inventory/group_vars/all.yaml", True),
        ("ansible/plugins/filter/__pycache__/ours.pyc", False),
        ("ansible/playbooks/other.yaml", False),
        ("README.md", False),
    ],
)
def test_the_hash_of_a_playbook_is_of_all_that_a_run_reads(tmp_path: Path, name: str, counts: bool) -> None:
    write(tmp_path, "playbook.yaml", "- import_playbook: ansible/playbooks/site.yaml\n")
    write(tmp_path, "ansible/playbooks/site.yaml", SITE)
    write(tmp_path, "ansible/roles/common/tasks/main.yml", "[]\n")
    before = find_playbooks(tmp_path)[0].sha256
    assert find_playbooks(tmp_path)[0].sha256 == before
    path = tmp_path / name
    write(tmp_path, name, (path.read_text() if path.exists() else "") + "# changed\n")
    assert (find_playbooks(tmp_path)[0].sha256 != before) is counts


def test_roles_that_are_links_in_a_circle_end(tmp_path: Path) -> None:
    write(tmp_path, "playbook.yaml", SITE)
    write(tmp_path, "elsewhere/tasks/main.yml", "[]\n")
    (tmp_path / "ansible/roles").mkdir(parents=True)
    (tmp_path / "ansible/roles/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/round").symlink_to(tmp_path / "ansible/roles")
    before = find_playbooks(tmp_path)[0].sha256
    write(tmp_path, "elsewhere/tasks/main.yml", "- debug:\n")
    assert find_playbooks(tmp_path)[0].sha256 != before


@pytest.mark.parametrize("roles", ["5", "true", "common", "{a: b}"])
async def test_a_playbook_whose_roles_are_no_list_is_named(
    operator: httpx.AsyncClient, project: Path, roles: str
) -> None:
    write(project, "odd.yaml", f"- hosts: all\n  roles: {roles}\n")
    answer = await operator.get("/api/playbooks")
    assert (answer.status_code, answer.json()["code"]) == (409, "run.playbook_broken"), answer.text
    assert "odd.yaml" in answer.json()["detail"]


async def test_odd_facts_in_an_event_of_a_task_are_no_fault(
    process: ProvisioningProcess, app: FastAPI
) -> None:
    events = process.services.events
    async with process.database.transaction() as session:
        for seconds in ("soon", None, [1], True, 1.5):
            await events.append(session, "run:run_1", "run.ok", {"host": 5, "task": None, "seconds": seconds})
    found = await tasks_of(events, "run_1")
    assert [one.seconds for one in found] == [None, None, None, None, 1.5]


async def test_playbooks_and_tasks_are_routes(operator: httpx.AsyncClient) -> None:
    listed = (await operator.get("/api/playbooks")).raise_for_status().json()
    assert [one["path"] for one in listed] == ["playbook.yaml"]
    missing = await operator.get("/api/runs/run_none/tasks")
    assert (missing.status_code, missing.json()["code"]) == (404, "run.not_found")
