"""Every command answers people with sentences, programs with JSON, mistakes with code and hint."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sentences import SentenceSnapshot

from agent.events import Progress
from app.cli.commands import COMMANDS as ENTRIES
from app.cli.commands import RootGroup, whole_cli
from app.cli.installation.webhooks import _try
from app.cli.main import build_cli, run_cli
from app.cli.printing import Printer
from app.cli.progress import AnswerView
from studio.webhooks.kinds import WebhookKind

Cli = Callable[..., Any]


def commands(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that can be called, with its words."""
    for name, child in getattr(node, "commands", {}).items():
        if getattr(child, "commands", None):
            yield from commands(child, (*path, name))
        else:
            yield " ".join((*path, name)), child


WHOLE = whole_cli(build_cli())
COMMANDS = dict(commands(WHOLE))


def test_the_promised_commands_are_there() -> None:
    documented = [
        "up",
        "ask",
        "render",
        "doctor",
        "version",
        "migrate",
        "backup",
        "restore",
        "gc",
    ]
    documented += [
        "projects list",
        "personas list",
        "personas create",
        "personas edit",
        "keys create",
        "keys rotate",
        "keys revoke",
    ]
    documented += ["config check", "config show"]
    assert set(documented) <= COMMANDS.keys()


def test_each_line_of_the_help_is_that_of_its_command() -> None:
    assert WHOLE.commands.keys() == ENTRIES.keys()
    for name, entry in ENTRIES.items():
        text = " ".join((WHOLE.commands[name].help or "").partition("\n\n")[0].split())
        assert text == entry.help, name


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["version"], "version"),
        (["--json", "-c", "ask", "doctor"], "doctor"),
        (["--config-file=ask", "render", "-c"], "render"),
        (["--server", "ask", "doctor"], "doctor"),
        (["--help"], None),
        (["-c"], None),
    ],
)
def test_the_command_is_found_behind_the_root_options(
    arguments: list[str],
    word: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(RootGroup, "load", lambda _, name: loaded.append(name) or sys.exit(0))
    run_cli(arguments)
    assert loaded == ([] if word is None else [word])


HEAVY = {
    "sqlalchemy",
    "fastapi",
    "alembic",
    "paramiko",
    "uvicorn",
    "httpx",
    "opentelemetry",
    "avatar",
    "soundstage.events",
    "policy",
    "rich",
}


def test_help_loads_nothing_that_only_a_command_needs() -> None:
    program = (
        "import sys; from app.cli.main import run_cli\n"
        f"for arguments in [['--help'], *([name, '--help'] for name in {list(ENTRIES)!r})]:\n"
        "    run_cli(arguments)\n"
        f"    heavy = sorted({HEAVY!r} & sys.modules.keys())\n"
        "    print('loaded', *arguments, *heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("loaded ")]
    assert loaded == [["--help"], *([name, "--help"] for name in ENTRIES)]


# They give the terminal to another program, which answers in its own way; MCP speaks JSON of its own.
STARTERS = {"lab ssh", "lab exec", "mcp", "voice worker"}


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - STARTERS))
def test_every_command_can_answer_in_json_and_says_what_it_does(name: str) -> None:
    command = COMMANDS[name]
    assert "--json" in {option for parameter in command.params for option in parameter.opts}
    assert command.help and command.help.strip().endswith(".")


def test_version_is_a_line_and_a_document(cli: Cli) -> None:
    assert cli("version").out.startswith("soundstage ")
    assert set(cli("version", "--json").json) == {"soundstage", "python"}
    assert cli("--json", "version").json == cli("version", "--json").json


def test_a_question_has_numbered_choices(cli: Cli) -> None:
    ran = cli("ask", "Make a video where Nowa says: hi")
    assert ran.code == 0
    assert "1. Yes\n2. No" in ran.out


def test_a_sentence_that_nobody_understands_is_an_error_with_a_hint(cli: Cli) -> None:
    ran = cli("ask", "gibberish gnarf quux flurble")
    assert ran.code == 1
    assert "agent.not_understood" in ran.err
    assert "help" in ran.err
    assert "Traceback" not in ran.err + ran.out


