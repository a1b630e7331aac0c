from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
from sentences import SentenceSnapshot

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from reference_tables import settings_reference

from soundstage.errors import Invalid, NotFound, SoundstageError, Unavailable
from soundstage.settings import Settings, check_settings, load_settings
from soundstage.settings.problems import setting_names
from soundstage.settings.sections import HttpSettings

HASH_A, HASH_B = (hashlib.sha256(text).hexdigest() for text in (b"a", b"b"))


def a_file(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_file_and_variables_the_defaults_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, {})
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8000)
    assert (settings.state_dir, settings.out_dir) == (Path("state"), Path("out"))
    assert settings.database_url == f"sqlite:///{tmp_path}/state/soundstage.db"
    assert settings.blobs_url == f"{tmp_path}/state/blobs"


def test_the_default_file_is_read_when_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    a_file(tmp_path, "[http]\nport = 9000\n")
    assert load_settings(None, {}).http.port == 9000


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as error:
        load_settings(tmp_path / "mine.toml", {})
    assert error.value.code == "settings.file_missing"
    assert "mine.toml" in error.value.message


@pytest.mark.parametrize("text", ["[http\nport = 1", "http = {port = 1", "\x00"])
def test_a_file_that_is_no_toml_is_named_with_the_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(Invalid) as error:
        load_settings(a_file(tmp_path, text), {})
    assert error.value.code == "settings.file_unreadable"
    assert "line" in error.value.message


def test_a_folder_in_place_of_the_file_is_an_error_with_a_code(tmp_path: Path) -> None:
    with pytest.raises(SoundstageError) as error:
        load_settings(tmp_path, {})
    assert error.value.code == "settings.file_unreadable"


def test_variables_win_over_the_file_and_leave_its_other_values(tmp_path: Path) -> None:
    path = a_file(tmp_path, '[http]\nport = 9000\nhost = "::1"\n[worker]\ncommand = ["avatar", "--quiet"]\n')
    settings = load_settings(path, {"SOUNDSTAGE_HTTP__PORT": "9001", "SOUNDSTAGE_OUT_DIR": "/videos"})
    assert (settings.http.port, settings.http.host) == (9001, "::1")
    assert settings.worker.command == ("avatar", "--quiet")
    assert settings.out_dir == Path("/videos")


def test_the_environment_of_the_process_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSTAGE_LLM__LOCAL__BASE_URL", "http://127.0.0.1:11434/v1")
    settings = load_settings(a_file(tmp_path, ""))
    assert str(settings.llm.local.base_url) == "http://127.0.0.1:11434/v1"


def test_settings_made_by_hand_read_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSTAGE_HTTP__PORT", "9999")
    assert Settings().http.port == 8000


def test_hashes_of_keys_fit_into_one_variable() -> None:
    settings = load_settings(None, {"SOUNDSTAGE_API_KEY_HASHES": f" {HASH_A},{HASH_B.upper()} ,"})
    assert settings.auth.api_key_hashes == (HASH_A, HASH_B)
    nested = load_settings(None, {"SOUNDSTAGE_AUTH__API_KEY_HASHES": f"sha256:{HASH_A}"})
    assert nested.auth.api_key_hashes == (HASH_A,)


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load_settings(None, {"SOUNDSTAGE_HTTP__PORT": "", "SOUNDSTAGE_OUT_DIR": " "}).http.port == 8000


def test_variables_of_the_command_line_are_no_settings() -> None:
    environment = {"SOUNDSTAGE_API_KEY": "x", "SOUNDSTAGE_URL": "http://x", "_SOUNDSTAGE_COMPLETE": "bash"}
    assert check_settings(None, environment) == []


def test_every_bad_value_is_explained_with_its_place(tmp_path: Path, snapshot: SentenceSnapshot) -> None:
    path = a_file(tmp_path, '[http]\nport = "many"\nhost = "http://x"\n[worker]\nconcurrency = 0\n')
    problems = check_settings(path, {"SOUNDSTAGE_LOG__LEVEL": "loud", "SOUNDSTAGE_WORKER__CONCURRENCY": "-1"})
    assert [(problem.path, problem.value, problem.expected) for problem in problems] == [
        ("http.host", "'http://x'", snapshot("host")),
        ("http.port", "'many'", snapshot("number")),
        ("log.level", "'loud'", snapshot("level")),
        ("worker.concurrency", "'-1'", snapshot("limit")),
    ]
    assert [problem.source for problem in problems] == [
        str(path),
        str(path),
        "SOUNDSTAGE_LOG__LEVEL",
        "SOUNDSTAGE_WORKER__CONCURRENCY",
    ]


