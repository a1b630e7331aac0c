"""Drills: a worker falls silent, the card of one falls off the bus, and the golden frame of one fails. Each
is drained and power-cycled by its BMC, which mends the first two; the third is reinstalled within the budget.
Each returns after a good golden frame, while a spare works in its place.

Its BMC is a Redfish server in the lab's network that switches the lab's machine. A start from the network is
the exchange of the deploy agent on a bare machine: no disk image is written here, which tests/pxe does.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import waiting
import yaml
from api_farm_in_lab import ApiFarm, farm_by_the_api
from enrolling_in_lab import LabRamdisk
from farm_in_lab import Carried
from journey_inputs import FARM

sys.path.insert(0, str(Path(__file__).parents[1] / "provisioning_api"))

from redfish_double import PASSWORD, USER, Board, redfish_double

from lab.cards.catalogue import read_gpus
from lab.farm_in_a_box import Lab
from lab.inventory import OF_ROLES
from lab.network import inside
from lab.plan import machines_named

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.cached(*FARM, "provisioning_api", "soundstage", "policy", "bench/simulated_fleet"),
]
HEAD, FAILING, WORKING, SILENT, SPARE = "head", "worker-1", "worker-2", "worker-3", "spare-1"
NODES = (FAILING, WORKING, SILENT, SPARE)
AT_WORK = {FAILING, WORKING, SILENT}
eventually = partial(waiting.eventually, within_s=600, pause_s=0.5)
GOLDEN = "/opt/soundstage/worker/current/golden/frame.png"
# Another picture of the same size on its disk, which a power cycle does not mend; and the hour is over after
# which the golden frame is drawn again.
SPOIL = (
    # A look that runs meanwhile would write its memory again.
    "systemctl stop soundstage-health.timer soundstage-health.service && "
    "rm -f /var/lib/soundstage/health.json && /opt/soundstage/worker/current/bin/python -c "
    f"\"import cv2; cv2.imwrite('{GOLDEN}', cv2.flip(cv2.imread('{GOLDEN}'), 1))\""
    " && systemctl start soundstage-health.timer"
)
# As the plays of the site take a worker through its roles.
PLAYBOOK = [
    {"hosts": "all", "gather_facts": False, "roles": ["common", "ssh_hardening", "consul"]},
    {
        "hosts": "workers",
        "gather_facts": False,
        "vars": {"farm__look_again": False},
        "roles": ["gpu", "worker"],
    },
    {
        "hosts": "all",
        "gather_facts": False,
        "vars": {"farm__look_again": False},
        "roles": ["nomad", "health"],
    },
]
HEALING = {
    "LEVEL": "power",
    "REINSTALL": "within_budget",
    "WAIT_S": "3",
    "DRAIN_S": "30",
    "CHECK_S": "40",
    "RESTARTS": "1",
    "REINSTALLS_PER_DAY": "1",
    "SHARE_PERCENT": "50",
}


@dataclass
class LabBoard(Board):
    """The BMC of a machine of the lab: what is reset is really off and on."""

    lab: Lab | None = None
    machine: str = ""
    install: Callable[[], None] = lambda: None
    repair: Callable[[], None] = lambda: None
    """What a power cycle mends."""
    starts: list[str] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)

    def reset(self, kind: str) -> None:
        """Agrees at once; the machine takes its time."""
        super().reset(kind)
        source, self.boot = self.boot, "None"
        self.starts.append(source)
        threading.Thread(target=self._start, args=(source,)).start()

    def _start(self, source: str) -> None:
        assert self.lab is not None
        try:
            self.lab.power_off(self.machine)
            self.repair()
            if source == "Pxe":
                self.install()
            else:
                self.lab.power_on(self.machine)
        except BaseException as error:
            self.failed.append(error)
            raise


@pytest.fixture(scope="module")
def farm(
    lab_names: Callable[[str], Lab],
    engines: dict[str, Path],
    carried: Carried,
    baked_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ApiFarm]:
    """Five bare machines, and the API that may heal four of them."""
    folder, lab = tmp_path_factory.mktemp("healing"), lab_names("healing")
    lab.up(machines_named([HEAD, *NODES], read_gpus("0,0,rtx-4090,0,0")), layers=[baked_layer])
    secrets, address = folder / "secrets", lab.plan.machine(HEAD).address
    settings = {f"SOUNDSTAGE_PROVISIONING__HEALING__{name}": value for name, value in HEALING.items()}
    nomad = {
        "ADDRESS": f"https://{address}:4646",
        "CA_FILE": secrets / "tls/ca.pem",
        "CLIENT_CERT_FILE": secrets / "tls/operator.pem",
        "CLIENT_KEY_FILE": secrets / "tls/operator-key.pem",
    }
    settings |= {f"SOUNDSTAGE_FARM__NOMAD__{name}": str(value) for name, value in nomad.items()}
    settings |= {
        "SOUNDSTAGE_PROVISIONING__NOMAD_TOKEN_FILE": str(secrets / "nomad/tokens/provisioning.token"),
        "SOUNDSTAGE_PROVISIONING__POWER_NETWORKS": "127.0.0.0/8",
        "SOUNDSTAGE_PROVISIONING__PLAYBOOK": "worker.yaml",
    }
    of_cards = {name: value for name, value in OF_ROLES.items() if name.startswith("gpu__")}
    variables = carried.variables | {
        **of_cards,
        "ssh_hardening__authorized_keys": "keep",
        "nomad__drivers": ["raw_exec"],
        "health__every_s": 5,
        "health__drain_deadline_s": 5,
    }
    with farm_by_the_api(lab, folder, engines, variables, settings) as built:
        (built.project / "worker.yaml").write_text(yaml.safe_dump(PLAYBOOK))
        yield built


@pytest.fixture(scope="module")
def boards(farm: ApiFarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LabBoard]]:
    """The farm at work, and the BMCs of its machines."""
    lab, api = farm.lab, farm.api
    api.adopt(HEAD, ["control"])
    agents = {name: LabRamdisk(lab, api, name, farm.folder) for name in NODES}
    for name, agent in agents.items():
        started = agent.start()
        api.ask("POST", f"/api/machines/{started.machine_id}/accept", {"name": name, "code": started.code})
        agent.exchange()
    run = api.ask("POST", "/api/runs", {"machines": [HEAD, *NODES], "playbook": "worker.yaml"})
    ended = api.end_of(run["id"])
    assert ended["state"] == "succeeded", (ended, api.ask("GET", "/api/failures"))
    api.ask("PATCH", f"/api/machines/{SPARE}", {"tags": ["spare"]})

    def install(name: str) -> None:
        lab.replace(name)
        agents[name].start()
        agents[name].call_home(agents[name].exchange())

    boards = {
        name: LabBoard(f"SN-{name}", lab=lab, machine=name, install=partial(install, name))
        for name in sorted(AT_WORK)
    }
    with ExitStack() as stack:
        for name, board in boards.items():
            folder = tmp_path_factory.mktemp(f"bmc-{name}")
            serving = redfish_double(folder, board)
            inside(lab.paths, partial(stack.enter_context, serving))
            power = {"kind": "redfish", "url": board.url, "user": USER, "password": PASSWORD}
            power["certificate_sha256"] = board.certificate_sha256
            api.ask("PUT", f"/api/machines/{name}/power", {"power": power})
        yield boards


def nodes_at_work(farm: ApiFarm) -> set[str]:
    """Returns the nodes that take work, as Nomad's server says."""
    secrets = farm.folder / "secrets"
    token = (secrets / "nomad/management.token").read_text().strip()
    script = 'curl -sf --cacert "$0/ca.pem" --cert "$0/agent.pem" --key "$0/agent-key.pem"'
    script += " -H @- https://127.0.0.1:4646/v1/nodes"
    done = farm.lab.run(HEAD, ["sh", "-ec", script, "/etc/nomad.d/tls"], stdin=f"X-Nomad-Token: {token}\n")
    found = yaml.safe_load(done.stdout) or []
    well = ("ready", "eligible")
    return {one["Name"] for one in found if (one["Status"], one["SchedulingEligibility"]) == well}