def test_an_expected_failure_is_code_sentence_and_hint_in_both_forms(cli: Cli) -> None:
    text = cli("render", "nowhere.json")
    assert (text.code, text.out) == (1, "")
    assert "nowhere.json cannot be read" in text.err and "spec.not_found" in text.err and "hint" in text.err
    document = cli("render", "nowhere.json", "--json")
    assert document.code == 1
    assert document.json["code"] == "spec.not_found" and document.json["hint"]


@pytest.mark.parametrize(
    "arguments, code",
    [
        (("ask", "  "), "agent.nothing_said"),
        (("ask", "Nova says: \udcff\udcfe"), "text.not_utf8"),
        (("render", "--script", "\udcff"), "text.not_utf8"),
        (("render",), "render.nothing_given"),
        (("render", "--script", "x", "--persona", "nobody"), "persona.not_found"),
        (("render", "--script", "   "), "script.empty"),
        (("keys", "revoke", "key_none"), "key.not_found"),
        (("projects", "delete", "none"), "project.not_found"),
        (("restore", "none.tar"), "backup.not_found"),
        (("lipsync", "none.mp4", "none.wav", "--person", "X", "--purpose", "y"), "media.not_found"),
        (("-c", "none.toml", "projects", "list"), "settings.file_missing"),
    ],
)
def test_a_mistake_ends_with_exit_code_1_and_its_code(
    cli: Cli, arguments: tuple[str, ...], code: str
) -> None:
    ran = cli(*arguments, "--json")
    assert ran.code == 1
    assert json.loads(ran.out.splitlines()[-1])["code"] == code
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", [("projects", "create", ""), ("keys", "create", "")])
def test_arguments_that_a_draft_refuses_are_no_fault_of_ours(cli: Cli, command: tuple[str, ...]) -> None:
    ran = cli(*command, "--json")
    assert (ran.code, ran.json["code"]) == (1, "arguments.invalid")
    assert "at least 1 character" in ran.json["message"]


def test_ctrl_c_while_the_program_loads_prints_nothing(home: Path) -> None:
    program = "print(flush=True); from app.cli import main; main()"
    started = subprocess.Popen(
        [sys.executable, "-c", program, "ask", "help"],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None and started.stdout.readline()
    time.sleep(0.3)
    started.send_signal(signal.SIGINT)
    assert "Traceback" not in started.communicate(timeout=120)[1]
    assert started.returncode in (-signal.SIGINT, 130, 0)


def test_the_bar_and_its_figures_stay_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    printer = Printer(as_json=False)
    shown = io.StringIO()
    printer.err = Console(file=shown, force_terminal=True, width=80)
    moved = Progress(
        render_id="r", state="running", stage="frames", fraction=0.5,
        done_frames=80_000, total_frames=160_000, fps=66.0, eta_s=4000.0,
    )  # fmt: skip
    with AnswerView(printer) as view:
        view.show(moved)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue()).replace("\r", "\n").split("\n")
    assert any("frames" in line and "s left" in line and len(line) <= 80 for line in lines)


def test_a_spec_that_is_none_is_told_with_the_field(cli: Cli, home: Path) -> None:
    (home / "bad.json").write_text('{"scenes": [{"id": "a", "scirpt": "x"}]}')
    ran = cli("render", "bad.json")
    assert ran.code == 1 and "scenes.0" in ran.err


