"""The module that says whether a machine is as a role declares it: it looks and finds each difference."""

from __future__ import annotations

import grp
import json
import os
import pwd
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from farm_in_lab import run_ansible

MARKER = "# {mark} of the test"


@pytest.fixture
def declared(tmp_path: Path) -> dict[str, Any]:
    """A folder, a file, a link, a block and a package-free machine, made as they are declared."""
    owner = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}
    (tmp_path / "folder").mkdir(mode=0o755)
    (tmp_path / "folder" / "file").write_text("as declared\n")
    (tmp_path / "folder" / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "hosts").write_text("127.0.0.1 me\n# BEGIN of the test\n10.0.0.1 a\n# END of the test\n")
    file = {"dest": str(tmp_path / "folder/file"), "content": "as declared\n", "mode": "0640", **owner}
    return {
        "folders": [{"path": str(tmp_path / "folder"), **owner}],
        "files": [file],
        "links": [{"dest": str(tmp_path / "link"), "src": "folder"}],
        "absent": [str(tmp_path / "gone")],
        "present": [str(tmp_path / "hosts")],
        "users": [{"name": "nobody", "shell": pwd.getpwnam("nobody").pw_shell}],
        "blocks": [{"path": str(tmp_path / "hosts"), "marker": MARKER, "block": "10.0.0.1 a\n"}],
    }


def ask_module(name: str, arguments: dict[str, Any], *words: str, before: list[str] | None = None) -> str:
    command = ["-i", "localhost,", "-c", "local", "localhost", "-m", f"soundstage.farm.{name}", *words]
    environment = {**os.environ, "ANSIBLE_BECOME": "false"}
    return run_ansible("ansible", [*command, "-a", json.dumps(arguments), "-o"], environment, before).output


def compare(declared: dict[str, Any], before: list[str] | None = None) -> dict[str, Any]:
    output = ask_module("compare_machine", declared, before=before)
    assert "SUCCESS" in output, output
    answer: dict[str, Any] = json.loads(output[output.index("{") : output.rindex("}") + 1])
    assert answer["changed"] is False
    return answer


def test_a_machine_that_is_as_declared_is_called_so(
    declared: dict[str, Any], ansible_environment: Path
) -> None:
    answer = compare(declared)
    assert answer["as_declared"], answer["differs"]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda at: (at / "folder/file").write_text("by hand\n"), "folder/file"),
        (lambda at: (at / "folder/file").chmod(0o666), "folder/file"),
        (lambda at: (at / "folder/file").unlink(), "folder/file"),
        (lambda at: (at / "folder").chmod(0o700), "folder"),
        (lambda at: ((at / "link").unlink(), (at / "link").symlink_to("/etc")), "link"),
        (lambda at: (at / "gone").write_text("back again"), "gone"),
        (lambda at: (at / "hosts").unlink(), "missing: "),
        (
            lambda at: (at / "hosts").write_text("# BEGIN of the test\n10.0.0.9 b\n# END of the test\n"),
            "hosts",
        ),
    ],
    ids=["content", "mode", "file-gone", "mode-of-a-folder", "link", "should-be-absent", "missing", "block"],
)
def test_what_was_changed_by_hand_is_found(
    damage: Callable[[Path], object],
    named: str,
    declared: dict[str, Any],
    tmp_path: Path,
    ansible_environment: Path,
) -> None:
    damage(tmp_path)
    answer = compare(declared)
    assert not answer["as_declared"]
    assert any(named in one for one in answer["differs"])


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"users": [{"name": "nobody-of-this-name", "shell": "/bin/sh"}]}, "user nobody-of-this-name"),
        ({"packages": ["no-package-of-this-name"]}, "package no-package-of-this-name"),
        ({"packages": ["base-files=0.0-*"]}, "package base-files=0.0-*"),
    ],
    ids=["user", "package", "version"],
)
def test_users_packages_and_versions_that_are_not_there_are_found(
    more: dict[str, Any], named: str, ansible_environment: Path
) -> None:
    if "packages" in more and not Path("/var/lib/dpkg/status").exists():
        pytest.skip("dpkg does not keep the packages here: make test on Debian")
    answer = compare(more)
    assert answer["differs"] == [named]