def case(farm: ApiFarm, machine: str) -> dict[str, Any]:
    found = farm.api.ask("GET", f"/api/machines/{machine}/healing")
    return dict(found[0]) if found else {}


def seconds_of(case: dict[str, Any]) -> float:
    """Returns how long a case took from its finding to its end."""
    began, ended = (datetime.fromisoformat(case[name]) for name in ("created_at", "ended_at"))
    return (ended - began).total_seconds()


def wait_for_power_cycle(farm: ApiFarm, board: LabBoard, cause: str, within_s: float) -> dict[str, Any]:
    """Returns the case of a machine that one power cycle has healed, while the spare took its place."""
    spares: set[str | None] = set()

    def is_over() -> dict[str, Any] | None:
        one = case(farm, board.machine)
        spares.add(one.get("spare"))
        return one if one.get("state") in ("recovered", "needs_operator", "closed") else None

    found: Any = waiting.eventually(is_over, "the end of the case", within_s=within_s, pause_s=0.2)
    assert not board.failed, board.failed
    assert SPARE in spares and found["spare"] is None, "it goes back at the end"
    assert (found["state"], found["cause"]) == ("recovered", cause), found
    assert (found["restarts"], found["reinstalls"]) == (1, 0), found
    eventually(lambda: nodes_at_work(farm) == AT_WORK, "the spare in reserve again")
    assert board.starts == ["None"]
    return dict(found)


def test_a_silent_worker_comes_back_after_a_power_cycle(
    farm: ApiFarm, boards: dict[str, LabBoard], record_property: Callable[[str, object], None]
) -> None:
    eventually(lambda: nodes_at_work(farm) == AT_WORK, "the farm, with the spare in reserve")
    began = time.time()
    farm.lab.power_off(SILENT)
    found = wait_for_power_cycle(farm, boards[SILENT], "silent", 600)
    silent_s = datetime.fromisoformat(found["ended_at"]).timestamp() - began
    record_property("healed_s", round(seconds_of(found)))
    print(f"\nBack {silent_s:.0f} s after its power was cut, {seconds_of(found):.0f} s after it was found.")


