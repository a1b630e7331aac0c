from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import pytest

from soundstage.telemetry import configure_logging, get_logger, mask_text, trace
from soundstage.telemetry.masking import MASK, is_secret_name

KEY = "0123456789abcdef" * 4


@pytest.fixture
def logged(quiet_logs: io.StringIO) -> io.StringIO:
    return quiet_logs


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_room_and_trace(logged: io.StringIO) -> None:
    with trace() as current:
        get_logger("studio.renders").info("rendered", frames=250, name="Zoë\nnew line")
    (line,) = lines(logged)
    assert line.pop("timestamp")
    assert line == {
        "event": "rendered",
        "level": "info",
        "logger": "studio.renders",
        "frames": 250,
        "name": "Zoë\nnew line",
        "trace_id": current,
    }


def test_lines_of_libraries_take_the_same_way(logged: io.StringIO) -> None:
    logging.getLogger("some.library").warning("key is %s", KEY)
    (line,) = lines(logged)
    assert (line["event"], line["level"], line["logger"]) == (f"key is {MASK}", "warning", "some.library")


def test_levels_below_the_chosen_one_are_left_out() -> None:
    stream = io.StringIO()
    configure_logging("warning", "json", stream)
    get_logger("x").info("no")
    get_logger("x").warning("yes")
    assert [line["event"] for line in lines(stream)] == ["yes"]


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_no_secret_passes_by_name_by_look_or_in_a_traceback(fmt: str) -> None:
    stream = io.StringIO()
    configure_logging("info", fmt, stream)  # type: ignore[arg-type]
    log = get_logger("x")
    log.info(
        f"came with {KEY}",
        token="hunter2",
        headers={"Authorization": "Bearer hunter2hunter2", "Accept": "text/html"},
        nested=[{"apiKey": "hunter2"}, ("x", {"db": "postgresql://me:hunter2@host/db"})],
        raw=b"hunter2".join([b"Bearer ", b""]) + b"hunter2",
        note=f"upper {KEY.upper()} too",
    )
    try:
        raise ValueError(f"bad key {KEY} for https://me:hunter2@host")
    except ValueError:
        log.exception("failed")
    assert "hunter2" not in stream.getvalue()
    assert KEY not in stream.getvalue().lower()
    assert "ValueError" in stream.getvalue() and "text/html" in stream.getvalue()


def test_nobody_can_forge_a_line_or_colour_the_terminal() -> None:
    stream = io.StringIO()
    configure_logging("info", "console", stream)
    get_logger("x").info("request", path="/\x1b[31mred", name="a\nfake line")
    logging.getLogger("library").warning("got %s", "\x1b[2J\rfake\nfake line")
    try:
        raise ValueError("\x1b[31mred")
    except ValueError:
        get_logger("x").exception("failed")
    text = stream.getvalue()
    assert "\x1b" not in text and "\r" not in text
    assert not [line for line in text.splitlines() if line.startswith("fake")]
    assert "Traceback (most recent call last):\n" in text


@pytest.mark.parametrize(
    "text",
    [
        f"sha256:{KEY}",
        f"SHA-256 {KEY} of the playbook",
        f'{{"spec_sha256": "{KEY}", "x": 1}}',
        f"spec_hash={KEY}",
        f"etag: '{KEY}'",
        f"GET /api/farm/tasks/task_1/blobs/{KEY}",
        f"checksum {KEY.upper()}",
    ],
)
def test_hashes_of_content_stay_readable(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.parametrize(
    "before",
    [
        "",
        "x ",
        "key=",
        "api_key_hash=",
        "token_sha256: ",
        '"api_key_hashes": "',
        "/hook/",
        "sha256 of the key ",
    ],
)
def test_what_is_not_called_a_hash_of_content_may_be_a_key(before: str) -> None:
    assert mask_text(f"{before}{KEY}") == f"{before}{MASK}"
    assert mask_text(f"{KEY} x{KEY}0 {KEY[:63]}") == f"{MASK} x{KEY}0 {KEY[:63]}"


def test_fields_with_hashes_of_content_stay_readable_in_lines_and_answers(logged: io.StringIO) -> None:
    get_logger("x").info(
        "made", spec_hash=KEY, files=[{"sha256": KEY, "key": KEY}], api_key_hash=KEY, note=KEY
    )
    get_logger("x").info("told", sha256=f"from a file {KEY}")
    first, second = lines(logged)
    assert (first["spec_hash"], first["files"]) == (KEY, [{"sha256": KEY, "key": MASK}])
    assert (first["api_key_hash"], first["note"], second["sha256"]) == (MASK, MASK, f"from a file {MASK}")


SECRETS = (
    "key api_key X-Api-Key apiKey APIKey token tokens accessToken client_secret set-cookie Authorization "
    "db_password credentials"
)
HARMLESS = "key_id api_key_file monkey keyboard secretary key_count event _"


@pytest.mark.parametrize("name", SECRETS.split())
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["", *HARMLESS.split()])
def test_names_that_only_look_like_secrets_are_not(name: str) -> None:
    assert not is_secret_name(name)


def test_numbers_and_nothing_are_never_masked(logged: io.StringIO) -> None:
    get_logger("x").info("counted", token=17, key=None, secret=True)
    (line,) = lines(logged)
    assert (line["token"], line["key"], line["secret"]) == (17, None, True)


def test_lines_before_the_configuration_leave_standard_output_to_the_answer() -> None:
    program = "from soundstage.telemetry import get_logger; get_logger('x').warning('not_trained')"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == ""
    assert "not_trained" in found.stderr