@pytest.mark.parametrize(
    ("environment", "path", "near"),
    [
        ({"SOUNDSTAGE_HTPP__PORT": "1"}, "htpp", "http"),
        ({"SOUNDSTAGE_HTTP__PROT": "1"}, "http.prot", "http.port"),
        ({"SOUNDSTAGE_HTTP__QUOTA_MIB": "1"}, "http.quota_mib", "blobs.quota_mib"),
        ({"SOUNDSTAGE_STATEDIR": "x"}, "statedir", "state_dir"),
    ],
)
def test_an_unknown_setting_is_an_error_that_names_a_near_one(
    environment: dict[str, str], path: str, near: str
) -> None:
    (problem,) = check_settings(None, environment)
    assert problem.path == path
    assert problem.source in environment
    assert f"did you mean `{near}`?" in problem.expected


def test_an_unknown_setting_without_a_near_one_lists_what_there_is(snapshot: SentenceSnapshot) -> None:
    (problem,) = check_settings(None, {"SOUNDSTAGE_HTTP__ZZZZZZ": "1"})
    there = ", ".join(f"http.{name}" for name in sorted(HttpSettings.model_fields))
    assert problem.expected == snapshot("unknown", there=there)


def test_a_value_where_a_section_belongs_says_what_the_section_holds(
    tmp_path: Path, snapshot: SentenceSnapshot
) -> None:
    (problem,) = check_settings(a_file(tmp_path, "http = 8000\n"), {})
    assert problem.expected == snapshot("table", fields=", ".join(sorted(HttpSettings.model_fields)))


def test_no_secret_is_shown_in_an_explanation() -> None:
    key = "5ec7e7" * 10
    environment = {
        "SOUNDSTAGE_API_KEY_HASHES": key,
        "SOUNDSTAGE_HTTP__PORT": f"{HASH_A}",
        "SOUNDSTAGE_HTTP__PUBLIC_URL": "ftp://me:hunter2@x/",
    }
    shown = " ".join(str(problem) for problem in check_settings(None, environment))
    assert key not in shown and HASH_A not in shown and "hunter2" not in shown
    assert "auth.api_key_hashes = [masked]" in shown


@pytest.mark.parametrize("name", ["api_key_hashes", "scrape_key_hashes"])
def test_settings_are_printed_without_hashes_of_keys(name: str) -> None:
    settings = load_settings(None, {f"SOUNDSTAGE_AUTH__{name.upper()}": HASH_A})
    assert HASH_A not in json.dumps(settings.mask_secrets())


def test_loading_bad_settings_raises_one_error_with_all_of_them() -> None:
    with pytest.raises(Invalid) as error:
        load_settings(None, {"SOUNDSTAGE_HTTP__PORT": "x", "SOUNDSTAGE_LOG__LEVEL": "y"})
    assert error.value.code == "settings.invalid"
    assert "http.port" in error.value.message and "log.level" in error.value.message


@pytest.mark.parametrize("chosen", ["true", "false"])
def test_the_removed_trust_in_this_machine_is_explained(chosen: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[auth]\nloopback_is_admin = {chosen}\n")
    with pytest.raises(Invalid) as error:
        load_settings(file, {})
    assert "no caller is an administrator because of an address" in error.value.message
    assert "soundstage open" in error.value.message
    assert "pydantic" not in error.value.message


def test_a_key_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    file = tmp_path / "llm.key"
    settings = load_settings(None, {"SOUNDSTAGE_LLM__CLOUD__API_KEY_FILE": str(file)})
    assert settings.llm.local.api_key() is None
    with pytest.raises(Unavailable):
        settings.llm.cloud.api_key()
    file.write_text("first\n")
    assert settings.llm.cloud.api_key() == "first"
    file.write_text("second\n")
    assert settings.llm.cloud.api_key() == "second"
    for unusable in (b"", b"two\nlines", b"\xff\xfe", "schlüssel".encode()):
        file.write_bytes(unusable)
        with pytest.raises(Unavailable) as error:
            settings.llm.cloud.api_key()
        assert error.value.code == "settings.key_file_unreadable"


def test_settings_are_shown_without_secrets() -> None:
    environment = {
        "SOUNDSTAGE_API_KEY_HASHES": HASH_A,
        "SOUNDSTAGE_DATABASE__URL": "postgresql://me:hunter2@db/soundstage",
    }
    shown = json.dumps(load_settings(None, environment).mask_secrets())
    assert HASH_A not in shown and "hunter2" not in shown
    assert "postgresql://me:[masked]@db/soundstage" in shown


def test_the_reference_has_a_line_with_a_meaning_for_every_setting() -> None:
    reference = settings_reference()
    for path, section in setting_names(Settings).items():
        if section is None:
            (line,) = [line for line in reference.splitlines() if line.startswith(f"| `{path}` |")]
            variable, meaning = (cell.strip() for cell in line.strip("|").split("|")[2:4])
            assert variable == f"`SOUNDSTAGE_{path.replace('.', '__').upper()}`"
            assert len(meaning) > 10


def test_the_shipped_personas_are_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (Settings().personas_folder / "nova.yaml").is_file()
    (tmp_path / "personas").mkdir()
    assert Settings().personas_folder == tmp_path / "personas"
    assert Settings(personas_dir=Path("other")).personas_folder == tmp_path / "other"
