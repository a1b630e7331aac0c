"""`soundstage lab …` as people type it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sentences import SentenceSnapshot
from waiting import eventually

from app.cli.main import run_cli
from lab.farm_in_a_box import Lab
from lab.faults import FAULTS

Soundstage = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def soundstage(capfd: pytest.CaptureFixture[str]) -> Soundstage:
    """`soundstage lab ARGUMENTS`, in this process: starting the program takes longer than what it does."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        code = run_cli(["lab", *arguments])
        return subprocess.CompletedProcess(arguments, code, *capfd.readouterr())

    return run


@pytest.mark.root
def test_a_lab_from_up_to_down(
    soundstage: Soundstage, lab_names: Callable[[str], Lab], snapshot: SentenceSnapshot
) -> None:
    lab = lab_names("cli")
    name = ("--name", lab.name)
    up = soundstage("up", *name, "--hosts", "control,gpu-1", "--gpus", "0,2", "--json")
    assert up.returncode == 0, up.stderr
    # A first run says that it makes the Debian system; the result is the last line.
    created = json.loads(up.stdout.strip().splitlines()[-1])
    assert (created["machines"], created["inventory"]) == (["control", "gpu-1"], str(lab.paths.inventory))
    machines = json.loads(soundstage("status", *name, "--json").stdout)[lab.name]
    assert [(one["name"], one["cards"], one["ssh"]) for one in machines] == [
        ("control", 0, True),
        ("gpu-1", 2, True),
    ]
    # Words arrive as they were given: no shell of this side or that one splits or expands them.
    output = soundstage("ssh", *name, "gpu-1", "--", "printf", "%s|", "a b", "$HOME", "'")
    assert output.stdout == "a b|$HOME|'|"
    assert soundstage("ssh", *name, "gpu-1", "--", "sh", "-c", "exit 7").returncode == 7
    inside = soundstage(
        "exec", *name, "--", "sh", "-c", "echo $ANSIBLE_INVENTORY; ip -brief address show br0"
    )
    assert str(lab.paths.inventory) in inside.stdout
    assert "10.77.0.1/24" in inside.stdout
    assert soundstage("break", *name, "gpu-1", "card-dead").stdout.startswith(
        "gpu-1: its first card has fallen"
    )
    assert "card-dead" in soundstage("status", *name).stdout
    assert soundstage("heal", *name, "gpu-1").stdout.strip() == "gpu-1: healed card-dead."
    assert "answers again" in soundstage("reboot", *name, "gpu-1").stdout
    assert soundstage("down", *name).stdout.strip() == snapshot("down", lab=lab.name)
    assert soundstage("down", *name).stdout.strip() == snapshot("no_lab", lab=lab.name)


@pytest.mark.root
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["up", "--name", "Nope"], "lab.name_invalid"),
        (["up", "--name", "x", "--machines", "0"], "lab.machine_count"),
        (["up", "--name", "x", "--hosts", "a,$(id)"], "lab.machine_name_invalid"),
        (["up", "--name", "x", "--gpus", "many"], "lab.gpus_invalid"),
        (["up", "--name", "x", "--machines", "1", "--gpus", "0,1"], "lab.too_many_gpus"),
        (["up", "--name", "x", "--layer", "never-baked"], "lab.no_such_layer"),
        (["ssh", "--name", "never-made", "m1"], "lab.not_up"),
        (["break", "--name", "never-made", "m1", "network"], "lab.not_up"),
        (["bake", "../layer", "--", "true"], "lab.layer_name_invalid"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_code_and_changes_nothing(
    soundstage: Soundstage, lab_names: Callable[[str], Lab], arguments: list[str], code: str
) -> None:
    done = soundstage(*arguments)
    assert (done.returncode, code in done.stderr) == (1, True), done.stderr
    assert not Lab("x").exists()


def test_the_faults_are_listed(soundstage: Soundstage) -> None:
    listed = json.loads(soundstage("faults", "--json").stdout)
    assert [one["name"] for one in listed] == list(FAULTS)


@pytest.mark.root
def test_an_interrupted_command_takes_its_machines_down(lab_names: Callable[[str], Lab]) -> None:
    lab = lab_names("interrupted")
    making = subprocess.Popen(
        [Path(sys.executable).parent / "soundstage", "lab", "up", "--name", lab.name, "--machines", "2"],
        stdout=subprocess.DEVNULL,
    )
    eventually(
        lambda: lab.paths.plan.exists() or making.poll() is not None, "the lab to be begun", within_s=240
    )
    making.send_signal(signal.SIGINT)
    assert making.wait(300) == 130
    assert not lab.exists()
