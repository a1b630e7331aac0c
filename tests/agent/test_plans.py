"""What people agree to is shown whole, or what is cut says how long the whole is and its SHA-256."""

from __future__ import annotations

import hashlib
import json
import re

from agent.tools.cluster_jobs import ChangeJob, _deployed, _fields
from agent.tools.plan import Plan, change

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
        return [one.what + one.where for one in _fields({"Fields": fields})]

    assert edited("x")[-1].startswith("and 51 more fields are edited")
    assert edited("x")[:-1] == edited("y")[:-1]
    assert edited("x")[-1] != edited("y")[-1]
