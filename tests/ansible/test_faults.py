"""Runs that are cut off in the middle, on bare machines: what is said, that nothing stands open meanwhile,
and that the next run completes what the first began.

What is refused before anything is changed is in test_refusals.py.
"""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from farm_in_lab import ANSIBLE, ROOT, Carried, LabFarm
from journey_inputs import FARM

from lab.farm_in_a_box import Lab
from lab.plan import machines_named

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800), pytest.mark.cached(*FARM)]
NOMAD = "https://10.77.0.11:4646"
CONSUL = "https://10.77.0.11:8501"
# Small to fetch, large on the disk: the disk fills while it is unpacked, and not before.
LARGE = "locales-all"
ENGINES = ("--limit", "control-1", "--tags", "common,ssh,consul,nomad")


@pytest.fixture(scope="module")
def bare(
    lab_names: Callable[[str], Lab], engines: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> LabFarm:
    """One control machine and three workers on which nothing was ever installed."""
    lab = lab_names("faults")
    names = ["control-1", "cpu-1", "cpu-2", "cpu-3"]
    lab.up(machines_named(names), groups={"control": names[:1], "workers": names[1:]})
    return LabFarm(
        lab, tmp_path_factory.mktemp("faults"), engines, Carried("nothing", {"nomad__gpu_plugin": False})
    )


def killed_at(farm: LabFarm, task: str, how: signal.Signals, *arguments: str) -> None:
    """Starts the playbook, and ends it with this signal when it comes to `task`."""
    run = subprocess.Popen(
        [*farm.lab.entering([]), str(ANSIBLE / "ansible-playbook"), "playbook.yaml", *arguments],
        cwd=ROOT,
        env={
            **farm.lab.environment(),
            "ANSIBLE_INVENTORY": str(farm.inventory),
            "ANSIBLE_NOCOLOR": "1",
            "PATH": f"{ANSIBLE}:{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    seen = []
    for line in run.stdout:
        seen.append(line)
        if line.startswith((f"TASK [{task}]", f"RUNNING HANDLER [{task}]")):
            os.killpg(run.pid, how)
            break
    else:
        raise AssertionError(f"the run never came to {task}:\n{''.join(seen)[-3000:]}")
    while run.poll() is None:
        # A Ctrl-C while Ansible forks is lost: Python ignores exceptions of functions that run at a fork.
        # A person presses it again.
        try:
            run.communicate(timeout=2)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, how)
    assert run.returncode != 0


def shell(farm: LabFarm, machine: str, command: str) -> str:
    done = farm.on(machine, "sh", "-c", command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_a_disk_that_fills_while_packages_are_unpacked_is_named_and_the_next_run_completes(
    bare: LabFarm,
) -> None:
    shell(bare, "cpu-1", "apt-get -qq update; apt-get -qq --download-only install " + LARGE)
    shell(bare, "cpu-1", "fallocate --length $(($(df --output=avail -k / | tail -n 1) - 61440))KiB /filler")
    wanted: dict[str, Any] = {"common__role_packages": [LARGE], "farm__free_mib": 1}
    done = bare.play("--limit", "cpu-1", "--tags", "common", **wanted)
    assert done.status != 0
    assert "common.packages_failed" in done.said(), done.output[-3000:]
    assert "No space left on device" in done.said(), done.output[-3000:]
    assert "the next run finishes" in done.said()
    shell(bare, "cpu-1", "rm /filler")
    bare.converge("--limit", "cpu-1", "--tags", "common", **wanted)
    assert shell(bare, "cpu-1", "dpkg --audit") == ""
    assert bare.converge("--limit", "cpu-1", "--tags", "common", **wanted).changed() == 0


@pytest.mark.slow
def test_power_that_fails_while_packages_are_installed_is_made_good_by_the_next_run(bare: LabFarm) -> None:
    wanted = {"common__role_packages": [LARGE]}
    words = ["--limit", "cpu-2", "--tags", "common", "-e", json.dumps({**wanted, "ansible_timeout": 5})]
    run = subprocess.Popen(
        [*bare.lab.entering([]), str(ANSIBLE / "ansible-playbook"), "playbook.yaml", *words],
        cwd=ROOT,
        env={**bare.lab.environment(), "ANSIBLE_INVENTORY": str(bare.inventory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    locales = bare.lab.paths.machine("cpu-2").root / "usr/lib/locale"
    until = time.monotonic() + 600
    while not any(locales.glob("*/*.dpkg-new")):
        assert time.monotonic() < until and run.poll() is None, "nothing was ever unpacked"
        time.sleep(0.01)
    bare.lab.power_off("cpu-2")
    said = run.communicate()[0]
    assert run.returncode != 0, said[-2000:]
    bare.lab.power_on("cpu-2")
    assert "half-installed" in shell(bare, "cpu-2", f"dpkg --status {LARGE}")
    bare.converge("--limit", "cpu-2", "--tags", "common", **wanted)
    assert shell(bare, "cpu-2", "dpkg --audit") == ""


def test_a_run_that_ends_before_access_control_is_there_leaves_no_door_open(bare: LabFarm) -> None:
    """Interrupted while Consul's rights are made, killed while Nomad's are; then the run that completes."""
    killed_at(
        bare,
        "consul : Bootstrap access control, and give each machine what it needs and no more",
        signal.SIGINT,
        *ENGINES,
    )
    assert bare.on("control-1", "systemctl", "is-active", "consul").returncode == 0
    assert bare.curl(f"{CONSUL}/v1/agent/self", certificate=False) == "000"
    assert bare.curl(f"{CONSUL}/v1/agent/self") == "403"
    assert bare.curl(f"{CONSUL}/v1/kv/x") == "403"
    killed_at(
        bare, "nomad : Bootstrap access control, and make the tokens of the farm", signal.SIGKILL, *ENGINES
    )
    assert bare.on("control-1", "systemctl", "is-active", "nomad").returncode == 0
    assert bare.curl(f"{NOMAD}/v1/nodes", certificate=False) == "000"
    assert bare.curl(f"{NOMAD}/v1/nodes") == "403"
    bare.converge(*ENGINES)
    token = bare.secret("nomad/management.token")
    assert bare.curl(f"{NOMAD}/v1/nodes", token=token, header="X-Nomad-Token") == "200"
    assert bare.converge(*ENGINES).changed() == 0


@pytest.fixture(scope="module")
def control_machine(bare: LabFarm) -> LabFarm:
    """Returns the control machine with both engines, set up by a test before or now; tests leave it so."""
    if not bare.secrets.exists() or not _has_nomad(bare):
        bare.converge(*ENGINES)
    return bare


def _has_nomad(farm: LabFarm) -> bool:
    token = farm.secrets / "nomad" / "management.token"
    return (
        token.exists()
        and farm.json(f"{NOMAD}/v1/nodes", "X-Nomad-Token", token.read_text().strip()) is not None
    )


def test_a_wrong_management_token_is_refused_with_the_way_back(control_machine: LabFarm) -> None:
    bare = control_machine
    for engine in ("consul", "nomad"):
        file = bare.secrets / engine / "management.token"
        right = file.read_text()
        file.write_text("00000000-0000-0000-0000-000000000000\n")
        try:
            done = bare.play("--limit", "control-1", "--tags", engine)
        finally:
            file.write_text(right)
        assert done.status != 0
        assert "access control was bootstrapped before, and not with the management token in" in done.said()
        assert "00000000-0000" not in done.output
    assert bare.converge(*ENGINES).changed() == 0


def expired(farm: LabFarm, name: str) -> None:
    """Puts a certificate in the place of tls/NAME.pem that is like it, and ended yesterday."""
    tls = farm.secrets / "tls"
    old = x509.load_pem_x509_certificate((tls / f"{name}.pem").read_bytes())
    key = serialization.load_pem_private_key((tls / "ca-key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now - datetime.timedelta(days=1))
    )
    for extension in old.extensions:
        made = made.add_extension(extension.value, extension.critical)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (tls / f"{name}.pem").write_bytes(pem)


def test_an_expired_certificate_is_replaced_and_the_engines_take_it_up(control_machine: LabFarm) -> None:
    bare = control_machine
    expired(bare, "control-1")
    assert bare.converge(*ENGINES).changed() > 0
    assert bare.curl(f"{CONSUL}/v1/agent/self") == "403", "TLS holds"
    assert bare.converge(*ENGINES).changed() == 0


@pytest.mark.slow
def test_an_expired_authority_is_named_with_the_way_out_which_works(control_machine: LabFarm) -> None:
    bare = control_machine
    expired(bare, "ca")
    done = bare.play(*ENGINES)
    assert done.status != 0
    assert "authority expired on" in done.said()
    assert "Move ca.pem and ca-key.pem out of" in done.said()
    for name in ("ca.pem", "ca-key.pem"):
        (bare.secrets / "tls" / name).rename(bare.folder / name)
    bare.converge(*ENGINES, farm__take_over=True)
    token = bare.secret("nomad/management.token")
    assert bare.curl(f"{NOMAD}/v1/nodes", token=token, header="X-Nomad-Token") == "200"
    assert bare.converge(*ENGINES).changed() == 0


def test_an_engine_that_somebody_else_runs_is_refused_before_anything_is_changed(bare: LabFarm) -> None:
    """Another version, from a package, on a machine of its own: SSH and firewall stay as they are, too."""
    unit = "/usr/lib/systemd/system/nomad.service"
    shell(
        bare,
        "cpu-3",
        f"printf '[Service]\\nExecStart=/bin/sleep infinity\\n' > {unit}; systemctl start nomad",
    )
    done = bare.play("--limit", "cpu-3")
    assert done.status != 0
    assert "already has a Nomad that these roles did not set up" in done.said(), done.output[-3000:]
    assert unit in done.said()
    assert "nomad__take_over" in done.said()
    assert done.count("cpu-3", "changed") == 0
    assert shell(bare, "cpu-3", "systemctl is-active nomad") == "active"
