"""Two machines run the provisioning API on one database, with the same keys.

The tests run in the order of this file.
"""

from __future__ import annotations

import shutil

import pytest
from control_machines_in_lab import MACHINES, STORE, STUDIOS, machine_at, provisioning, query
from farm_in_lab import LabFarm, Run
from journey_inputs import FARM, PROGRAM
from studio_in_lab import eventually

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.cached(*FARM, *PROGRAM),
]
SERVICE = ("soundstage-provisioning.socket", "soundstage-provisioning.service")
USER = "soundstage-provisioning"
FOLDER = "/var/lib/soundstage-provisioning/provisioning"
KEYS = f"{FOLDER}/keys"
PASSPHRASE = "/etc/soundstage/passphrase"


@pytest.fixture(scope="module")
def farm(control_farm: LabFarm, control_run: Run) -> LabFarm:
    return control_farm


def stop(farm: LabFarm) -> None:
    for machine in STUDIOS:
        stopped = farm.on(machine, "systemctl", "stop", *SERVICE)
        assert stopped.returncode == 0, stopped


def assert_all_is_there(farm: LabFarm) -> None:
    for machine in STUDIOS:
        assert provisioning(farm, machine, "GET", "/api/machines/new")["state"] == "discovered"
        assert provisioning(farm, machine, "GET", "/api/audit/verdict")["code"] == ""


def test_a_machine_that_one_provisioning_api_takes_in_is_known_to_the_other(farm: LabFarm) -> None:
    first, second = STUDIOS
    provisioning(farm, first, "POST", "/api/ready-for-provisioning", {"hostname": "new", "ip": "10.77.0.77"})
    assert provisioning(farm, second, "GET", "/api/machines/new")["state"] == "discovered"
    named = farm.on("control-3", "getent", "ahostsv4", "provisioning.service.consul").stdout.split()
    assert {MACHINES[machine] for machine in STUDIOS} <= set(named)
    keys = [farm.on(one, "sh", "-c", f"cd {KEYS} && sha256sum *").stdout for one in STUDIOS]
    assert keys[0] == keys[1] and keys[0].count("\n") > 3, "whom one has signed the other renews"
    copies = farm.secrets / "provisioning" / "keys"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (copies, *copies.iterdir()))


def test_a_backup_of_machines_is_loaded_under_running_services(farm: LabFarm) -> None:
    first, second = STUDIOS
    took = farm.on(STORE, "soundstage-backup", "take")
    assert took.returncode == 0, took
    since = farm.on(first, "date", "+%s").stdout.strip()
    accepted = provisioning(farm, first, "POST", "/api/machines/new/accept", {})
    assert accepted["state"] == "accepted", accepted
    done = farm.on(STORE, "soundstage-backup", "restore", "newest", "postgresql-provisioning")
    assert done.returncode == 0, done.stderr
    for machine in STUDIOS:
        found = eventually(lambda one=machine: machine_at(farm, one), f"the machines at {machine}")
        assert found["state"] == "discovered", "as the copy has it"
        assert provisioning(farm, machine, "GET", "/api/audit/verdict")["code"] == ""
        log = ("journalctl", "--unit=soundstage-provisioning", "--output=cat", f"--since=@{since}")
        eventually(lambda one=machine, log=log: "database.restored" in farm.on(one, *log).stdout, machine)
    actions = [line["action"] for line in provisioning(farm, second, "GET", "/api/audit")]
    assert "backup.restored" in actions


def test_rows_of_one_machine_move_into_the_database_of_both(farm: LabFarm) -> None:
    first = STUDIOS[0]
    stop(farm)
    file = f"{FOLDER}/provisioning.db"
    url = farm.on(
        first, "sed", "-n", 's/^database_url = "\\(.*\\)"$/\\1/p', "/etc/soundstage/provisioning.toml"
    )
    python = "/opt/soundstage/provisioning/current/service-python/bin/python"
    copy = [python, "-P", "-m", "app.migrations.copy", "--machines", url.stdout.strip(), f"sqlite:///{file}"]
    home = "HOME=/var/lib/soundstage-provisioning"
    done = farm.on(first, "runuser", "-u", USER, "--", "env", "-C", "/", home, *copy)
    assert done.returncode == 0 and " machines" in done.stdout, done
    query(farm, "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION provisioning", "provisioning")
    farm.converge("--tags", "provisioning")
    assert_all_is_there(farm)
    # As after a run that was cut off before it had renamed the file.
    farm.on(first, "mv", f"{file}.moved", file)
    farm.converge("--tags", "provisioning")
    assert_all_is_there(farm)
    names = farm.on(first, "sh", "-c", f"ls {file}*").stdout.split()
    assert names == [f"{file}.moved"]


def test_machines_with_different_keys_are_refused_before_anything_changes(farm: LabFarm) -> None:
    second = STUDIOS[1]
    farm.on(second, "cp", "-a", f"{KEYS}/audit.key", "/root/audit.key")
    farm.on(second, "sh", "-c", f"head -c 32 /dev/urandom > {KEYS}/audit.key")
    refused = farm.play("--tags", "provisioning", provisioning_api__extra="# never placed")
    assert refused.status != 0
    assert f"audit.key differ on {second} from the copy in" in refused.output, refused.output[-3000:]
    for machine in STUDIOS:
        assert "never placed" not in farm.on(machine, "cat", "/etc/soundstage/provisioning.toml").stdout
    farm.on(second, "mv", "/root/audit.key", f"{KEYS}/audit.key")
    assert_all_is_there(farm)


def test_keys_that_one_machine_has_sealed_open_on_the_other(farm: LabFarm) -> None:
    first, second = STUDIOS
    sealed = {
        "provisioning_api__sealing": {"method": "passphrase"},
        "provisioning_api__passphrase_file": PASSPHRASE,
    }
    for machine in STUDIOS:
        farm.on(machine, "sh", "-c", f"umask 077; echo correct horse battery staple > {PASSPHRASE}")
    copies = farm.secrets / "provisioning" / "keys"
    plain = shutil.copytree(copies, farm.folder / "plain-keys")
    stop(farm)
    config = "/etc/soundstage/provisioning.toml"
    farm.on(first, "sh", "-c", "printf '[sealing]\\nmethod = \"passphrase\"\\n' >> " + config)
    seal = ["systemd-run", "--wait", "--pipe", f"--property=User={USER}"]
    seal += [f"--property=LoadCredential=soundstage-passphrase:{PASSPHRASE}"]
    done = farm.on(first, *seal, "soundstage", "--config-file", config, "seal")
    assert done.returncode == 0, done
    farm.on(second, "rm", "-r", KEYS)
    shutil.rmtree(copies)
    farm.converge("--tags", "provisioning", **sealed)
    assert_all_is_there(farm)
    keys = [farm.on(one, "sh", "-c", f"cd {KEYS} && sha256sum *").stdout for one in STUDIOS]
    assert keys[0] == keys[1] and "sealing.json" in keys[0]
    assert "PRIVATE KEY" not in farm.on(second, "cat", f"{KEYS}/ca.key").stdout

    stop(farm)
    # The key of its own logins is the machine's, and made anew.
    farm.on(first, "sh", "-c", "cd /var/lib/soundstage-provisioning && rm sealing.json session.key")
    for machine in STUDIOS:
        farm.on(machine, "rm", "-r", KEYS)
    shutil.rmtree(copies)
    plain.rename(copies)
    farm.converge("--tags", "provisioning")
    assert_all_is_there(farm)
