"""Private keys at rest: each way of sealing with the real thing, what opens nothing, and changes of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from soundstage.errors import SoundstageError
from soundstage.key_sealing import HEADER, KeyFiles, SealingSettings, check_keys, inspect_keys, seal_keys
from soundstage.key_sealing import private_keys as private_keys_module
from soundstage.key_sealing.key_files import MAGIC

SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
SECRET = b"a private key"


@pytest.fixture(autouse=True)
def _quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundstage.key_sealing.passphrase.COST_BITS", 10)


@pytest.fixture
def passphrase(tmp_path: Path) -> SealingSettings:
    path = tmp_path / "passphrase"
    path.write_text("correct horse\n", encoding="utf-8")
    return SealingSettings(method="passphrase", passphrase_file=path)


# A key service in small: it encrypts by a key of its own, base64 in and out, as `vault write` does.
SERVICE = """
import base64, sys
from cryptography.fernet import Fernet, InvalidToken
verb, key = sys.argv[1:]
content = sys.stdin.buffer.read().strip()
try:
    sys.stdout.buffer.write(getattr(Fernet(key.encode()), verb)(content) + b"\\n")
except InvalidToken:
    sys.exit("wrong key")
"""
SERVICE_KEYS = ("A" * 43 + "=", "B" * 42 + "A=")


def _service(tmp_path: Path, key: str = SERVICE_KEYS[0], unwrap: str | None = None) -> SealingSettings:
    script = tmp_path / "service.py"
    script.write_text(SERVICE, encoding="utf-8")
    program = (sys.executable, str(script))
    return SealingSettings(
        method="command",
        wrap_command=(*program, "encrypt", key),
        unwrap_command=(*program, "decrypt", unwrap or key),
    )


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real token of SoftHSM; its PIN."""
    if not SOFTHSM.exists() or shutil.which("softhsm2-util") is None:
        pytest.skip("needs SoftHSM: apt-get install softhsm2")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n", encoding="utf-8")
    # SoftHSM reads its configuration once in a process.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(config))
        command = ["softhsm2-util", "--init-token", "--free", "--label", "farm", "--so-pin", "1111"]
        subprocess.run([*command, "--pin", "2222"], check=True, capture_output=True)
        pin = folder / "pin"
        pin.write_text("2222\n", encoding="utf-8")
        import pkcs11

        pkcs11.lib(str(SOFTHSM)).reinitialize()
    return pin


def _token_settings(pin: Path, **changes: object) -> SealingSettings:
    values: dict[str, object] = {
        "method": "pkcs11",
        "pkcs11_library": SOFTHSM,
        "pkcs11_token": "farm",
        "pkcs11_pin_file": pin,
    }
    return SealingSettings.model_validate(values | changes)


