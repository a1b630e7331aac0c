"""The farm's secrets on the controller: made once, kept tight, renewed, refused when they are not right."""

from __future__ import annotations

import datetime
import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from farm_in_lab import Run, run_ansible

_INVENTORY = """\
all:
  vars: {ansible_connection: local}
  children:
    control: {hosts: {control-1: {ansible_host: 10.9.0.11}}}
    workers: {hosts: {gpu-1: {ansible_host: 10.9.0.21}}}
"""
_PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: farm, tasks_from: secrets}
      run_once: true
"""


class Controller:
    """An operator's computer: an inventory, and the folder in which the secrets are made."""

    def __init__(self, folder: Path) -> None:
        self.secrets = folder / "secrets"
        self._playbook = folder / "secrets.yaml"
        self._playbook.write_text(_PLAYBOOK)
        self._inventory = folder / "inventory.yaml"
        self._inventory.write_text(_INVENTORY)

    def make(self, *arguments: str, **variables: Any) -> Run:
        given = json.dumps({"farm__secrets": str(self.secrets), **variables})
        words = ["-i", str(self._inventory), str(self._playbook), "--become-user", "root", "-e", given]
        environment = {**os.environ, "ANSIBLE_BECOME": "false"}
        return run_ansible("ansible-playbook", [*words, *arguments], environment)

    def made(self, **variables: Any) -> Run:
        done = self.make(**variables)
        assert done.status == 0, done.output
        return done

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.secrets / "tls" / f"{name}.pem").read_bytes())


@pytest.fixture
def controller(tmp_path: Path, ansible_environment: Path) -> Controller:
    return Controller(tmp_path)


def test_all_secrets_are_made_once_and_stay(controller: Controller) -> None:
    assert controller.made().changed() == 1
    before = {path: path.read_bytes() for path in controller.secrets.rglob("*") if path.is_file()}
    assert controller.made().changed() == 0
    assert before == {path: path.read_bytes() for path in controller.secrets.rglob("*") if path.is_file()}
    assert {path.name for path in controller.secrets.rglob("*.token")} == {
        "management.token",
        "agent.token",
        "livekit.token",
        "postgresql.token",
        "monitoring.token",
        "provisioning-service.token",
        "provisioning.token",
        "voice-worker.token",
        "control-1.token",
        "gpu-1.token",
    }


def test_nobody_else_can_read_them(controller: Controller) -> None:
    controller.made()
    for path in [controller.secrets, *controller.secrets.rglob("*")]:
        if path.name not in ("README", ".lock"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_run_that_tells_all_prints_none_of_them(controller: Controller) -> None:
    told = controller.make("-vvvv", "--diff").output
    for path in controller.secrets.rglob("*"):
        if path.suffix in (".token", ".key"):
            assert path.read_text().strip() not in told


def test_certificates_carry_the_names_that_the_engines_look_for(controller: Controller) -> None:
    controller.made()
    for machine, role, address in (("control-1", "server", "10.9.0.11"), ("gpu-1", "client", "10.9.0.21")):
        names = controller.certificate(machine).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        found = names.value.get_values_for_type(x509.DNSName)
        assert f"{role}.global.nomad" in found
        assert ("server.dc1.consul" in found) == (role == "server")
        assert address in [str(one) for one in names.value.get_values_for_type(x509.IPAddress)]


def test_openssl_and_ssh_agree_that_they_are_good(controller: Controller) -> None:
    controller.made()
    tls = controller.secrets / "tls"
    checked = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", tls / "ca.pem", tls / "gpu-1.pem"],
        capture_output=True,
    )
    assert checked.returncode == 0, checked.stderr
    shown = subprocess.run(
        ["ssh-keygen", "-L", "-f", controller.secrets / "ssh/ansible-cert.pub"],
        capture_output=True,
        text=True,
    ).stdout
    assert "user certificate" in shown
    assert "permit-port-forwarding" not in shown


def test_the_certificate_for_logins_is_short_lived_and_renewed(controller: Controller) -> None:
    controller.made(farm__login_minutes=10)
    path = controller.secrets / "ssh/ansible-cert.pub"
    first = path.read_bytes()
    controller.made(farm__login_minutes=10)
    assert path.read_bytes() == first
    controller.made(farm__login_minutes=60)  # the present one has less than half of the hour left
    assert path.read_bytes() != first


