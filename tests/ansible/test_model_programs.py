"""The role models reads the controller's llama.cpp once in a run, and brings workers what they need."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from farm_in_lab import ROOT, Run, run_ansible

ROLE = ROOT / "ansible/roles/models"
# As the role does; each call adds a line with the folder that it reads.
COUNTED = 'echo "$0" >> {calls}; cd "$0" 2>/dev/null && find -L . -type f -exec sha256sum {{}} + || true'


class Controller:
    """Folders of llama.cpp below `folder`, and workers that are folders as well."""

    def __init__(self, folder: Path, sources: dict[str, str]) -> None:
        self._folder = folder
        self._sources = sources
        for name in set(sources.values()) - {"missing"}:
            (folder / name).mkdir()
            (folder / name / "llama-server").write_text(name)

    def program_of(self, worker: str) -> Path:
        return self._folder / "workers" / worker / "llama-server"

    def play(self, *arguments: str) -> Run:
        """Runs the tasks of the role for all workers in a play of their own."""
        calls = self._folder / "calls"
        calls.write_text("")
        hosts = {
            worker: {"ansible_connection": "local", "models__llama_server": str(self._folder / source)}
            for worker, source in self._sources.items()
        }
        (self._folder / "hosts.yaml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
        tasks = {"ansible.builtin.include_tasks": str(ROLE / "tasks/llama_server.yml")}
        files = [str(ROLE / "vars/main.yml")]
        play = {"hosts": "all", "gather_facts": False, "become": False, "vars_files": files, "tasks": [tasks]}
        (self._folder / "play.yaml").write_text(json.dumps([play]))
        variables = {
            "models__manifest": [{"path": "tiny.gguf"}],
            "models__llama_folder": f"{self._folder}/workers/{{{{ inventory_hostname }}}}",
            "models__list_programs": ["sh", "-c", COUNTED.format(calls=calls)],
        }
        words = ["-i", str(self._folder / "hosts.yaml"), "-e", json.dumps(variables)]
        words += [str(self._folder / "play.yaml"), *arguments]
        return run_ansible("ansible-playbook", words, {**os.environ, "ANSIBLE_BECOME": "false"})

    def reads(self) -> list[str]:
        """Returns the folders of the controller that the last play read."""
        read = [Path(line) for line in (self._folder / "calls").read_text().split()]
        return sorted(path.name for path in read if path.parent == self._folder)


@pytest.fixture
def build(tmp_path: Path, ansible_environment: Path) -> Any:
    return lambda **sources: Controller(tmp_path, sources)


def test_each_folder_of_the_controller_is_read_once_for_all_workers(build: Any) -> None:
    controller = build(one="cpu", two="cuda", three="cpu", four="cpu")
    done = controller.play()
    assert done.status == 0, done.output
    assert controller.reads() == ["cpu", "cuda"]
    found = {worker: controller.program_of(worker).read_text() for worker in ("one", "two", "three", "four")}
    assert found == {"one": "cpu", "two": "cuda", "three": "cpu", "four": "cpu"}
    assert controller.play().changed() == 0


def test_a_dry_run_names_the_workers_that_would_change_and_changes_none(build: Any) -> None:
    controller = build(one="cpu", two="cpu")
    assert controller.play("--limit", "one").status == 0
    done = controller.play("--check")
    assert done.status == 0, done.output
    assert (done.count("one", "changed"), done.count("two", "changed")) == (0, 1)
    assert controller.reads() == ["cpu"] and not controller.program_of("two").exists()


def test_workers_with_a_program_go_on_where_another_has_none(build: Any) -> None:
    controller = build(one="missing", two="cpu")
    done = controller.play()
    assert (done.count("one", "failed"), done.count("two", "failed")) == (1, 0)
    assert "models.llama_server_missing: one" in done.output
    assert controller.program_of("two").read_text() == "cpu"