def test_a_fault_of_our_own_is_no_traceback_either(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_output(*_: object) -> None:
        raise RuntimeError("key=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")

    monkeypatch.setattr("app.cli.installation.version.version", break_output)
    ran = cli("version")
    assert ran.code == 70
    assert "internal.unexpected" in ran.err and "Traceback" not in ran.err
    assert "0123456789abcdef0123" not in ran.err
    with pytest.raises(RuntimeError):
        cli("--debug", "version")


def test_settings_are_checked_and_explained(cli: Cli, home: Path) -> None:
    assert cli("config", "check").code == 0
    (home / "config.toml").write_text("[http]\nport = 99999\n[worker]\nconcurency = 2\n")
    ran = cli("config", "check")
    assert ran.code == 1
    assert "http.port" in ran.out and "concurency" in ran.out
    assert cli("config", "check", "--json").json["ok"] is False
    assert cli("projects", "list").code == 1


def test_settings_are_shown(cli: Cli, home: Path) -> None:
    (home / "other.toml").write_text("[http]\nport = 8017\n")
    assert cli("-c", "other.toml", "config", "show", "--json").json["http"]["port"] == 8017
    assert "http.port = 8017" in cli("--config-file", "other.toml", "config", "show").out


def test_keys_are_made_shown_once_rotated_and_revoked(cli: Cli) -> None:
    created = cli("keys", "create", "ci", "--role", "editor", "--days", "7", "--json").json
    assert len(created["key"]) == 64
    assert created["key"] not in cli("keys", "list", "--json").out
    rotated = cli("keys", "rotate", created["id"], "--json").json
    assert rotated["key"] != created["key"]
    assert cli("keys", "revoke", rotated["id"], "--json").json["state"] == "revoked"
    assert "ci" in cli("keys", "list").out


def test_ids_in_a_table_are_whole_on_a_narrow_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    created = cli("keys", "create", "a key with quite a long name", "--json").json
    assert created["id"] in cli("keys", "list").out


def test_projects_are_made_listed_and_deleted(cli: Cli, snapshot: SentenceSnapshot) -> None:
    slug = cli("projects", "create", "My First Film", "--json").json["slug"]
    assert "My First Film" in cli("projects", "list").out
    assert cli("projects", "delete", slug).code == 0
    assert cli("projects", "list").out.strip() == snapshot("no_projects")


def test_a_project_is_copied_under_a_free_title_or_the_one_that_is_named(cli: Cli) -> None:
    slug = cli("projects", "create", "Tides", "--json").json["slug"]
    ran = cli("projects", "copy", slug)
    assert ran.code == 0 and ran.out.startswith("tides-copy (prj_") and "“Tides (copy)”" in ran.out
    assert cli("projects", "copy", slug, "--title", "Ebb", "--json").json["slug"] == "ebb"
    titles = [one["title"] for one in cli("projects", "list", "--json").json]
    assert titles == ["Ebb", "Tides (copy)", "Tides"]
    missing = cli("projects", "copy", "nothing")
    assert missing.code == 1 and "project.not_found" in missing.err


def test_personas_are_listed_with_what_is_wrong_with_a_file(cli: Cli, home: Path) -> None:
    (home / "personas" / "broken.yaml").write_text("id: broken\n")
    ran = cli("personas", "list")
    assert "Nova" in ran.out and "broken" in ran.out and "name" in ran.out


def test_a_persona_file_is_checked_with_line_and_column_before_it_is_installed(cli: Cli, home: Path) -> None:
    (home / "draft.yaml").write_text("id: ada\nname: Ada\ncolour: red\n")
    ran = cli("personas", "check", "draft.yaml", "personas/nova.yaml", "none.yaml")
    assert ran.code == 1
    assert "draft.yaml, line 3, column 1, field colour: Extra inputs" in ran.out
    assert "personas/nova.yaml: in order" in ran.out and "none.yaml: cannot be read" in ran.out
    whole = cli("personas", "check", "--json")
    assert (whole.code, whole.json) == (0, [{"file": "nova.yaml", "faults": []}])
    assert "properties" in cli("personas", "schema").json


def test_the_health_of_a_persona_is_told_check_by_check(cli: Cli, home: Path) -> None:
    ran = cli("personas", "health", "nova", "--json")
    assert [check["name"] for check in ran.json["checks"]] == ["file", "media", "consent", "voice"]
    assert ran.code == (0 if ran.json["healthy"] else 1)
    assert "persona.not_found" in cli("personas", "health", "nobody").err


def test_a_persona_of_yours_is_edited_and_a_shipped_one_is_not(
    cli: Cli, home: Path, snapshot: SentenceSnapshot
) -> None:
    own = home / "state" / "personas"
    own.mkdir(parents=True)
    (own / "ada.yaml").write_text("id: ada\nname: Ada\n")
    ran = cli("personas", "edit", "ada", "--title", "Countess")
    assert (ran.code, ran.out.strip()) == (0, snapshot("edited"))
    assert "title: Countess" in (own / "ada.yaml").read_text()
    shipped = cli("personas", "edit", "nova", "--name", "Novum")
    assert shipped.code == 1 and "persona.shipped" in shipped.err and str(own) in shipped.err
    assert "name: " in cli("personas", "edit", "ada", "--name", "").err


def test_a_render_can_be_left_to_the_server(cli: Cli) -> None:
    line = cli("render", "--script", "Hello there", "--no-wait", "--json").json
    assert line["state"] == "queued"
    ran = cli("ask", "list my videos")
    assert line["id"] in ran.out and "Hello there" in ran.out


def test_a_sentence_can_be_asked_for_its_plan_alone(cli: Cli) -> None:
    reported = cli("ask", "--dry-run", "Make a video where Nova says: Hello there")
    assert reported.code == 0 and "nothing has" in reported.out and "It says: Hello there" in reported.out
    refused = cli("ask", "--dry-run", "cancel the video rnd_nope")
    assert refused.code == 1 and "render.not_found" in refused.out + refused.err
    assert "no videos yet" in cli("ask", "list my videos").out


def test_a_question_says_how_it_is_answered(cli: Cli) -> None:
    question = cli("ask", "Make a dialogue where Milo says: Hello Nova. and Nova says: Hello Milo.")
    assert question.code == 0 and "Shall I do this?" in question.out
    [command] = re.findall(r"Answer with: soundstage (ask --session ses_\w+ Yes)", question.err)
    *words, _ = command.split()
    answered = cli(*words, "No")
    assert answered.code == 0 and "nothing to confirm" not in answered.out
    assert "Answer with" not in answered.err


def test_explain_says_why_a_render_waits_and_what_would_help(cli: Cli) -> None:
    line = cli("render", "--script", "Hello there", "--no-wait", "--json").json
    assert "soundstage up" in cli("explain", line["id"]).out
    assert cli("explain", line["id"], "--json").json["explanation"].startswith("waits")
    assert "render.not_found" in cli("explain", "nothing").err


def test_gc_of_a_new_installation_finds_nothing(cli: Cli) -> None:
    assert cli("gc", "--dry-run", "--json").json["items"] == []


def test_migrate_says_where_the_database_is(cli: Cli) -> None:
    assert cli("migrate", "--json").json["changed"] is True
    assert "Nothing to do" in cli("migrate").out


def test_a_machines_database_that_came_back_by_other_means_is_closed(cli: Cli) -> None:
    assert cli("restore", "--finish", "--json").json == {"closed": 0, "audit": False}
    assert "Nothing was open." in cli("restore", "--finish").out


@pytest.mark.parametrize(
    ("typed", "place", "offered"),
    [
        ("soundstage pro", 1, "projects"),
        # What can be said comes from the grammar's own files.
        ('soundstage ask "List my', 2, "List my videos"),
    ],
)
def test_the_shell_completes_commands_and_sentences(home: Path, typed: str, place: int, offered: str) -> None:
    variables = {
        **os.environ,
        "_SOUNDSTAGE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(place),
    }
    program = Path(sys.executable).with_name("soundstage")
    ran = subprocess.run([program], env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert any(line.lower().startswith(offered.lower()) for line in ran.stdout.splitlines()), ran.stdout


def test_kinds_of_webhooks_are_those_of_the_studio_in_help_and_guide() -> None:
    kinds = list(WebhookKind)
    (option,) = (one for one in WHOLE.commands["webhooks"].commands["create"].params if one.name == "kind")
    assert option.type_descriptor.annotation == list[WebhookKind]
    guide = (Path(__file__).parents[2] / "docs/guide/publishing.md").read_text()
    assert [kind for kind in kinds if f"`{kind}`" not in guide] == []


def test_tries_of_a_delivery_are_shown_with_status_and_time() -> None:
    answered = {"at": "2026-11-21T09:00:05+00:00", "status": 204, "error": ""}
    assert _try(answered) == "2026-11-21 09:00:05 204"
    assert _try({**answered, "status": None, "error": "timeout"}).endswith(" timeout")


def test_webhooks_are_made_listed_switched_and_deleted(cli: Cli) -> None:
    created = cli("webhooks", "create", "https://93.184.215.14/hook", "--kind", "render.done", "--json").json
    assert created["secret"] and created["kinds"] == ["render.done"]
    listed = cli("webhooks", "list")
    assert created["id"] in listed.out and created["secret"] not in listed.out
    assert cli("webhooks", "rotate", created["id"], "--json").json["secret"] != created["secret"]
    assert cli("webhooks", "switch", created["id"], "--off").out.strip() == f"{created['id']}: off"
    assert cli("webhooks", "switch", created["id"], "--on", "--json").json["active"] is True
    assert cli("webhooks", "test", created["id"], "--json").json["kind"] == "webhook.test"
    assert "webhook.test" in cli("webhooks", "deliveries", created["id"]).out
    wrong = cli("webhooks", "create", "https://93.184.215.14/hook", "--kind", "render.flies")
    assert wrong.code == 2 and "render.done" in wrong.err
    assert cli("webhooks", "delete", created["id"]).code == 0
    assert "There are no webhooks" in cli("webhooks", "list").out
    assert "webhook.not_found" in cli("webhooks", "rotate", created["id"]).err


def test_publishing_says_what_is_missing(cli: Cli) -> None:
    assert "Nothing was published" in cli("publish", "list").out
    assert "No channel is connected" in cli("publish", "accounts").out
    assert cli("publish", "connect", "--json").json["code"] == "publishing.no_server"
    waiting = cli("render", "--script", "Hello there", "--no-wait", "--json").json["id"]
    refused = cli("publish", "render", waiting, "--dry-run", "--json")
    assert refused.code == 1 and refused.json["type"] == "error" and refused.json["hint"]
    late = cli("publish", "render", waiting, "--publish-at", "later")
    assert late.code == 1 and "time.unreadable" in late.err
    assert "publication.not_found" in cli("publish", "cancel", "nothing").err


def test_a_render_is_wanted_by_a_time(cli: Cli) -> None:
    line = cli("render", "--script", "Hello there", "--ready-by", "17:00", "--no-wait", "--json")
    assert line.code == 0 and line.json["ready_by"] is not None
    assert "time.unreadable" in cli("render", "--script", "x", "--ready-by", "teatime").err


def test_weights_are_the_workers_matter(home: Path, tmp_path: Path) -> None:
    """`soundstage models` starts the worker, hands everything on, and ends as it ends."""
    worker = tmp_path / "worker"
    worker.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    worker.chmod(0o755)
    (home / "config.toml").write_text(f'[worker]\ncommand = ["{worker}"]\nmodels_folder = "{tmp_path}/m"\n')
    program = "from app.cli import main; main()"
    run = [sys.executable, "-c", program, "-c", str(home / "config.toml"), "models"]
    calls = {
        ("list",): f"models list --models={tmp_path}/m",
        ("verify", "a.b", "--json"): f"models verify --json --models={tmp_path}/m -- a.b",
        (
            "add",
            "/x y",
            "--role",
            "a.b",
            "--link",
        ): f"models add --models={tmp_path}/m --link --role=a.b -- /x y",
        ("where", "a.b"): f"models where --models={tmp_path}/m -- a.b",
    }
    for value, expected in calls.items():
        done = subprocess.run([*run, *value], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.strip()) == (3, expected)
    worker.unlink()
    done = subprocess.run([*run, "list"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "worker.not_found" in done.stderr


def test_a_picture_that_is_not_there_is_said_to_be_missing(cli: Cli, home: Path) -> None:
    for sentence in ("describe nosuch.png", "What is in the picture ./nosuch.png?"):
        ran = cli("ask", sentence)
        assert ran.code == 1 and "file.not_found" in ran.err and "nosuch.png on this machine" in ran.err
    (home / "there.png").write_bytes(b"no picture")
    assert "file.not_found" not in cli("ask", "describe there.png").err


def test_the_settings_are_shown_as_toml(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSTAGE_OUT_DIR", 'a "b" c')
    shown = cli("config", "show").out
    for gone in ("None", "True", "False", "PosixPath"):
        assert gone not in shown
    assert "# blobs.quota_mib is not set" in shown

    def without_none(value: Any) -> Any:
        if isinstance(value, dict):
            pairs = ((name, without_none(one)) for name, one in value.items())
            return {name: one for name, one in pairs if one not in (None, {})}
        return value

    assert tomllib.loads(shown) == without_none(cli("config", "show", "--json").json)