@pytest.mark.parametrize(
    ("reloads", "reloaded_after_s", "stale"),
    [(False, 60, ["thing"]), (True, 60, []), (True, -60, ["thing"])],
    ids=["a reload is not enough", "reloaded since", "placed since it was reloaded"],
)
def test_a_unit_that_has_not_taken_up_its_files_is_stale(
    reloads: bool, reloaded_after_s: int, stale: list[str], tmp_path: Path, ansible_environment: Path
) -> None:
    """systemd itself is tried on machines of the lab; here stands what it says of a unit."""
    file = tmp_path / "read at the start"
    file.write_text("as declared\n")
    written = time.time() - 600
    os.utime(file, (written, written))
    placed_us = int((time.monotonic() - 600) * 1e6)
    says = {
        "ActiveState": "active",
        "UnitFileState": "enabled",
        "ExecMainStartTimestampMonotonic": placed_us - 300_000_000,
        "StateChangeTimestampMonotonic": placed_us + reloaded_after_s * 1_000_000,
    }
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    lines = "\n".join(f"{name}={value}" for name, value in says.items())
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{lines}\nEND\n")
    program.chmod(0o755)
    unit = {"name": "thing", "reads": [str(file)], "reloads": reloads}
    answer = compare({"units": [unit]}, ["env", f"PATH={program.parent}:{os.environ['PATH']}"])
    assert answer["stale"] == stale
    assert answer["as_declared"] is (not stale)


@pytest.mark.parametrize(
    ("argv", "prints", "unlike"),
    [
        (["printf", "%s\n", "permitrootlogin no", "port 22"], ["port 22"], []),
        (["printf", "%s\n", "permitrootlogin yes"], ["permitrootlogin no"], ["what it says"]),
        (["false"], [], ["what it says"]),
        (["no-program-of-this-name"], [], ["what it says"]),
    ],
    ids=["as it has to", "another line", "it fails", "it is not there"],
)
def test_what_only_a_command_can_tell_is_asked_for(
    argv: list[str], prints: list[str], unlike: list[str], ansible_environment: Path
) -> None:
    answer = compare({"commands": [{"name": "what it says", "argv": argv, "prints": prints}]})
    assert (answer["unlike"], answer["differs"], answer["as_declared"]) == (unlike, unlike, not unlike)


def test_what_nobody_declares_in_an_exact_folder_is_found(
    declared: dict[str, Any], ansible_environment: Path
) -> None:
    declared["folders"][0] |= {"exact": True}
    answer = compare(declared)
    assert answer["as_declared"], answer
    left = Path(declared["folders"][0]["path"]) / "somebody who was taken out"
    left.write_text("root\n")
    answer = compare(declared)
    assert answer["differs"] == [str(left)]


def test_no_content_is_in_the_answer(declared: dict[str, Any], ansible_environment: Path) -> None:
    declared["files"][0] |= {"content": "another secret\n", "secret": True}
    answer = compare(declared)
    assert not answer["as_declared"]
    assert "another secret" not in json.dumps({key: answer[key] for key in ("as_declared", "differs")})


@pytest.mark.parametrize("name, argument", [("compare_machine", "present"), ("machine_facts", "expected")])
def test_a_configured_python_that_is_missing_is_named(
    name: str, argument: str, ansible_environment: Path
) -> None:
    output = ask_module(name, {argument: []}, "-e", "ansible_python_interpreter=/no/python")
    assert "FAILED" in output and f"{name}: " in output and "/no/python" in output, output


def test_a_connection_that_does_not_pipeline_writes_a_file_and_removes_it(
    declared: dict[str, Any], tmp_path: Path, ansible_environment: Path
) -> None:
    """As `local` with a password for sudo, where the standard input is a terminal."""
    used = tmp_path / "remote"
    output = ask_module("compare_machine", declared, "-e", f"ansible_remote_tmp={used}")
    assert '"as_declared": true' in output, output
    assert used.is_dir() and not list(used.iterdir())


def test_arguments_are_checked_before_the_machine_is_asked(ansible_environment: Path) -> None:
    output = ask_module("compare_machine", {"units": [{"reads": []}]})
    assert "FAILED" in output and "missing required arguments: name found in units" in output, output
