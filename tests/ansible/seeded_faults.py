"""Ten things that go wrong on a farm, each done to a machine of the lab; test_verify.py seeds them all."""

from __future__ import annotations

from dataclasses import dataclass

from lab.farm_in_a_box import Lab
from lab.faults import inject_fault


@dataclass(frozen=True)
class Seeded:
    """`what` is done to `machine`, by a shell command or a fault of the lab; the report says `code`."""

    what: str
    machine: str
    code: str
    command: str = ""
    fault: str = ""

    def seed(self, lab: Lab) -> None:
        if self.fault:
            inject_fault(lab.paths, lab.plan.machine(self.machine), self.fault)
            return
        done = lab.run(self.machine, ["sh", "-ec", self.command])
        if done.returncode != 0:
            raise RuntimeError(f"{self.what}: {done.stderr}")


# In this order, since some make others harder: a machine without power takes no further fault.
TEN = (
    Seeded(
        "the backups stopped long ago",
        "control-1",
        "backup.old",
        "cd /var/backups/soundstage && export RESTIC_PASSWORD_FILE=/etc/soundstage/backup/repository.password"
        " && restic -r repository rewrite --new-time '2020-01-01 00:00:00' --forget",
    ),
    Seeded(
        "a secret can be read by all",
        "control-1",
        "machine.secret_open",
        "chmod 644 /etc/nomad.d/secrets.hcl",
    ),
    Seeded(
        "somebody has stopped a timer",
        "control-1",
        "machine.timer_off",
        "systemctl stop soundstage-health.timer",
    ),
    Seeded("a card's memory fails", "gpu-1", "gpu.ecc", fault="card-memory"),
    Seeded("Consul has stopped", "gpu-1", "machine.service_down", "systemctl stop consul"),
    Seeded("a certificate is gone", "gpu-1", "machine.certificate_missing", "rm /etc/consul.d/tls/agent.pem"),
    Seeded(
        "the worker's drawing library is gone",
        "cpu-1",
        "worker.broken",
        "rm -r /opt/soundstage/worker/current/lib/python3*/site-packages/skia*",
    ),
    Seeded(
        "weights are spoilt",
        "cpu-1",
        "models.damaged",
        "echo spoilt > /opt/soundstage/models/lips/tiny.safetensors",
    ),
    Seeded("the disk is full", "cpu-1", "machine.disk_full", fault="disk-full"),
    Seeded("a machine has no power", "cpu-2", "farm.machine_silent", fault="power"),
)
