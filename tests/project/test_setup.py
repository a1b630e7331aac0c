"""`scripts/setup`: what each mode installs, and which environments serve which mode."""

from __future__ import annotations

import re
import runpy
import subprocess
import tomllib
from pathlib import Path

import pytest

from lab.requirements import PACKAGE_OF

ROOT = Path(__file__).parents[2]
SETUP = ROOT / "scripts" / "setup"


def test_the_setup_of_a_farm_installs_what_the_lab_asks_for() -> None:
    found = re.search(r"^lab_packages=\((.*)\)$", SETUP.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    # Every Debian has util-linux and e2fsprogs.
    lacking = {*PACKAGE_OF.values(), "debian-archive-keyring"} - set(found[1].split())
    assert lacking == {"util-linux", "e2fsprogs"}


@pytest.mark.parametrize(
    ("mode", "have", "is_made"),
    [
        ("runtime", "farm x", False),
        ("runtime", "test x", False),
        ("farm", "test x", False),
        ("farm", "runtime x", True),
        ("test", "farm x", True),
        ("runtime", "farm other", True),
    ],
)
def test_an_environment_is_made_anew_only_where_it_lacks_something(
    mode: str, have: str, is_made: bool
) -> None:
    """The condition of the script, as bash reads it."""
    found = re.search(r"^if (\[\[ \$have .*\]\]); then$", SETUP.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    asked = f'mode="{mode}" stamp="{mode} x" have="{have}"; {found[1]}'
    assert (subprocess.run(["bash", "-c", asked]).returncode == 0) is is_made


def test_messages_into_a_pipe_have_no_escape_codes() -> None:
    found = re.search(r"^say\(\) .*$", SETUP.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    done = subprocess.run(["bash", "-c", f'{found[0]}\nsay "Next"'], capture_output=True, text=True)
    assert done.stderr == "Next\n"


def test_another_mode_is_refused_before_anything_is_installed() -> None:
    done = subprocess.run([SETUP, "frm"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "scripts/setup runtime, farm or test; not frm\n")


@pytest.mark.parametrize("lock", ["uv.lock", "ansible/uv.lock"])
def test_each_locked_package_has_a_wheel_or_is_not_packed_for_machines(lock: str) -> None:
    packer = runpy.run_path(str(ROOT / "ansible/roles/control_program/files/pack_program.py"))
    locked = tomllib.loads((ROOT / lock).read_text(encoding="utf-8"))["package"]
    from_source = {one["name"] for one in locked if "registry" in one["source"] and not one.get("wheels")}
    assert from_source <= {*packer["_WITHOUT_WHEEL"]}
