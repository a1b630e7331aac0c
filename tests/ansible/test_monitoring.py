"""Prometheus, Alertmanager and the journals of a farm on machines of the lab: each alert comes by its fault
through Alertmanager to a webhook, and by mail.

The tests share three machines and run in the order of this file; each leaves the farm as it was.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import waiting
from farm_in_lab import ROOT, LabFarm, pack_plugin
from journey_inputs import FARM
from monitored_farm import (
    BROKEN_PORT,
    MACHINES,
    PORT,
    SERVER,
    TAGS,
    TEXTFILES,
    MailReceiver,
    Prometheus,
    Receiver,
    make_mail_certificate,
    of_monitoring,
    place_certificate,
)

from lab.cards.catalogue import read_gpus
from lab.cards.machine_view import read_card_file, write_card_file
from lab.farm_in_a_box import Lab
from lab.plan import machines_named

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.timeout(1500),
    pytest.mark.cached(
        *FARM,
        "tests/servers/alert_receiver.py",
        "tests/servers/mail_receiver.py",
        "tests/monitoring/seen_names.txt",
    ),
]
eventually = partial(waiting.eventually, within_s=120, pause_s=0.5)
NODE = "https://10.77.0.12:9100/metrics"
JOURNALS = "https://10.77.0.11:19532/upload"
JOBS = {"node", "nomad"}
TARGETS = {(job, machine, "1") for job in JOBS for machine in MACHINES} | {
    (job, SERVER, "1") for job in ("consul", "prometheus", "alertmanager")
}
CLOCK = """[Service]
ExecStart=
ExecStart=/usr/local/sbin/soundstage-lab-clock {command}
"""


@pytest.fixture(scope="module")
def farm(
    lab_names: Callable[[str], Lab], engines: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> LabFarm:
    lab = lab_names("monitoring")
    groups = {"control": [SERVER], "monitoring": [SERVER], "workers": list(MACHINES[1:])}
    lab.up(machines_named(list(MACHINES), read_gpus("0,0,rtx-4090")), groups=groups)
    for machine in MACHINES:
        place_certificate(lab, machine, 200)
    variables = of_monitoring() | pack_plugin()
    built = LabFarm(lab, tmp_path_factory.mktemp("monitoring"), engines, variables=variables)
    folder = built.secrets / "monitoring"
    folder.mkdir(parents=True, mode=0o700)
    built.secrets.chmod(0o700)
    for name, text in (("webhook.token", "sesame"), ("mail.password", "barley")):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(f"{text}\n")
    built.converge("--tags", TAGS)
    return built


@pytest.fixture(scope="module")
def prometheus(farm: LabFarm) -> Prometheus:
    return Prometheus(farm)


@pytest.fixture(scope="module")
def receiver(farm: LabFarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    folder = tmp_path_factory.mktemp("receivers")
    working = Receiver(farm.lab, folder, PORT)
    broken = Receiver(farm.lab, folder, BROKEN_PORT, 500)
    yield working
    working.close()
    broken.close()


@pytest.fixture(scope="module")
def mailbox(farm: LabFarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailReceiver]:
    folder = tmp_path_factory.mktemp("mails")
    certificate = make_mail_certificate(farm.lab, folder)
    # It reads which authorities its machine trusts once.
    shell(farm, SERVER, "systemctl restart prometheus-alertmanager")
    working = MailReceiver(farm.lab, folder, certificate)
    yield working
    working.close()


def shell(farm: LabFarm, machine: str, command: str) -> str:
    done = farm.on(machine, "sh", "-ec", command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_a_dry_run_on_a_bare_machine_ends_well(
    lab_names: Callable[[str], Lab], engines: dict[str, Path], tmp_path: Path
) -> None:
    lab = lab_names("monitoring-dry")
    lab.up(machines_named([SERVER]), groups={"control": [SERVER], "monitoring": [SERVER]})
    bare = LabFarm(lab, tmp_path / "farm", engines, variables={"nomad__gpu_plugin": False})
    assert bare.converge("--check", "--tags", "common,consul,nomad,monitoring,logs").changed() > 0
    assert bare.on(SERVER, "test", "-e", "/etc/soundstage/monitoring").returncode != 0


def test_prometheus_finds_every_machine_by_consul_and_each_answers(prometheus: Prometheus) -> None:
    eventually(lambda: prometheus.up() == TARGETS, f"all targets; there are {prometheus.up()}")
    expected = (ROOT / "tests" / "monitoring" / "seen_names.txt").read_text().split()
    # Most come with the first scrape; what only some actions show is in the file and not asked for here.
    assert len(set(expected) & prometheus.names()) > 0.8 * len(expected)


def test_a_second_run_changes_nothing_nor_does_a_dry_one(farm: LabFarm) -> None:
    for words in ((), ("--check", "--diff")):
        again = farm.converge("--tags", "monitoring,logs", *words)
        assert again.changed() == 0, again.output[-4000:]


def ask(farm: LabFarm, machine: str, url: str, *, certificate: bool = True) -> str:
    """The status that a machine of the farm gets, `000` where the connection is refused."""
    own = "--cert /etc/consul.d/tls/agent.pem --key /etc/consul.d/tls/agent-key.pem" if certificate else ""
    words = f"curl -s -m 10 -o /dev/null -w %{{http_code}} --cacert /etc/consul.d/tls/ca.pem {own}"
    return shell(farm, machine, f"{words} {url} || true")


def lets_in(farm: LabFarm, address: str, port: int) -> bool:
    """Returns whether the firewall of a machine lets in who is no machine of the farm."""
    command = ["timeout", "3", "bash", "-c", f"</dev/tcp/{address}/{port}"]
    return subprocess.run(farm.lab.entering(command), capture_output=True).returncode == 0


def test_nothing_is_open_to_who_has_no_certificate_of_the_farm(farm: LabFarm) -> None:
    for machine, url in ((SERVER, NODE), ("cpu-1", JOURNALS)):
        assert ask(farm, machine, url) not in ("000", "")
        assert ask(farm, machine, url, certificate=False) == "000"
    # These listen on the machine itself alone.
    for port in (9090, 9093, 19531):
        assert ask(farm, "cpu-1", f"http://10.77.0.11:{port}/") == "000"
    assert lets_in(farm, "10.77.0.11", 22)
    assert not lets_in(farm, "10.77.0.12", 9100) and not lets_in(farm, "10.77.0.11", 19532)
    token = farm.secret("consul/tokens/monitoring.token")
    consul = "https://10.77.0.11:8501/v1"
    assert farm.curl(f"{consul}/catalog/nodes", token=token, header="X-Consul-Token") == "200"
    assert farm.curl(f"{consul}/acl/tokens", token=token, header="X-Consul-Token") == "403"
    assert farm.curl(f"{consul}/kv/x", token=token, header="X-Consul-Token") == "403"
    for name in ("consul.token", "scrape.key"):
        assert shell(farm, SERVER, f"stat -c %a /etc/soundstage/monitoring/{name}") == "600"


def test_the_journals_of_all_machines_arrive_on_one(farm: LabFarm) -> None:
    for machine in MACHINES:
        shell(farm, machine, f"logger --tag drill 'trace_id=4bf92f3577b34da6 on {machine}'")

    def machines_read() -> set[str]:
        read = "journalctl -D /var/log/journal/remote -t drill -g 4bf92f3577b34da6 -o json --no-pager || true"
        return {json.loads(line)["_HOSTNAME"] for line in shell(farm, SERVER, read).splitlines()}

    eventually(lambda: machines_read() == set(MACHINES), "the lines of all machines")


def test_what_was_written_while_the_collector_was_away_comes_later(farm: LabFarm) -> None:
    shell(farm, SERVER, "systemctl stop soundstage-journals soundstage-journal-store")
    shell(farm, "cpu-1", "logger --tag drill 'written meanwhile'")
    time.sleep(2)
    shell(farm, SERVER, "systemctl start soundstage-journal-store soundstage-journals")
    read = "journalctl -D /var/log/journal/remote -t drill -g 'written meanwhile' --no-pager -q || true"
    eventually(lambda: "cpu-1" in shell(farm, SERVER, read), "the line")


def test_journals_of_a_retired_machine_are_refused_until_it_comes_back(farm: LabFarm) -> None:
    rest = [name for name in MACHINES if name != "cpu-1"]
    leaving = {"farm__retired": ["cpu-1"], "farm__machines": rest}
    farm.converge("--tags", "logs", "--limit", SERVER, **leaving)
    eventually(lambda: ask(farm, "cpu-1", JOURNALS) == "000", "its certificate is revoked")
    assert ask(farm, rest[-1], JOURNALS) not in ("000", "")

    farm.converge("--tags", TAGS, farm__retired=["cpu-1"])
    eventually(lambda: ask(farm, "cpu-1", JOURNALS) not in ("000", ""), "the new certificate is good")


def test_on_a_farm_that_is_well_only_the_watchdog_fires(prometheus: Prometheus, receiver: Receiver) -> None:
    eventually(lambda: receiver.alerts("Watchdog", path="/heartbeat"), "the heartbeat")
    eventually(lambda: {name for name, _ in prometheus.firing()} <= {"Watchdog", "AlertsNotDelivered"})
    assert receiver.posts("/alerts") == [] or {
        one["labels"]["alertname"] for post in receiver.posts("/alerts") for one in post["body"]["alerts"]
    } <= {"AlertsNotDelivered"}


def test_a_certificate_that_ends_soon_is_told_with_the_token_of_the_webhook(
    farm: LabFarm, receiver: Receiver
) -> None:
    place_certificate(farm.lab, "cpu-1", 5)
    alert = receiver.wait_for("CertificateEnds", instance="cpu-1", path="/etc/soundstage/short.pem")
    assert alert["annotations"]["runbook_url"] == "docs/guide/monitoring.md#certificateends"
    assert {post["authorization"] for post in receiver.posts("/alerts")} == {"Bearer sesame"}
    place_certificate(farm.lab, "cpu-1", 200)


def test_what_fires_and_what_ends_is_told_by_mail_over_tls(farm: LabFarm, mailbox: MailReceiver) -> None:
    def mails_about(subject: str) -> list[dict[str, Any]]:
        return [one for one in mailbox.mails() if f"Subject: {subject}" in one["text"]]

    place_certificate(farm.lab, "cpu-1", 5)
    mail = eventually(lambda: mails_about("[FIRING:1] CertificateEnds"), "the mail")[0]
    assert (mail["login"], mail["sender"]) == ("farm barley", "FROM:<soundstage@control-1>")
    assert mail["recipients"] == ["TO:<farm@example.org>"]
    place_certificate(farm.lab, "cpu-1", 200)
    eventually(lambda: mails_about("[RESOLVED] CertificateEnds"), "the mail of its end")


def test_a_webhook_that_answers_500_is_told_by_the_other_one(receiver: Receiver) -> None:
    receiver.wait_for("AlertsNotDelivered", integration="webhook")


def test_a_check_of_a_node_that_finds_something_is_told(farm: LabFarm, receiver: Receiver) -> None:
    shell(farm, "gpu-1", "chmod 0644 /etc/nomad.d/tls/agent-key.pem")
    receiver.wait_for("NodeUnhealthy", instance="gpu-1", code="machine.secret_open")
    shell(farm, "gpu-1", "chmod 0640 /etc/nomad.d/tls/agent-key.pem")


def test_a_disk_that_fills_and_one_that_is_full_are_told(farm: LabFarm, receiver: Receiver) -> None:
    free = "$(df --output=avail -k / | tail -n 1)"
    shell(farm, "gpu-1", f"fallocate --length $(({free} * 65 / 100))KiB /filler-1")
    receiver.wait_for("DiskFillsWithinDay", instance="gpu-1", mountpoint="/")
    shell(farm, "gpu-1", f"fallocate --length $(({free} * 97 / 100))KiB /filler-2")
    receiver.wait_for("DiskFull", instance="gpu-1", mountpoint="/")
    shell(farm, "gpu-1", "rm /filler-1 /filler-2")


def test_a_card_that_is_hot_and_one_that_fails_are_told(farm: LabFarm, receiver: Receiver) -> None:
    paths = farm.lab.paths.machine("gpu-1")
    cards = read_card_file(paths)
    write_card_file(paths, [{**card, "temperature_c": 93} for card in cards])
    receiver.wait_for("CardHot", instance="gpu-1", card=cards[0]["uuid"])
    write_card_file(paths, cards)
    farm.lab.inject_fault("gpu-1", "card-dead")
    receiver.wait_for("CardErrors", instance="gpu-1", card=cards[0]["uuid"])
    farm.lab.clear_fault("gpu-1")


def test_an_old_backup_is_told_from_what_its_program_has_written(farm: LabFarm, receiver: Receiver) -> None:
    ended = int(time.time()) - 27 * 3600
    line = f"soundstage_backup_last_success_timestamp_seconds {ended}"
    shell(farm, "cpu-1", f"echo '{line}' > {TEXTFILES}/test.prom")
    receiver.wait_for("BackupOld", instance="cpu-1")
    shell(farm, "cpu-1", f"rm {TEXTFILES}/test.prom")


def give_wrong_clock(farm: LabFarm, machine: str, unit: str) -> None:
    """Starts a unit anew that believes in a clock an hour ahead; the rest of the machine keeps its time."""
    command = shell(farm, machine, f"systemctl cat {unit} | grep ^ExecStart=/ | tail -n 1").removeprefix(
        "ExecStart="
    )
    override = f"/etc/systemd/system/{unit}.service.d/90-clock.conf"
    text = CLOCK.format(command=command)
    text += "Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1 FAKETIME=+1h\n"
    # Its helper follows the program, which the settings of Debian's unit would keep it from.
    text += "MemoryDenyWriteExecute=no\nSystemCallArchitectures=\nPrivateUsers=no\nRestrictNamespaces=no\n"
    shell(
        farm,
        machine,
        f"cat > {override} <<'END'\n{text}END\nsystemctl daemon-reload; systemctl restart {unit}",
    )


def give_right_clock(farm: LabFarm, machine: str, unit: str) -> None:
    override = f"/etc/systemd/system/{unit}.service.d/90-clock.conf"
    shell(farm, machine, f"rm {override}; systemctl daemon-reload; systemctl restart {unit}")


def test_a_clock_that_is_wrong_is_told(farm: LabFarm, receiver: Receiver) -> None:
    give_wrong_clock(farm, "cpu-1", "prometheus-node-exporter")
    alert = receiver.wait_for("ClockOff", instance="cpu-1")
    assert "1h 0m 0s off" in alert["annotations"]["summary"], alert
    give_right_clock(farm, "cpu-1", "prometheus-node-exporter")


def test_a_machine_that_loses_its_power_with_work_on_it_is_told(
    farm: LabFarm, prometheus: Prometheus, receiver: Receiver
) -> None:
    job = {
        "Job": {
            "ID": "busy",
            "Datacenters": ["*"],
            "Constraints": [{"LTarget": "${node.unique.name}", "RTarget": "gpu-1", "Operand": "="}],
            "TaskGroups": [
                {
                    "Name": "busy",
                    "Tasks": [
                        {
                            "Name": "busy",
                            "Driver": "raw_exec",
                            "Config": {"command": "sleep", "args": ["9999"]},
                        }
                    ],
                }
            ],
        }
    }
    token = ("X-Nomad-Token", farm.secret("nomad/management.token"))
    url = "https://10.77.0.11:4646/v1/jobs"
    done = farm.ask(url, *token, "--request", "PUT", "--data", json.dumps(job))
    assert done.returncode == 0, done.stderr
    running = 'max(nomad_client_allocations_running{instance="gpu-1"}) > 0'
    eventually(lambda: prometheus.query(running), "the work on gpu-1")
    farm.lab.power_off("gpu-1")
    alert = receiver.wait_for("NodeLostWithWork", instance="gpu-1")
    assert alert["labels"]["severity"] == "page"
    # One sentence for the machine, and none for each service on it.
    assert not [one for one in receiver.alerts("TargetDown") if one["labels"]["instance"] == "gpu-1"]
    farm.lab.power_on("gpu-1")
    waiting.eventually(
        lambda: receiver.alerts("NodeLostWithWork", "resolved"), "the end of the alert", 240, pause_s=0.5
    )


def test_one_service_that_does_not_answer_is_told(farm: LabFarm, receiver: Receiver) -> None:
    shell(farm, "cpu-1", "systemctl stop prometheus-node-exporter")
    receiver.wait_for("TargetDown", instance="cpu-1", job="node")
    shell(farm, "cpu-1", "systemctl start prometheus-node-exporter")


def signal_plugin(farm: LabFarm, machine: str, signal: str) -> None:
    """Sends a signal to the device plugin, which is a process of Nomad."""
    plugins = "$(grep -al 'gpu_device[_]plugin' /proc/[0-9]*/cmdline | cut -d/ -f3)"
    shell(farm, machine, f"kill -{signal} {plugins}")


def test_a_device_plugin_that_hangs_is_told_and_its_alert_ends_when_it_goes_on(
    farm: LabFarm, receiver: Receiver
) -> None:
    name, ago = "soundstage_cards_written_timestamp_seconds", int(time.time()) - 600
    signal_plugin(farm, "gpu-1", "STOP")
    # Ten minutes of its silence at once.
    shell(farm, "gpu-1", f"sed -i 's/^{name} .*/{name} {ago}/' {TEXTFILES}/soundstage-cards.prom")
    receiver.wait_for("CardFiguresOld", instance="gpu-1")
    signal_plugin(farm, "gpu-1", "CONT")
    eventually(lambda: receiver.alerts("CardFiguresOld", "resolved"), "the end of the alert")


def test_machines_that_were_healed_and_that_need_an_operator_are_told(
    farm: LabFarm, prometheus: Prometheus, receiver: Receiver
) -> None:
    # That a case of self-healing writes these: test_self_healing.py.
    cases, ended = "soundstage_healing_cases", "soundstage_healing_ended_total"
    healed = f'{ended}{{state="recovered",cause="silent"}}'

    def write(healed_cases: int, waiting_cases: int) -> None:
        lines = f'{healed} {healed_cases}\n{cases}{{state="needs_operator"}} {waiting_cases}\n'
        # In one step: node-exporter reads no half of it.
        text = f"printf %s '{lines}' > /tmp/healing; mv /tmp/healing {TEXTFILES}/healing.prom"
        shell(farm, "cpu-1", text)

    write(0, 0)
    eventually(lambda: prometheus.query(f"{healed} == 0"), "the counter before")
    write(1, 1)
    receiver.wait_for("MachineHealed")
    receiver.wait_for("MachineNeedsOperator")
    shell(farm, "cpu-1", f"rm {TEXTFILES}/healing.prom")


def test_a_wrong_clock_of_the_monitoring_machine_is_told_as_its_own(
    farm: LabFarm, prometheus: Prometheus, receiver: Receiver
) -> None:
    before = len(receiver.alerts("ClockOff"))
    give_wrong_clock(farm, SERVER, "prometheus")
    receiver.wait_for("MonitoringClockOff")
    assert len(receiver.alerts("ClockOff")) == before
    give_right_clock(farm, SERVER, "prometheus")
    # What it has stored of the future does not keep it from going on.
    # Alertmanager would hold alerts until they end by the wrong clock; the runbook says so.
    shell(farm, SERVER, "systemctl restart prometheus-alertmanager")
    eventually(lambda: prometheus.up() == TARGETS, "all targets")


def test_a_receiver_elsewhere_learns_that_prometheus_is_away(farm: LabFarm, receiver: Receiver) -> None:
    # Alertmanager was restarted: what it has not received again cannot end.
    beats = len(receiver.alerts("Watchdog", path="/heartbeat"))
    eventually(lambda: len(receiver.alerts("Watchdog", path="/heartbeat")) > beats, "the next heartbeat")
    ended = len(receiver.alerts("Watchdog", "resolved", "/heartbeat"))
    shell(farm, SERVER, "systemctl stop prometheus")
    waiting.eventually(
        lambda: len(receiver.alerts("Watchdog", "resolved", "/heartbeat")) > ended, "the end", 180, 0.5
    )
    shell(farm, SERVER, "systemctl start prometheus")