@pytest.fixture(params=["passphrase", "command", "pkcs11"])
def sealing(request: pytest.FixtureRequest, tmp_path: Path) -> SealingSettings:
    if request.param == "pkcs11":
        return _token_settings(request.getfixturevalue("token"))
    if request.param == "command":
        return _service(tmp_path)
    found: SealingSettings = request.getfixturevalue("passphrase")
    return found


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with plain keys."""
    folder = tmp_path / "state"
    for name in ("seal.key", "audit.key", "tls/ca.key", "provisioning/keys/ca.key"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SECRET + name.encode())
    return folder


def _keys(state: Path, sealing: SealingSettings) -> dict[str, bytes]:
    found = inspect_keys(state)
    return {
        name: KeyFiles((state / name).parent, sealing).read(Path(name).name)
        for name in (*found.sealed, *found.plain)
    }


def _forget_opened_keys() -> None:
    """As a process that starts anew."""
    from soundstage.key_sealing import key_files

    key_files._unwrap.cache_clear()


def test_a_new_key_is_never_on_the_disk_in_clear(tmp_path: Path, sealing: SealingSettings) -> None:
    keys = KeyFiles(tmp_path / "keys", sealing)
    assert keys.read_or_create("ca.key", lambda: SECRET) == SECRET
    assert all(SECRET not in path.read_bytes() for path in (tmp_path / "keys").iterdir())
    _forget_opened_keys()
    again = KeyFiles(tmp_path / "keys", sealing)
    assert again.read_or_create("ca.key", lambda: b"another") == SECRET


def test_plain_keys_are_sealed_and_come_back_as_they_were(state: Path, sealing: SealingSettings) -> None:
    before = _keys(state, SealingSettings())
    found = seal_keys(state, sealing, sealing)
    assert (len(found.sealed), found.plain) == (4, ())
    assert all((state / name).read_bytes().startswith(MAGIC) for name in found.sealed)
    assert all((state / name).stat().st_mode & 0o777 == 0o600 for name in found.sealed)
    _forget_opened_keys()
    assert _keys(state, sealing) == before
    back = seal_keys(state, SealingSettings(), sealing)
    assert (back.sealed, len(back.plain), back.opens_with) == ((), 4, ())
    assert _keys(state, SealingSettings()) == before


def test_a_rewrap_writes_the_headers_alone(state: Path, passphrase: SealingSettings, tmp_path: Path) -> None:
    before = _keys(state, SealingSettings())
    seal_keys(state, passphrase, passphrase)
    files = {name: (state / name).read_bytes() for name in before}
    service = _service(tmp_path)
    found = seal_keys(state, service, passphrase)
    assert files == {name: (state / name).read_bytes() for name in before}
    assert found.opens_with == (f"the command {sys.executable}",)
    _forget_opened_keys()
    assert _keys(state, service) == before
    with pytest.raises(SoundstageError) as refused:
        check_keys(state, passphrase)
    assert refused.value.code == "sealing.other_method"


def test_a_wrong_passphrase_opens_and_changes_nothing(state: Path, passphrase: SealingSettings) -> None:
    seal_keys(state, passphrase, passphrase)
    files = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    _forget_opened_keys()
    assert passphrase.passphrase_file is not None
    passphrase.passphrase_file.write_text("wrong", encoding="utf-8")
    for call in (
        lambda: check_keys(state, passphrase),
        lambda: seal_keys(state, SealingSettings(), passphrase),
        lambda: KeyFiles(state, passphrase).read_or_create("session.key", lambda: SECRET),
    ):
        with pytest.raises(SoundstageError) as refused:
            call()
        assert refused.value.code == "sealing.wrong_passphrase"
        assert refused.value.hint
    assert files == {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_without_a_passphrase_nothing_is_created(
    tmp_path: Path, content: str | None, passphrase: SealingSettings
) -> None:
    assert passphrase.passphrase_file is not None
    passphrase.passphrase_file.unlink()
    if content is not None:
        passphrase.passphrase_file.write_text(content, encoding="utf-8")
    with pytest.raises(SoundstageError) as refused:
        KeyFiles(tmp_path / "keys", passphrase).read_or_create("ca.key", lambda: SECRET)
    assert refused.value.code == "sealing.no_passphrase"
    assert list(tmp_path.glob("keys/*")) == []


def test_a_credential_of_systemd_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "soundstage-passphrase").write_text("of systemd", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    keys = KeyFiles(tmp_path / "keys", SealingSettings(method="passphrase"))
    assert keys.read_or_create("ca.key", lambda: SECRET) == SECRET


def test_a_command_with_another_key_is_found_before_anything_is_sealed(state: Path, tmp_path: Path) -> None:
    before = _keys(state, SealingSettings())
    crossed = _service(tmp_path, SERVICE_KEYS[0], SERVICE_KEYS[1])
    with pytest.raises(SoundstageError) as refused:
        seal_keys(state, crossed, crossed)
    assert refused.value.code == "sealing.command_failed"
    assert _keys(state, SealingSettings()) == before


def test_a_service_that_returns_another_key_is_found(tmp_path: Path) -> None:
    service = _service(tmp_path)
    KeyFiles(tmp_path / "keys", service).read_or_create("ca.key", lambda: SECRET)
    _forget_opened_keys()
    other = tmp_path / "other"
    other.write_text(f"#!/bin/sh\ncat >/dev/null\necho {'A' * 43}=\n", encoding="utf-8")
    other.chmod(0o755)
    swapped = service.model_copy(update={"unwrap_command": (str(other),)})
    with pytest.raises(SoundstageError) as refused:
        KeyFiles(tmp_path / "keys", swapped).check()
    assert refused.value.code == "sealing.wrong_key"


@pytest.mark.parametrize(
    ("command", "reason"),
    [(("/does/not/exist",), "No such file"), (("false",), "status 1"), (("sleep", "9"), "no answer")],
)
def test_a_command_that_fails_says_why(tmp_path: Path, command: tuple[str, ...], reason: str) -> None:
    failing = SealingSettings(
        method="command", wrap_command=command, unwrap_command=command, command_timeout_s=0.2
    )
    with pytest.raises(SoundstageError) as refused:
        KeyFiles(tmp_path / "keys", failing).read_or_create("ca.key", lambda: SECRET)
    assert refused.value.code == "sealing.command_failed"
    assert reason in refused.value.message


def test_a_wrong_pin_and_another_key_of_a_token_open_nothing(tmp_path: Path, token: Path) -> None:
    keys = tmp_path / "keys"
    KeyFiles(keys, _token_settings(token)).read_or_create("ca.key", lambda: SECRET)
    _forget_opened_keys()
    wrong = tmp_path / "pin"
    wrong.write_text("3333", encoding="utf-8")
    KeyFiles(tmp_path / "others", _token_settings(token, pkcs11_key="other")).read_or_create(
        "k", lambda: b"1"
    )
    for settings, reason in (
        (_token_settings(wrong), "PIN"),
        (_token_settings(token, pkcs11_token="absent"), "NoSuchToken"),
        (_token_settings(token, pkcs11_key="missing"), "no such key"),
        (_token_settings(token, pkcs11_key="other"), "another key"),
    ):
        with pytest.raises(SoundstageError) as refused:
            KeyFiles(keys, settings).check()
        assert refused.value.code == "sealing.token_failed"
        assert reason in refused.value.message
    KeyFiles(keys, _token_settings(token)).check()


def test_the_key_of_a_token_cannot_be_read_from_it(tmp_path: Path, token: Path) -> None:
    import pkcs11

    KeyFiles(tmp_path / "keys", _token_settings(token)).read_or_create("ca.key", lambda: SECRET)
    found = pkcs11.lib(str(SOFTHSM)).get_token(token_label="farm")
    with found.open(user_pin="2222") as session:
        key = session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label="soundstage")
        assert not key[pkcs11.Attribute.EXTRACTABLE]
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]


def test_a_file_under_another_name_does_not_open(state: Path, passphrase: SealingSettings) -> None:
    seal_keys(state, passphrase, passphrase)
    shutil.copy(state / "seal.key", state / "audit.key")
    with pytest.raises(SoundstageError) as refused:
        KeyFiles(state, passphrase).read("audit.key")
    assert refused.value.code == "sealing.damaged"


def test_a_folder_without_its_header_says_so(state: Path, passphrase: SealingSettings) -> None:
    seal_keys(state, passphrase, passphrase)
    (state / HEADER).unlink()
    with pytest.raises(SoundstageError) as refused:
        KeyFiles(state, passphrase).read_or_create("seal.key", lambda: b"new")
    assert refused.value.code == "sealing.damaged"


def test_sealed_keys_are_not_taken_for_plain_ones(state: Path, passphrase: SealingSettings) -> None:
    seal_keys(state, passphrase, passphrase)
    for name in ("seal.key", "session.key"):
        with pytest.raises(SoundstageError) as refused:
            KeyFiles(state).read_or_create(name, lambda: SECRET)
        assert refused.value.code == "sealing.other_method"
    assert not (state / "session.key").exists()


@pytest.mark.parametrize("target", ["command", "none"])
def test_nothing_changes_while_one_folder_does_not_open(
    state: Path, passphrase: SealingSettings, tmp_path: Path, target: str
) -> None:
    seal_keys(state, passphrase, passphrase)
    other = tmp_path / "other-passphrase"
    other.write_text("another", encoding="utf-8")
    by_other = passphrase.model_copy(update={"passphrase_file": other})
    (state / "tls" / HEADER).unlink()
    (state / "tls" / "ca.key").unlink()
    KeyFiles(state / "tls", by_other).read_or_create("ca.key", lambda: SECRET)
    files = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    _forget_opened_keys()
    new = _service(tmp_path) if target == "command" else SealingSettings()
    with pytest.raises(SoundstageError) as refused:
        seal_keys(state, new, passphrase)
    assert refused.value.code == "sealing.wrong_passphrase"
    assert files == {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}


@pytest.mark.parametrize("target", ["command", "none"])
def test_a_change_that_was_cut_off_is_finished_by_the_next_call(
    state: Path, passphrase: SealingSettings, tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _keys(state, SealingSettings())
    seal_keys(state, passphrase, passphrase)
    new = _service(tmp_path) if target == "command" else SealingSettings()
    real, written = private_keys_module.write_replacing, 0

    def fail_after_one(path: Path, content: bytes) -> None:
        nonlocal written
        written += 1
        if written > 1:
            raise OSError("the power went")
        real(path, content)

    monkeypatch.setattr(private_keys_module, "write_replacing", fail_after_one)
    with pytest.raises(OSError, match="power"):
        seal_keys(state, new, passphrase)
    monkeypatch.setattr(private_keys_module, "write_replacing", real)
    _forget_opened_keys()
    seal_keys(state, new, passphrase)
    _forget_opened_keys()
    assert _keys(state, new) == before
