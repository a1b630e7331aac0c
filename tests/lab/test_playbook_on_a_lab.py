"""After a playbook of the project has run on a lab its owner still gets in, and nothing lies elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tutorials import follow, tutorial

from lab.bake import bake
from lab.farm_in_a_box import Lab
from lab.layers import layer_folder
from lab.plan import machines_named
from lab.root_tree import root_tree_key

pytestmark = pytest.mark.root
_ROOT = Path(__file__).parents[2]
_ANSIBLE = _ROOT / "ansible" / ".venv" / "bin"
_SOUNDSTAGE = Path(sys.executable).parent / "soundstage"


@pytest.fixture(scope="module")
def lab(lab_names: Callable[[str], Lab]) -> Lab:
    if not (_ANSIBLE / "ansible-playbook").exists():
        pytest.skip("Ansible's environment is not made: scripts/setup test")
    created = lab_names("owner")
    subprocess.run([_SOUNDSTAGE, "lab", "up", "--name", created.name, "--machines", "2"], check=True)
    return created


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a person who has a farm besides."""
    return tmp_path_factory.mktemp("home")


def environment(home: Path) -> dict[str, str]:
    """Returns the environment of a person whose home folder is `home`."""
    return {
        **os.environ,
        "HOME": str(home),
        # What was fetched and packed once need not be again.
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
        "SOUNDSTAGE_FARM_SECRETS": str(home / "real-farm"),
        "PATH": f"{_ANSIBLE}:{os.environ['PATH']}",
        "ANSIBLE_NOCOLOR": "1",
        # A connection that one run has left open would let the next one in without a key.
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=no",
    }


def playbook(lab: Lab, home: Path, *arguments: str) -> str:
    """What `soundstage lab exec -- ansible-playbook playbook.yaml …` prints; it must end well."""
    done = subprocess.run(
        [_SOUNDSTAGE, "lab", "exec", "--name", lab.name, "--", "ansible-playbook", *arguments],
        cwd=_ROOT,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def secured(lab: Lab, home: Path) -> Lab:
    playbook(lab, home, "playbook.yaml", "--tags", "ssh")
    return lab


def test_the_machines_of_a_plain_lab_have_the_groups_of_the_playbook(lab: Lab) -> None:
    listed = subprocess.run(
        [_ANSIBLE / "ansible-inventory", "--list"],
        cwd=_ROOT,
        env=lab.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    groups = json.loads(listed.stdout)
    assert (groups["control"]["hosts"], groups["cpu"]["hosts"]) == (["m1"], ["m2"])
    assert groups["workers"]["hosts"] == ["m2"]


def test_lists_of_keys_are_shut_out_and_the_owner_still_gets_in(secured: Lab) -> None:
    key = secured.paths.ssh_key
    entered = secured.run("m1", ["cat", "/etc/ssh/sshd_config.d/05-soundstage-close.conf"])
    assert (entered.returncode, "AuthorizedKeysFile none" in entered.stdout) == (0, True), entered.stderr
    # The key alone does not open: the machine is as closed as a real one.
    bare = key.with_name("without-certificate")
    shutil.copy(key, bare)
    config = bare.with_name("config-without-certificate")
    config.write_text(secured.paths.ssh_config.read_text().replace(str(key), str(bare)))
    refused = subprocess.run(
        secured.entering(["ssh", "-F", str(config), "m1", "true"]), capture_output=True, text=True
    )
    assert (refused.returncode, "Permission denied" in refused.stderr) == (255, True)


def test_a_second_run_gets_in_by_itself_and_changes_nothing(secured: Lab, home: Path) -> None:
    again = playbook(secured, home, "playbook.yaml", "--tags", "ssh")
    assert re.findall(r"(m\d) .*changed=(\d+) +unreachable=(\d+)", again) == [
        ("m1", "0", "0"),
        ("m2", "0", "0"),
    ]


def test_secrets_and_facts_are_the_labs_own_and_go_with_it(secured: Lab, home: Path) -> None:
    assert (secured.paths.secrets / "ssh" / "user_ca").exists()
    assert secured.paths.secrets.stat().st_mode & 0o077 == 0
    assert secured.paths.secrets.is_relative_to(secured.paths.folder)
    assert {path.name[-2:] for path in secured.paths.facts.iterdir()} >= {"m1", "m2"}
    assert not (home / "real-farm").exists()
    assert not (home / ".config/soundstage").exists()
    assert not (home / ".cache/soundstage/ansible-facts").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_makes_a_farm_of_a_plain_lab(
    lab_names: Callable[[str], Lab], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if subprocess.run([_ROOT / "tools" / "build", "nomad", "consul"]).returncode != 0:
        pytest.skip("Nomad and Consul cannot be built: tools/build says why")
    here = "tests/lab/test_playbook_on_a_lab.py::test_the_tutorial_makes_a_farm_of_a_plain_lab"
    commands = tutorial("docs/guide/first-farm.md", here)
    assert len(commands) > 8
    for name, value in environment(home).items():
        monkeypatch.setenv(name, value)
    created = lab_names("tutorial")
    # Two labs of one name would be one.
    replaced = {
        "--name first": f"--name {created.name}",
        "soundstage-lab/first": f"soundstage-lab/{created.name}",
    }
    assert follow(commands, _ROOT, replaced, limit_s=850) == []
    assert not created.paths.folder.exists()


@pytest.fixture
def layer(lab_names: Callable[[str], Lab]) -> Iterator[str]:
    name = f"test-owner-{os.getpid()}"
    yield name
    Lab(f"bake-{name}").down()
    shutil.rmtree(layer_folder(root_tree_key(), name), ignore_errors=True)


@pytest.mark.slow
def test_machines_of_a_baked_layer_let_the_owner_of_any_lab_in(
    lab: Lab, layer: str, lab_names: Callable[[str], Lab]
) -> None:
    command = [str(_ANSIBLE / "ansible-playbook"), str(_ROOT / "playbook.yaml"), "--tags", "ssh"]
    bake(layer, command, groups=["control"])
    other = lab_names("from-layer")
    other.up(machines_named(["one"], disk_gib=1), layers=[layer])
    done = other.run("one", ["cat", "/etc/ssh/sshd_config.d/05-soundstage-close.conf"])
    assert (done.returncode, "AuthorizedKeysFile none" in done.stdout) == (0, True), done.stderr
