"""What people agree to is shown whole, or what is cut says how long the whole is and its SHA-256."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from agent.tools.cluster.jobs import ChangeJob, Hidden, _deployed, _fields, job_files
from agent.tools.plan import Plan, change
from farm.nomad.registration import JOB_FILE

LONG = "a word " * 200


def test_a_change_that_is_cut_binds_its_reader_and_its_hash_to_the_whole() -> None:
    cut = change("Say", f"{LONG}one")
    assert len(cut.where) == 400 and cut.where.startswith("a word a word")
    whole = hashlib.sha256(f"{LONG}one".encode()).hexdigest()
    assert cut.where.endswith(f"… ({len(LONG) + 3} characters in all, sha256 {whole})")
    other = change("Say", f"{LONG}two")
    assert Plan(changes=(cut,)).sha256 != Plan(changes=(other,)).sha256
    assert change("Say", "short").where == "short"


def test_a_deploy_shows_every_variable_whole_or_says_what_is_cut() -> None:
    variables = {f"argument_{number}": f"{'x' * 60}{number}" for number in range(20)}
    request = ChangeJob(action="deploy", job="tts", variables={**variables, "script": f"{LONG}rm -rf /"})
    shown = Plan(changes=tuple(_deployed({"ID": "tts"}, request, {}))).sentence()
    for name, value in variables.items():
        assert f"with {name}: {json.dumps(value)}" in shown
    [script] = re.findall(r"with script: .*", shown)
    text = json.dumps(f"{LONG}rm -rf /")
    assert f"{len(text)} characters in all, sha256 {hashlib.sha256(text.encode()).hexdigest()}" in script


def test_fields_beyond_those_that_are_listed_are_bound_by_their_hash() -> None:
    def edited(last: str) -> list[str]:
        names = [f"field{number}" for number in range(150)] + [last]
        fields = [{"Type": "Edited", "Name": name, "Old": "1", "New": "2"} for name in names]
        return [one.what + one.where for one in _fields({"Fields": fields}, Hidden())]

    assert edited("x")[-1].startswith("and 51 more fields are edited")
    assert edited("x")[:-1] == edited("y")[:-1]
    assert edited("x")[-1] != edited("y")[-1]


SECRET = "hf_qwertyuiop"
OTHER = "hf_asdfghjkl"


def _job(secret: str) -> dict[str, Any]:
    task = {
        "Name": "serve",
        "Env": {"HF_TOKEN": secret, "MAX_TOKENS": "4096", "API_KEY_FILE": "/secrets/key"},
        "Config": {"args": ["--api-key", secret, f"--token={secret}", "--port", "80"]},
        "Templates": [{"EmbeddedTmpl": f"PASSWORD={secret}\nTOKEN={{{{ .token }}}}\n"}],
    }
    return {"ID": "tts", "TaskGroups": [{"Name": "serve", "Tasks": [task]}]}


def _edit(name: str, old: str, new: str) -> dict[str, str]:
    return {"Type": "Edited", "Name": name, "Old": old, "New": new}


def test_a_deploy_shows_no_secret_wherever_it_stands_and_is_bound_to_it() -> None:
    fields = [
        _edit("Env[HF_TOKEN]", OTHER, SECRET),
        _edit("Env[MAX_TOKENS]", "2048", "4096"),
        _edit("args[1]", OTHER, SECRET),
        _edit("args[2]", f"--token={OTHER}", f"--token={SECRET}"),
        _edit("EmbeddedTmpl", f"PASSWORD={OTHER}\n", f"PASSWORD={SECRET}\n"),
        _edit("Env[URL]", f"http://me:{OTHER}@host", "http://host"),
    ]
    planned = {"JobModifyIndex": 7, "Diff": {"Type": "Edited", "Fields": fields}}
    request = ChangeJob(
        action="deploy", job="tts", variables={"hf_token": SECRET, "name": "tts", "api_key": True}
    )

    def plan(secret: str, index: int = 7) -> Plan:
        changed = {**planned, "JobModifyIndex": index}
        return Plan(changes=tuple(_deployed(_job(secret), request, changed, _job(OTHER))))

    shown = plan(SECRET).sentence()
    assert SECRET not in shown and OTHER not in shown
    for output in (
        'with hf_token: "[masked]"',
        'with name: "tts"',
        "with api_key: true",
        "Env[HF_TOKEN]: [masked] → [masked]",
        "Env[MAX_TOKENS]: 2048 → 4096",
        "args[1]: [masked] → [masked]",
        "args[2]: --token=[masked] → --token=[masked]",
    ):
        assert output in shown, shown
    assert plan(SECRET).sha256 == plan(SECRET).sha256
    assert plan(SECRET).sha256 != plan(f"{SECRET}2").sha256
    assert plan(SECRET).sha256 != plan(SECRET, 8).sha256


def test_a_plan_is_the_same_in_whatever_order_nomad_tells_it() -> None:
    """It adds constraints of its own in another order each time."""

    def constraint(target: str) -> dict[str, Any]:
        return {"Type": "Added", "Name": "Constraint", "Fields": [_edit("LTarget", "", target)]}

    def plan(*targets: str) -> Plan:
        group = {"Type": "Edited", "Name": "serve", "Objects": [constraint(one) for one in targets]}
        return Plan(changes=tuple(_fields({"TaskGroups": [group]}, Hidden())))

    assert plan("${attr.os.signals}", "${attr.nomad.version}") == plan(
        "${attr.nomad.version}", "${attr.os.signals}"
    )
    assert plan("${attr.os.signals}") != plan("${attr.nomad.version}")


@pytest.mark.parametrize("name", job_files())
def test_a_job_file_of_this_program_names_no_secret_that_would_be_hidden(name: str) -> None:
    text = (JOB_FILE.parent / f"{name}.nomad.hcl").read_text()
    assert Hidden(text).text(text) == text