def test_a_worker_whose_card_falls_off_the_bus_comes_back_after_a_power_cycle(
    farm: ApiFarm, boards: dict[str, LabBoard], record_property: Callable[[str, object], None]
) -> None:
    board = boards[WORKING]
    eventually(lambda: nodes_at_work(farm) == AT_WORK, "the farm, with the spare in reserve")
    board.repair = lambda: farm.lab.clear_fault(WORKING)
    farm.lab.inject_fault(WORKING, "card-dead")
    found = wait_for_power_cycle(farm, board, "checks", 300)
    assert "fallen off the bus" in found["finding"], found
    board.starts.clear()
    board.repair = lambda: None
    record_property("healed_s", round(seconds_of(found)))
    print(f"\n{found['finding']}: healed {seconds_of(found):.0f} s after it was found.")


def test_a_worker_whose_golden_frame_fails_comes_back_reinstalled_while_a_spare_works(
    farm: ApiFarm, boards: dict[str, LabBoard], record_property: Callable[[str, object], None]
) -> None:
    board = boards[FAILING]
    eventually(lambda: nodes_at_work(farm) == AT_WORK, "the farm, with the spare in reserve")
    done = farm.lab.run(FAILING, ["sh", "-ec", SPOIL])
    assert done.returncode == 0, done.stderr
    began = time.monotonic()
    seen: dict[str, float] = {}
    spares: set[str | None] = set()
    spare_s = 0.0

    def is_over() -> bool:
        nonlocal spare_s
        assert not board.failed, board.failed
        found = case(farm, FAILING)
        state = found.get("state", "")
        if state:
            seen.setdefault(state, time.monotonic() - began)
            spares.add(found["spare"])
        working = nodes_at_work(farm)
        if state not in ("", "waiting", "recovered"):
            assert FAILING not in working or state == "reinstalling", "it takes no work before it is well"
        if not spare_s and SPARE in working:
            spare_s = time.monotonic() - began
        return state in ("recovered", "needs_operator", "closed")

    waiting.eventually(is_over, "the end of the case", within_s=900, pause_s=0.5)
    found = case(farm, FAILING)
    assert found["state"] == "recovered", (found, seen)
    assert (found["cause"], found["restarts"], found["reinstalls"]) == ("checks", 1, 1)
    assert "golden" in found["finding"], found
    assert SPARE in spares and spare_s and found["spare"] is None, "it goes back at the end"
    assert board.starts == ["None", "Pxe"], "a power cycle, then a start from the network"
    # The drain may be over before it is looked for.
    assert {"checking", "reinstalling", "recovered"} <= seen.keys()
    assert farm.lab.run(FAILING, ["test", "-e", "/run/soundstage-health/passed"]).returncode == 0
    eventually(lambda: nodes_at_work(farm) == AT_WORK, "the spare in reserve again")
    record_property("healed_s", round(seconds_of(found)))
    print("\n" + ", ".join(f"{state} after {seconds:.0f} s" for state, seconds in seen.items()))
    print(f"The spare worked after {spare_s:.0f} s; healed {seconds_of(found):.0f} s after it was found.")


def test_a_second_machine_is_not_reinstalled_when_the_budget_of_the_day_is_used_up(
    farm: ApiFarm, boards: dict[str, LabBoard]
) -> None:
    assert farm.lab.run(WORKING, ["sh", "-ec", SPOIL]).returncode == 0
    found: Any = eventually(
        lambda: (one := case(farm, WORKING)).get("state") == "needs_operator" and one, "the end of the budget"
    )
    assert (found["restarts"], found["reinstalls"], found["consent"]) == (0, 0, "reinstall"), found
    assert "budget of 1 reinstallations per day" in found["reason"], found
    # Its power cycle was used up by its card.
    assert found["plan"]["steps"] and not boards[WORKING].starts, "nothing was written"
    eventually(lambda: nodes_at_work(farm) == {FAILING, SILENT, SPARE}, "the spare in its place")
    # The spare's own case, which its start as a node opens, ends by itself.
    eventually(
        lambda: [one["machine"] for one in farm.api.ask("GET", "/api/healing")] == [WORKING], "one open case"
    )
    # The alerts MachineHealed and MachineNeedsOperator read these.
    healed = re.findall(
        r'(?m)^soundstage_healing_ended_total{.*"recovered".*} (.+)$', farm.api.read("GET", "/metrics")
    )
    assert sum(map(float, healed)) >= 3
    shown = re.findall(
        r'(?m)^soundstage_healing_cases{.*"needs_operator".*} (.+)$', farm.api.read("GET", "/metrics")
    )
    assert [float(value) for value in shown] == [1.0]
