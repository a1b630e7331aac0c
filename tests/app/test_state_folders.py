"""The state folder belongs to the user of the process, also where it was open before."""

from __future__ import annotations

import io
import stat
from pathlib import Path

from app.composition import build
from app.provisioning import build_process
from app.server.state_folders import log_repaired, secure_state_folders
from soundstage.settings import Settings
from soundstage.telemetry import configure_logging


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_both_processes_make_a_private_state_folder(tmp_path: Path) -> None:
    for number, process in enumerate((build, build_process)):
        process(Settings(state_dir=tmp_path / f"state{number}"))
        assert mode(tmp_path / f"state{number}") == 0o700


def test_open_state_folders_are_made_private_at_the_next_start_and_named_in_the_log(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for folder in (state, state / "blobs", state / "provisioning", state / "provisioning" / "runs"):
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    log_repaired(secure_state_folders(Settings(state_dir=state)))
    assert all(mode(path) == 0o700 for path in (state, *state.rglob("*")))
    assert "state folders were open" in stream.getvalue() and str(state / "blobs") in stream.getvalue()
    # Made since then by somebody with another umask, but nobody could reach it.
    (state / "memory").mkdir(mode=0o755)
    assert secure_state_folders(Settings(state_dir=state)) == []
    assert mode(state / "memory") == 0o700


def test_a_web_server_still_reaches_the_artefacts_that_a_setting_names(tmp_path: Path) -> None:
    artefacts = tmp_path / "state" / "artefacts"
    artefacts.mkdir(parents=True)
    for folder in (artefacts, artefacts.parent):
        folder.chmod(0o755)
    secure_state_folders(
        Settings.model_validate(
            {"state_dir": tmp_path / "state", "provisioning": {"artefact_dir": artefacts}}
        )
    )
    assert (mode(artefacts.parent), mode(artefacts)) == (0o711, 0o755)
