"""`soundstage compile`: files in, files out, faults by pointer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from sentences import SentenceSnapshot

SAMPLE = Path(__file__).parents[2] / "docs" / "guide" / "tide-station.dossier.json"


def test_a_dossier_is_compiled_into_a_folder_or_among_the_personas(cli: Any, home: Path) -> None:
    shutil.copy(SAMPLE, home / "tide.json")
    ran = cli("compile", "tide.json", "--out", "made")
    assert ran.code == 0 and "5 steps, 6 operations" in ran.out, ran.err
    assert sorted(path.name for path in (home / "made").iterdir()) == [
        "tide-station-desk.openapi.json", "tide-station-desk.workflow.json", "tide-station-desk.yaml",
    ]  # fmt: skip
    assert cli("personas", "check", "made/tide-station-desk.yaml").code == 0
    ran = cli("compile", "tide.json", "--id", "harbour", "--save", "--json")
    assert ran.json["saved"] is True and ran.json["agent_id"] == "harbour"
    assert "harbour" in cli("personas", "list").out
    assert "persona.exists" in cli("compile", "tide.json", "--id", "harbour", "--save").err


def test_faults_are_told_with_their_pointers(cli: Any, home: Path, snapshot: SentenceSnapshot) -> None:
    dossier = json.loads(SAMPLE.read_text())
    dossier["header"]["version"] = "x"
    dossier["dossierSpecificDefinitions"]["agenticTriplets"][0]["roleId"] = "r-none"
    (home / "bad.json").write_text(json.dumps(dossier))
    ran = cli("compile", "bad.json")
    assert ran.code == 1
    assert "/header/version: " in ran.out
    (line,) = (line for line in ran.out.splitlines() if "roleId" in line)
    assert line == snapshot("no_role")
    reported = cli("compile", "bad.json", "--json").json
    assert reported["success"] is False and len(reported["errors"]) == 2
    assert "dossier.not_found" in cli("compile", "none.json").err
