"""A farm of three machines in a lab with Prometheus, Alertmanager and a receiver of alerts; for
test_monitoring.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import waiting
from farm_in_lab import ROOT, LabFarm

from lab.farm_in_a_box import Lab
from lab.plan import GATEWAY

MACHINES = ("control-1", "cpu-1", "gpu-1")
SERVER = MACHINES[0]
TEXTFILES = "/var/lib/prometheus/node-exporter"
SHORT_CERTIFICATE = "/etc/soundstage/short.pem"
PORT, BROKEN_PORT, MAIL_PORT = 9998, 9999, 2525
STEP_S = 2
# The machines of the lab stand on overlays and disks in memory.
FILESYSTEMS = "^(proc|sysfs|cgroup2?|devpts|mqueue|tmpfs|ramfs|bpf)$"
TAGS = "common,consul,nomad,health,monitoring,logs"
# What takes minutes on a farm takes seconds here: every alert fires at its second look.
QUICKLY = (
    *("NodeLostWithWork", "CertificateEnds", "DiskFillsWithinDay", "DiskFull", "BackupOld", "ClockOff"),
    *("MonitoringClockOff", "CardHot", "CardErrors", "NodeUnhealthy", "TargetDown", "AlertsNotDelivered"),
    *("CardFiguresOld", "MachineNeedsOperator"),
)

# Those that another alert silences, as in the alerts themselves: it must come first.
LATER = {"ClockOff": {"for": "12s"}, "TargetDown": {"for": "20s"}}


def quick_monitoring(overrides: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Returns the variables with which alerts come within seconds, to the receiver at `PORT`."""
    return {
        "monitoring__filesystems_left_out": FILESYSTEMS,
        "monitoring__every_s": 2,
        "monitoring__first_wait": "1s",
        "monitoring__resend": "5s",
        "monitoring__overrides": overrides,
        "monitoring__webhooks": [{"url": f"http://{GATEWAY}:{PORT}/alerts"}],
    }


def of_monitoring() -> dict[str, Any]:
    """Variables of the farm."""
    return {
        "nomad__drivers": ["raw_exec"],
        # The clock of the monitoring machine before those of the others, as the alerts themselves have it.
        **quick_monitoring({name: {"for": "4s"} for name in QUICKLY} | LATER),
        "monitoring__webhooks": [
            {"url": f"http://{GATEWAY}:{PORT}/alerts", "token": "monitoring/webhook.token"},
            {"url": f"http://{GATEWAY}:{BROKEN_PORT}/"},
        ],
        "monitoring__heartbeat_url": f"http://{GATEWAY}:{PORT}/heartbeat",
        "monitoring__mail_to": "farm@example.org",
        "monitoring__mail_server": f"{GATEWAY}:{MAIL_PORT}",
        "monitoring__mail_user": "farm",
        "monitoring__mail_password": "monitoring/mail.password",
        "health__every_s": 5,
        # A node whose own certificates end within 14 days takes no work; the alert is what is tested.
        "health__certificate_days": 1,
        "health__certificates": [
            "/etc/nomad.d/tls/agent.pem",
            "/etc/consul.d/tls/agent.pem",
            SHORT_CERTIFICATE,
        ],
    }


def place_certificate(lab: Lab, machine: str, days: int) -> None:
    """A certificate of that life where the checks of the node look for one."""
    words = "mkdir -p /etc/soundstage; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
    words += f"-subj /CN=x -keyout /dev/null -days {days} -out {SHORT_CERTIFICATE}"
    done = lab.run(machine, ["sh", "-ec", words])
    assert done.returncode == 0, done.stderr


def make_mail_certificate(lab: Lab, folder: Path) -> Path:
    """Returns a certificate with its key for a mail server of the lab, which Prometheus's machine trusts."""
    key, certificate = folder / "mail-key.pem", folder / "mail.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mail -days 2"
    names = f"subjectAltName=IP:{GATEWAY}"
    subprocess.run([*words.split(), "-addext", names, "-keyout", key, "-out", certificate], check=True)
    trusted = 'mkdir -p /etc/ssl/certs; printf %s "$1" > /etc/ssl/certs/mail-of-the-tests.pem'
    done = lab.run(SERVER, ["sh", "-ec", trusted, "sh", certificate.read_text()])
    assert done.returncode == 0, done.stderr
    both = folder / "mail-both.pem"
    both.write_text(key.read_text() + certificate.read_text())
    return both


