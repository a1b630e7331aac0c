"""The inventory plugin: machines out of the provisioning API, or of a snapshot while that does not answer."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from farm_in_lab import ROOT, Run, run_ansible

# As the API answers (tests/provisioning_api holds it to this form).
ANSWER: dict[str, Any] = {
    "_meta": {
        "hostvars": {
            "box-1": {"ansible_host": "10.9.0.11", "soundstage_gpus": []},
            "box-2": {"ansible_host": "10.9.0.12", "soundstage_note": "{{ lookup('pipe', 'id') }}"},
        }
    },
    "all": {"children": ["ungrouped", "control", "gpu", "members", "nvidia", "tag_control", "workers"]},
    "control": {"hosts": ["box-1"]},
    "gpu": {"hosts": ["box-2"]},
    "members": {"hosts": ["box-1", "box-2"]},
    "tag_control": {"hosts": ["box-1"]},
    "nvidia": {"hosts": ["box-2"]},
    "workers": {"hosts": ["box-2"]},
}
KEY = "an-api-key"


@pytest.fixture
def api() -> Iterator[str]:
    """The address of a server that answers as the API does, to whoever has the key."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("Authorization") == f"Bearer {KEY}"
            body = json.dumps(ANSWER if known else {"title": "Forbidden"}).encode()
            self.send_response(200 if known else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def listed(folder: Path, **options: Any) -> Run:
    (folder / "key").write_text(f"{KEY}\n")
    source = folder / "machines.yaml"
    source.write_text(json.dumps({"plugin": "soundstage.farm.machines", **options}))
    # Proxies of the tests' surroundings have nothing to do with a server on this computer.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return run_ansible("ansible-inventory", ["-i", str(source), "--list"], environment)


def inventory(run: Run) -> Any:
    assert run.status == 0, run.output
    return json.JSONDecoder().raw_decode(run.output[run.output.index("{") :])[0]


def test_machines_come_out_of_the_api_in_the_groups_of_the_roles(
    tmp_path: Path, api: str, ansible_environment: Path
) -> None:
    found = inventory(listed(tmp_path, url=api, token_file=str(tmp_path / "key")))
    assert found["control"]["hosts"] == ["box-1"]
    assert found["workers"]["hosts"] == ["box-2"]
    assert found["gpu"]["hosts"] == ["box-2"]
    assert found["_meta"]["hostvars"]["box-1"]["ansible_host"] == {"__ansible_unsafe": "10.9.0.11"}


def test_what_a_machine_says_of_itself_is_never_a_template(
    tmp_path: Path, api: str, ansible_environment: Path
) -> None:
    listed(tmp_path, url=api, token_file=str(tmp_path / "key"))
    playbook = tmp_path / "show.yaml"
    task = {"ansible.builtin.debug": {"msg": "{{ soundstage_note }}"}}
    playbook.write_text(json.dumps([{"hosts": "box-2", "gather_facts": False, "tasks": [task]}]))
    done = run_ansible(
        "ansible-playbook", ["-i", str(tmp_path / "machines.yaml"), str(playbook)], dict(os.environ)
    )
    assert "lookup(" in done.said(), done.output
    assert "uid=" not in done.output


def test_a_snapshot_serves_while_the_api_does_not_answer_and_that_is_said(
    tmp_path: Path, ansible_environment: Path
) -> None:
    (tmp_path / "snapshot.json").write_text(json.dumps(ANSWER))
    done = listed(tmp_path, url="http://127.0.0.1:9", snapshot=str(tmp_path / "snapshot.json"))
    assert "gave no machines" in done.said()
    assert inventory(done)["control"]["hosts"] == ["box-1"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name the API (url) or a file with its answer (snapshot)"),
        ({"url": "http://farm.example:8001"}, "sent over https only"),
        ({"url": "http://127.0.0.1.example:8001"}, "sent over https only"),
        ({"snapshot": "/nowhere/snapshot.json"}, "cannot be read"),
        ({"url": "http://127.0.0.1:9"}, "gave no machines"),
    ],
)
def test_without_machines_it_fails_and_says_why_instead_of_giving_an_empty_farm(
    tmp_path: Path, ansible_environment: Path, options: dict[str, Any], words: str
) -> None:
    done = listed(tmp_path, **options)
    assert done.status != 0
    assert words in done.said(), done.output


def test_a_wrong_key_is_told(tmp_path: Path, api: str, ansible_environment: Path) -> None:
    done = listed(tmp_path, url=api)
    assert done.status != 0
    assert "403" in done.said()


def test_the_example_in_the_repository_is_a_whole_inventory(ansible_environment: Path) -> None:
    found = inventory(
        run_ansible("ansible-inventory", ["-i", str(ROOT / "inventory"), "--list"], dict(os.environ))
    )
    assert found["control"]["hosts"] == ["control-1"]
    assert set(found["workers"]["children"]) == {"gpu", "cpu"}