def test_a_certificate_that_ends_soon_is_renewed_and_the_others_stay(controller: Controller) -> None:
    controller.made(farm__certificate_days=30, farm__renew_before_days=5)
    old = controller.certificate("gpu-1").serial_number
    controller.made(farm__certificate_days=365, farm__renew_before_days=40)
    new = controller.certificate("gpu-1")
    assert new.serial_number != old
    assert new.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=300)


def test_a_machine_with_a_new_address_gets_a_new_certificate_alone(controller: Controller) -> None:
    controller.made()
    before = {name: controller.certificate(name).serial_number for name in ("control-1", "gpu-1")}
    inventory = controller._inventory
    inventory.write_text(inventory.read_text().replace("10.9.0.21", "10.9.0.99"))
    controller.made()
    assert controller.certificate("control-1").serial_number == before["control-1"]
    assert controller.certificate("gpu-1").serial_number != before["gpu-1"]


def test_a_folder_that_others_may_read_is_refused(controller: Controller) -> None:
    controller.made()
    controller.secrets.chmod(0o755)
    done = controller.make()
    assert done.status != 0
    assert "is open to other users (mode 0755)" in done.said()


def test_half_an_authority_is_refused_because_a_new_one_would_lock_the_farm_out(
    controller: Controller,
) -> None:
    controller.made()
    (controller.secrets / "tls/ca-key.pem").unlink()
    done = controller.make()
    assert done.status != 0
    assert "holds only one of ca.pem and ca-key.pem" in done.said()


def test_a_key_of_another_authority_is_refused(controller: Controller, tmp_path: Path) -> None:
    controller.made()
    other = Controller(tmp_path / "other") if (tmp_path / "other").mkdir() is None else None
    assert other is not None
    other.made()
    (controller.secrets / "tls/ca-key.pem").write_bytes((other.secrets / "tls/ca-key.pem").read_bytes())
    done = controller.make()
    assert done.status != 0
    assert "is not the key of ca.pem" in done.said()


def test_a_damaged_authority_is_named(controller: Controller) -> None:
    controller.made()
    (controller.secrets / "tls/ca.pem").write_text("-----BEGIN nonsense")
    done = controller.make()
    assert done.status != 0
    assert "is damaged" in done.said()


def test_a_dry_run_makes_nothing(controller: Controller) -> None:
    done = controller.make("--check")
    assert done.status == 0, done.output
    assert not controller.secrets.exists()


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"farm__certificate_days": "soon"}, "certificate_days"),
        ({"farm__login_minutes": [1]}, "login_minutes"),
        ({"farm__secrets": "relative/path"}, "absolute path"),
    ],
)
def test_a_variable_of_the_wrong_kind_is_named(
    controller: Controller, variables: dict[str, Any], named: str
) -> None:
    done = controller.make(**variables)
    assert done.status != 0
    assert named in done.said()


def verify(controller: Controller, certificate: Path) -> str:
    """Returns `OK`, or OpenSSL's reason, with the revocation lists of the farm."""
    tls = controller.secrets / "tls"
    words = ["openssl", "verify", "-x509_strict", "-crl_check", "-CRLfile", tls / "crl.pem"]
    done = subprocess.run([*words, "-CAfile", tls / "ca.pem", certificate], capture_output=True, text=True)
    return "OK" if done.returncode == 0 else done.stderr


def test_the_certificate_of_a_retired_machine_is_revoked_and_stays_so(
    controller: Controller, tmp_path: Path
) -> None:
    controller.made()
    stolen = tmp_path / "gpu-1.pem"
    stolen.write_bytes((controller.secrets / "tls/gpu-1.pem").read_bytes())
    assert verify(controller, stolen) == "OK"
    # Who is in the inventory is none that has left it.
    controller.made(farm__retired=["gpu-1", "operator", "nobody"])
    assert verify(controller, stolen) == "OK"

    only = {"farm__machines": ["control-1"]}
    run = controller.made(farm__retired=["gpu-1"], **only)
    assert "certificate revoked" in verify(controller, stolen), run.output
    assert not (controller.secrets / "tls/gpu-1-key.pem").exists()
    assert verify(controller, controller.secrets / "tls/control-1.pem") == "OK"
    assert controller.made(farm__retired=["gpu-1"], **only).changed() == 0

    # A machine of its name comes back with another certificate.
    controller.made()
    assert verify(controller, controller.secrets / "tls/gpu-1.pem") == "OK"
    assert "certificate revoked" in verify(controller, stolen)
