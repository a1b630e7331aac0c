"""A studio and a provisioning process with sealed keys: the same keys after a restart, and none without
what opens them.
"""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.archive import MachineState
from app.composition import build
from app.doctor.machine import examine_keys
from app.provisioning import build_process
from app.server.https import studio_authority
from soundstage.errors import SoundstageError
from soundstage.health import Level
from soundstage.key_sealing import SealingSettings, inspect_keys, seal_keys
from soundstage.settings import Settings


@pytest.fixture(autouse=True)
def _quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundstage.key_sealing.passphrase.COST_BITS", 10)


@pytest.fixture
def sealing(tmp_path: Path) -> SealingSettings:
    (tmp_path / "passphrase").write_text("correct horse", encoding="utf-8")
    return SealingSettings(method="passphrase", passphrase_file=tmp_path / "passphrase")


def _settings(tmp_path: Path, sealing: SealingSettings) -> Settings:
    return Settings(state_dir=tmp_path / "state", out_dir=tmp_path / "out", sealing=sealing)


async def _public_keys(settings: Settings) -> list[str]:
    """Makes all keys that are missing, as both processes do."""
    services = build(settings)
    services.audit.close()
    await services.database.close()
    process = build_process(settings)
    ssh, tls = process.services.ssh, process.services.tls
    found = [ssh.host_ca_public_key, ssh.user_ca_public_key, tls.pem, studio_authority(settings).pem]
    process.services.audit.close()
    await process.database.close()
    return found


async def test_both_processes_have_the_same_keys_after_they_were_sealed(
    tmp_path: Path, sealing: SealingSettings
) -> None:
    plain = _settings(tmp_path, SealingSettings())
    before = await _public_keys(plain)
    found = examine_keys(plain)
    assert found.level is Level.AMBER and "not sealed" in found.found and "sealing.method" in found.fix
    sealed = _settings(tmp_path, sealing)
    assert (examine_keys(sealed).level, examine_keys(sealed).code) == (Level.AMBER, "sealing.plain_keys")
    seal_keys(plain.state_dir, sealing, sealing)
    assert await _public_keys(sealed) == before
    found = examine_keys(sealed)
    assert (found.level, str(sealing.passphrase_file) in found.found) == (Level.GREEN, True)


async def test_no_private_key_of_a_sealed_installation_is_in_clear(
    tmp_path: Path, sealing: SealingSettings
) -> None:
    settings = _settings(tmp_path, sealing)
    await _public_keys(settings)
    found = inspect_keys(settings.state_dir)
    assert found.plain == ()
    assert {"session.key", "tls/ca.key", "provisioning/keys/ca.key", "provisioning/keys/ssh_host_ca"} <= set(
        found.sealed
    )
    clear = [
        path
        for path in settings.state_dir.rglob("*")
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes()
    ]
    assert clear == []


async def test_a_wrong_passphrase_ends_the_start_before_anything_is_written(
    tmp_path: Path, sealing: SealingSettings
) -> None:
    await _public_keys(_settings(tmp_path, sealing))
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong", encoding="utf-8")
    settings = _settings(tmp_path, sealing.model_copy(update={"passphrase_file": wrong}))
    state = settings.state_dir
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    for start in (build, build_process):
        with pytest.raises(SoundstageError) as refused:
            start(settings)
        assert refused.value.code == "sealing.wrong_passphrase"
    assert before == {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    assert (examine_keys(settings).level, examine_keys(settings).code) == (
        Level.RED,
        "sealing.wrong_passphrase",
    )


async def test_a_backup_with_keys_holds_them_sealed_with_their_headers(
    tmp_path: Path, sealing: SealingSettings
) -> None:
    settings = _settings(tmp_path, sealing)
    await _public_keys(settings)
    keys = dict(MachineState.of(settings).keys())
    names = {name.removeprefix("keys/") for name in keys}
    assert {"studio/sealing.json", "provisioning/sealing.json", "provisioning/ca.key"} <= names
    assert not any(b"PRIVATE KEY" in path.read_bytes() for path in keys.values())


def test_the_command_seals_changes_and_unseals(
    home: Path, settings: Settings, sealing: SealingSettings, cli: Callable[..., Any]
) -> None:
    before = asyncio.run(_public_keys(settings))
    old = f'[sealing]\nmethod = "passphrase"\npassphrase_file = "{sealing.passphrase_file}"\n'
    config, old_settings = home / "sealed.toml", home / "old.toml"
    config.write_text(old, encoding="utf-8")
    old_settings.write_text(old, encoding="utf-8")
    done = cli("--config-file", str(config), "seal")
    assert done.code == 0, done.err
    assert "provisioning/keys/ca.key: certificates of machines; lost: every machine enrols anew" in done.out
    assert str(sealing.passphrase_file) in done.out.replace("\n", "")
    config.write_text('[sealing]\nmethod = "none"\n', encoding="utf-8")
    refused = cli("--config-file", str(config), "seal")
    assert (refused.code, "sealing.other_method" in refused.err) == (1, True), refused.err
    assert inspect_keys(settings.state_dir).plain == ()
    done = cli("--config-file", str(config), "seal", "--old-settings", str(old_settings))
    assert done.code == 0, done.err
    assert inspect_keys(settings.state_dir).sealed == ()
    assert asyncio.run(_public_keys(settings)) == before


def test_a_typed_passphrase_seals_and_stays_in_memory(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "seal.key").write_bytes(b"a key")
    (tmp_path / "soundstage.toml").write_text('[sealing]\nmethod = "passphrase"\n', encoding="utf-8")
    terminal, side = pty.openpty()
    program = [
        sys.executable,
        "-c",
        "from app.cli import main; main()",
        "--config-file",
        "soundstage.toml",
        "seal",
        "--json",
    ]
    environment = {**os.environ, "SOUNDSTAGE_STATE_DIR": str(state), "PYTHONPATH": str(Path.cwd())}
    environment.pop("CREDENTIALS_DIRECTORY", None)
    with subprocess.Popen(
        program,
        stdin=side,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            assert process.stderr is not None
            for prompt in (b"keys: ", b"again: "):
                output = b""
                while not output.endswith(prompt) and (byte := process.stderr.read(1)):
                    output += byte
                # A prompt drops what was typed before it; it is printed after that.
                os.write(terminal, b"typed words\n")
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    os.close(terminal)
    os.close(side)
    assert process.returncode == 0
    assert b'"a passphrase"' in out
    typed = tmp_path / "typed"
    typed.write_text("typed words", encoding="utf-8")
    found = SealingSettings(method="passphrase", passphrase_file=typed)
    seal_keys(state, SealingSettings(), found)
    assert (state / "seal.key").read_bytes() == b"a key"