class MailReceiver:
    """A mail server in the lab's network that writes down what Alertmanager sends."""

    def __init__(self, lab: Lab, folder: Path, certificate: Path) -> None:
        self._file = folder / "mails.jsonl"
        self._file.touch()
        program = ROOT / "tests" / "servers" / "mail_receiver.py"
        words = [GATEWAY, str(MAIL_PORT), str(self._file), str(certificate)]
        command = lab.entering([sys.executable, str(program), *words])
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def mails(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.read_text().splitlines()]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


class Receiver:
    """A server in the lab's network that writes down what Alertmanager posts."""

    def __init__(self, lab: Lab, folder: Path, port: int, status: int = 200) -> None:
        self.file = folder / f"alerts-{port}.jsonl"
        self.file.touch()
        program = ROOT / "tests" / "servers" / "alert_receiver.py"
        command = [sys.executable, str(program), GATEWAY, str(port), str(self.file), str(status)]
        self._process = subprocess.Popen(lab.entering(command), stdin=subprocess.DEVNULL)

    def posts(self, path: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        return [line for line in lines if line["path"] == path]

    def alerts(self, name: str, status: str = "firing", path: str = "/alerts") -> list[dict[str, Any]]:
        """The alerts of that name that were posted with that status."""
        return [
            alert
            for post in self.posts(path)
            for alert in post["body"]["alerts"]
            if (alert["labels"]["alertname"], alert["status"]) == (name, status)
        ]

    def names(self) -> list[str]:
        """Returns the alerts that have fired, each as often as it did."""
        fired = {
            (alert["labels"]["alertname"], alert["labels"].get("instance", ""), alert["startsAt"])
            for post in self.posts("/alerts")
            for alert in post["body"]["alerts"]
        }
        return sorted(name for name, _, _ in fired)

    def wait_for(self, name: str, within_s: float = 120, **labels: str) -> dict[str, Any]:
        """Returns the newest alert of that name with these labels, once one has come."""

        def match() -> dict[str, Any] | None:
            matching = [one for one in self.alerts(name) if labels.items() <= one["labels"].items()]
            return matching[-1] if matching else None

        found = waiting.eventually(match, f"{name} {labels}", within_s, 0.5)
        assert found is not None
        return found

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


class Prometheus:
    """Queries Prometheus on its own machine: it listens nowhere else."""

    def __init__(self, farm: LabFarm) -> None:
        self._farm = farm

    def ask(self, path: str, port: int = 9090) -> Any:
        done = self._farm.on(SERVER, "curl", "-sf", "--max-time", "20", f"http://127.0.0.1:{port}{path}")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def query(self, expression: str) -> list[dict[str, Any]]:
        found = self.ask(f"/api/v1/query?query={quote(expression)}")
        return [] if found is None else list(found["data"]["result"])

    def up(self) -> set[tuple[str, str, str]]:
        """Job, machine and `1` for each target that answers."""
        found = self.query("up")
        return {(one["metric"]["job"], one["metric"]["instance"], one["value"][1]) for one in found}

    def unread_s(self, start_s: float, end_s: float) -> dict[str, float]:
        """Returns for each job with a target that did not answer, how long one did not without a break."""
        query = f"query=up&start={start_s:.0f}&end={end_s:.0f}&step={STEP_S}"
        longest: dict[str, float] = {}
        for one in self.ask(f"/api/v1/query_range?{query}")["data"]["result"]:
            runs = "".join(value for _, value in one["values"]).split("1")
            job = one["metric"]["job"]
            longest[job] = max(longest.get(job, 0.0), float(max(map(len, runs)) * STEP_S))
        return {job: seconds for job, seconds in sorted(longest.items()) if seconds}

    def names(self) -> set[str]:
        found = self.ask("/api/v1/label/__name__/values")
        return set(found["data"])

    def firing(self) -> set[tuple[str, str]]:
        """Alert and machine."""
        found = self.query('ALERTS{alertstate="firing"}')
        return {(one["metric"]["alertname"], one["metric"].get("instance", "")) for one in found}
