"""A run on a farm that stands: roles leave alone what is as they declare it, and repair what is not."""

from __future__ import annotations

import pytest
from farm_in_lab import LabFarm, Run
from journey_inputs import FARM

pytestmark = [pytest.mark.root, pytest.mark.timeout(1200), pytest.mark.cached(*FARM)]
ADDRESS = "10.77.0.11"
MACHINES = ("control-1", "cpu-1", "gpu-1", "gpu-2")
BASE = "common,ssh,consul,nomad"
# What somebody does by hand on a worker, and the command that succeeds when it is repaired.
DAMAGE = {
    "a file of the base system": (
        "echo '# by hand' >> /etc/nftables.conf",
        "! grep -q by.hand /etc/nftables.conf",
    ),
    "the mode of a secret": (
        "chmod 644 /etc/consul.d/secrets.hcl",
        "stat -c %a /etc/consul.d/secrets.hcl | grep -qx 640",
    ),
    "a name of a machine": ("sed -i /control-1/d /etc/hosts", "grep -q control-1 /etc/hosts"),
    "what SSH refuses": (
        "rm /etc/ssh/sshd_config.d/05-*",
        "test -s /etc/ssh/sshd_config.d/05-soundstage-close.conf",
    ),
    "a service that was stopped": ("systemctl stop consul", "systemctl is-active consul"),
    "a service that is not started at boot": ("systemctl disable nomad", "systemctl is-enabled nomad"),
    "rules of the firewall that somebody has taken out of the kernel": (
        "nft delete table inet soundstage",
        "nft list chain inet soundstage input",
    ),
    "a service that runs with older files": (
        "touch /etc/systemd/journald.conf.d/50-soundstage.conf",
        "test $(( $(stat -c %Y /etc/systemd/journald.conf.d/50-soundstage.conf) )) -le"
        ' $(date -d "$(systemctl show -P ExecMainStartTimestamp systemd-journald)" +%s)',
    ),
    "a link to a program": ("ln -sfn /bin/true /usr/local/bin/nomad", "nomad version | grep -q Nomad"),
}


@pytest.fixture(scope="module")
def ready(farm: LabFarm) -> LabFarm:
    """Returns the farm, set up by a test before or now; each test leaves it so."""
    if farm.takes_work(ADDRESS) != set(MACHINES[1:]):
        farm.converge("--tags", BASE)
    return farm


def steps(run: Run) -> list[str]:
    return [line for line in run.output.splitlines() if line.startswith("TASK [")]


def test_no_step_of_a_role_is_gone_through_where_nothing_differs(ready: LabFarm) -> None:
    again = ready.converge("--tags", BASE)
    assert again.changed() == 0
    assert not [step for step in steps(again) if "Place " in step or "Install " in step], steps(again)
    assert [step for step in steps(again) if "Bootstrap access control" in step], "rights are still looked at"


@pytest.mark.slow
def test_every_step_is_gone_through_where_an_operator_asks_for_it(ready: LabFarm) -> None:
    again = ready.converge("--tags", BASE, farm__compare=False)
    assert again.changed() == 0, again.output[-4000:]
    assert [step for step in steps(again) if "Place what may be seen" in step]


def test_what_was_changed_by_hand_is_repaired_on_that_machine_alone(ready: LabFarm) -> None:
    for what, (by_hand, _) in DAMAGE.items():
        done = ready.on("cpu-1", "sh", "-c", by_hand)
        assert done.returncode == 0, (what, done.stderr)
    dry_run = ready.converge("--tags", BASE, "--check", "--diff", "--limit", "cpu-1")
    assert dry_run.count("cpu-1", "changed") > 0
    assert "-# by hand" in dry_run.output
    repaired = ready.converge("--tags", BASE)
    changed = [machine for machine in MACHINES if repaired.count(machine, "changed")]
    assert changed == ["cpu-1"], repaired.output[-4000:]
    for what, (_, is_repaired) in DAMAGE.items():
        assert ready.on("cpu-1", "sh", "-c", is_repaired).returncode == 0, what
    assert ready.converge("--tags", BASE, "--limit", "cpu-1").changed() == 0


@pytest.mark.slow
def test_a_service_is_started_anew_when_a_run_was_cut_off_before_it_could(ready: LabFarm) -> None:
    def process() -> str:
        return ready.on("cpu-1", "systemctl", "show", "-P", "MainPID", "consul").stdout

    before = process()
    ready.on("cpu-1", "touch", "/etc/consul.d/consul.hcl")  # as a run that placed it and was killed
    assert ready.converge("--tags", BASE).count("cpu-1", "changed") > 0
    assert process() != before
    assert ready.converge("--tags", BASE).changed() == 0
