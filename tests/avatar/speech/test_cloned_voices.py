"""A cloned voice is uploaded with its speaker's consent, kept with it, and goes with it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from avatar.cli.main import main
from avatar.errors import AvatarError
from avatar.pipeline.consent import require_consent
from avatar.spec import Consent, Scene
from avatar.speech.cloned_voices import ClonedVoices
from voice_server import VoiceServer, voice_server

CONSENT = Consent(id="cns_1", person="Ada", granted_at="2026-11-02", purpose="My voice in tutorials.")
SAID = "The tide waits for nobody."


@pytest.fixture
def service() -> Iterator[VoiceServer]:
    with voice_server() as running:
        yield running


@pytest.fixture
def kept(tmp_path: Path) -> ClonedVoices:
    return ClonedVoices(tmp_path / "voices")


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "ada.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE" + bytes(range(256)))
    return path


@pytest.mark.parametrize("names_id", [False, True])
def test_the_sample_goes_to_the_service_and_the_consent_stays_with_the_voice(
    service: VoiceServer, kept: ClonedVoices, sample: Path, names_id: bool
) -> None:
    service.names_id = names_id
    voice = kept.add("ada", sample, SAID, CONSENT, f"{service.url}/v1")
    sent = service.voices[voice.voice_id]
    assert voice.voice_id == ("voice_ada" if names_id else "ada")
    assert sent["audio_sample"] == sample.read_bytes()
    assert sent["consent"] == b"cns_1" and sent["ref_text"] == SAID.encode()
    (found,) = kept.list()
    assert found == voice and found.consent == CONSENT and found.said == SAID
    assert (kept.folder / "ada" / "sample.wav").read_bytes() == sample.read_bytes()
    assert kept.folder.stat().st_mode & 0o077 == 0
    spoken = found.as_voice()
    require_consent(Scene(id="s", script="Hi.", voice=spoken))
    assert spoken.voice == voice.voice_id and spoken.cloned and spoken.consent == CONSENT


def test_without_consent_nothing_leaves_the_machine(
    service: VoiceServer, kept: ClonedVoices, sample: Path
) -> None:
    with pytest.raises(AvatarError) as refused:
        kept.add("ada", sample, SAID, None, service.url)
    assert refused.value.code == "consent.required"
    assert service.voices == {} and service.keys == [] and not kept.folder.exists()


def test_a_removed_voice_takes_sample_and_consent_with_it(
    service: VoiceServer, kept: ClonedVoices, sample: Path
) -> None:
    kept.add("ada", sample, SAID, CONSENT, service.url)
    kept.remove("ada")
    assert service.voices == {} and list(kept.folder.iterdir()) == []
    with pytest.raises(AvatarError) as unknown:
        kept.remove("ada")
    assert unknown.value.code == "voice.not_found"


def test_a_voice_that_is_gone_at_the_service_can_be_removed(
    service: VoiceServer, kept: ClonedVoices, sample: Path
) -> None:
    kept.add("ada", sample, SAID, CONSENT, service.url)
    service.voices.clear()
    kept.remove("ada")
    assert kept.list() == []


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "speech.upstream_denied"), (400, "speech.upstream_rejected"), (503, "speech.upstream_failed")],
)
def test_a_service_that_refuses_leaves_all_as_it_was(
    service: VoiceServer, kept: ClonedVoices, sample: Path, status: int, code: str
) -> None:
    service.status = status
    with pytest.raises(AvatarError) as refused:
        kept.add("ada", sample, SAID, CONSENT, service.url)
    assert refused.value.code == code and kept.list() == []
    service.status = 200
    kept.add("ada", sample, SAID, CONSENT, service.url)
    service.status = status
    with pytest.raises(AvatarError) as refused:
        kept.remove("ada")
    assert refused.value.code == code and [voice.name for voice in kept.list()] == ["ada"]


def test_a_service_that_is_not_there_is_told(kept: ClonedVoices, sample: Path) -> None:
    with pytest.raises(AvatarError) as refused:
        kept.add("ada", sample, SAID, CONSENT, "http://127.0.0.1:9")
    assert refused.value.code == "speech.upstream_unreachable" and list(kept.folder.iterdir()) == []


def test_a_voice_without_a_place_does_not_stay_at_the_service(
    service: VoiceServer, kept: ClonedVoices, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(AvatarError) as full_disk:
        kept.add("ada", sample, SAID, CONSENT, service.url)
    assert full_disk.value.code == "render.disk_full"
    assert service.voices == {} and kept.list() == []


def test_a_service_that_cannot_delete_keeps_the_record_here(
    service: VoiceServer, kept: ClonedVoices, sample: Path
) -> None:
    kept.add("ada", sample, SAID, CONSENT, service.url)
    service.deletes = False
    with pytest.raises(AvatarError) as refused:
        kept.remove("ada")
    assert refused.value.code == "voice.not_deleted" and kept.get("ada").consent == CONSENT


def test_names_and_samples_are_checked_first(
    service: VoiceServer, kept: ClonedVoices, sample: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.txt").write_text("x")
    wrong = [
        ("../ada", sample, "voice.bad_name"),
        ("ada", tmp_path / "empty.wav", "voice.bad_sample"),
        ("ada", tmp_path / "text.txt", "voice.bad_sample"),
        ("ada", tmp_path / "none.wav", "voice.bad_sample"),
    ]
    for name, path, code in wrong:
        with pytest.raises(AvatarError) as refused:
            kept.add(name, path, SAID, CONSENT, service.url)
        assert refused.value.code == code
    kept.add("ada", sample, SAID, CONSENT, service.url)
    with pytest.raises(AvatarError) as refused:
        kept.add("ada", sample, SAID, CONSENT, service.url)
    assert refused.value.code == "voice.exists" and len(service.keys) == 1


def test_the_command_takes_the_consent_beside_the_sample_and_shows_no_key(
    service: VoiceServer,
    sample: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AVATAR_VOICES", str(tmp_path / "v"))
    monkeypatch.setenv("SPEECH_KEY", "very-secret")
    add = ["voices", "add", str(sample), "--name", "ada", "--service", service.url, "--said", SAID]
    add += ["--key-env", "SPEECH_KEY", "--json"]
    assert main(add) == 1 and "consent.required" in capsys.readouterr().out
    Path(f"{sample}.consent.json").write_text(CONSENT.model_dump_json())
    assert main(add) == 0
    added = capsys.readouterr().out
    assert json.loads(added)[0]["voice"]["voice"] == "ada" and service.keys == ["Bearer very-secret"]
    assert main(["voices", "list"]) == 0
    listed = capsys.readouterr().out
    assert "Ada agreed on 2026-11-02" in listed and "very-secret" not in added + listed
    assert main(["voices", "remove", "ada"]) == 0 and service.voices == {}
    stored = [path.read_text(errors="replace") for path in (tmp_path / "v").rglob("*") if path.is_file()]
    assert not any("very-secret" in text for text in stored)
