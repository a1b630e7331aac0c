"""A machine that was enrolled joins the secured farm with what its enrolment brought, and with nothing else;
when it is retired, that is worth nothing any more.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import waiting
from api_farm_in_lab import ApiFarm, farm_by_the_api
from enrolling_in_lab import enrol
from journey_inputs import FARM

from lab.farm_in_a_box import Lab
from lab.plan import machines_named

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.cached(*FARM, "provisioning_api", "soundstage", "policy", "bench/simulated_fleet"),
]
PATIENCE_S = 180
CONSUL, NOMAD = ("https://127.0.0.1:8501", "X-Consul-Token"), ("https://127.0.0.1:4646", "X-Nomad-Token")
eventually = partial(waiting.eventually, within_s=PATIENCE_S, pause_s=0.5)


class SecuredFarm:
    """The farm by the API, whose Consul and Nomad can be asked by its administrator."""

    def __init__(self, farm: ApiFarm) -> None:
        self.farm = farm
        self.secrets = farm.folder / "secrets"

    def ask(self, engine: tuple[str, str], path: str, token: str, at: str = "head") -> tuple[int, Any]:
        """Status and answer of an agent to a token; with the certificate of the farm's operator."""
        url = engine[0].replace("127.0.0.1", self.farm.lab.plan.machine(at).address)
        tls = self.secrets / "tls"
        words = ["curl", "--silent", "--max-time", "30", "--noproxy", "*", "--cacert", tls / "ca.pem"]
        words += ["--cert", tls / "operator.pem", "--key", tls / "operator-key.pem", "--header", "@-"]
        command = self.farm.lab.entering([*map(str, words), "--write-out", "\n%{http_code}", url + path])
        done = subprocess.run(command, input=f"{engine[1]}: {token}\n", capture_output=True, text=True)
        text, _, status = done.stdout.rpartition("\n")
        try:
            return int(status), json.loads(text)
        except ValueError:
            return int(status), text

    def administrator(self, engine: tuple[str, str], path: str) -> Any:
        name = "consul" if engine is CONSUL else "nomad"
        status, found = self.ask(engine, path, (self.secrets / name / "management.token").read_text().strip())
        assert status == 200, (status, found)
        return found

    def node(self, name: str) -> dict[str, Any] | None:
        """As Nomad's servers know it."""
        found = self.administrator(NOMAD, "/v1/nodes")
        return next((one for one in found if one["Name"] == name), None)

    def holds(self, token: str) -> bool:
        """Whether Consul knows a token."""
        return self.ask(CONSUL, "/v1/acl/token/self", token)[0] == 200

    def on(self, machine: str, script: str) -> str:
        """What a script prints there."""
        done = self.farm.lab.run(machine, ["sh", "-ec", script])
        assert done.returncode == 0, done.stderr
        return str(done.stdout)


@pytest.fixture(scope="module")
def secured(
    lab_names: Callable[[str], Lab], engines: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredFarm]:
    """A control machine that runs, with servers that let in no client without an introduction; and `hand`,
    bare."""
    folder, lab = tmp_path_factory.mktemp("enrolled"), lab_names("enrolled")
    lab.up(machines_named(["head", "hand"]))
    head, secrets = lab.plan.machine("head").address, folder / "secrets"
    own = {
        "CONSUL_ADDRESS": f"https://{head}:8501",
        "CONSUL_TOKEN_FILE": secrets / "consul/tokens/provisioning.token",
        "CONSUL_POLICIES": "dns,nomad-client",
        "CONSUL_CA_FILE": secrets / "tls/ca.pem",
        "CONSUL_CLIENT_CERT_FILE": secrets / "tls/operator.pem",
        "CONSUL_CLIENT_KEY_FILE": secrets / "tls/operator-key.pem",
        "NOMAD_TOKEN_FILE": secrets / "nomad/tokens/provisioning.token",
    }
    nomad = {
        "ADDRESS": f"https://{head}:4646",
        "CA_FILE": secrets / "tls/ca.pem",
        "CLIENT_CERT_FILE": secrets / "tls/operator.pem",
        "CLIENT_KEY_FILE": secrets / "tls/operator-key.pem",
    }
    environment = {f"SOUNDSTAGE_PROVISIONING__{name}": str(value) for name, value in own.items()}
    environment |= {f"SOUNDSTAGE_FARM__NOMAD__{name}": str(value) for name, value in nomad.items()}
    given = {"nomad__client_introduction": "strict", "ssh_hardening__authorized_keys": "keep"}
    with farm_by_the_api(lab, folder, engines, given, environment) as farm:
        farm.api.adopt("head", ["control"])
        farm.configured("head")
        yield SecuredFarm(farm)


def test_an_enrolled_machine_joins_with_its_own_and_a_retired_one_is_locked_out(secured: SecuredFarm) -> None:
    farm = secured.farm
    member = enrol(farm.lab, farm.api, "hand", farm.folder)
    token = member["consul"]["agent_token"]
    assert token and member["nomad"]["introduction_token"]
    farm.configured("head", "hand")

    # Nomad's servers are strict: only the introduction of its enrolment lets this client in.
    eventually(lambda: (secured.node("hand") or {}).get("Status") == "ready", "hand joins Nomad")
    known = {one["Description"] for one in secured.administrator(CONSUL, "/v1/acl/tokens")}
    assert "Soundstage: the agent of hand" in known
    assert not known & {"agent of hand", "Nomad of hand"}, "the roles made it none of their own"
    services = secured.administrator(CONSUL, "/v1/catalog/node/hand")["Services"]
    assert any(one["Service"] == "nomad-client" for one in services.values()), services
    of_head = secured.administrator(CONSUL, "/v1/catalog/node/head")
    assert of_head is not None
    assert token in secured.on("hand", "cat /etc/consul.d/enrolled.json /etc/nomad.d/enrolled.json")
    assert secured.on("hand", "stat -c '%a %U %G' /etc/consul.d/enrolled.json").strip() == "640 root consul"
    assert token not in secured.on("hand", "cat /etc/consul.d/secrets.hcl /etc/nomad.d/secrets.hcl")
    assert secured.on("hand", "getent hosts nomad.service.consul"), "names come with the same token"

    again = farm.configured("head", "hand")
    assert [one for one in again["machines"] if one.get("changed")] == [], again

    # A machine whose own engines file lost the token asks for another; the one before ends.
    secured.on(
        "hand", 'sed -i \'s/"agent_token": "[^"]*"/"agent_token": null/\' /etc/soundstage/engines.json'
    )
    secured.on("hand", "systemctl restart consul && systemctl restart nomad")
    another = json.loads(secured.on("hand", "cat /etc/soundstage/engines.json"))["consul"]["agent_token"]
    assert another not in (None, token) and secured.holds(another)
    eventually(lambda: not secured.holds(token), "the token before ends")

    farm.api.ask("POST", "/api/machines/hand/retire", {"confirm": "hand", "wipe": False})
    eventually(lambda: not secured.holds(another), "Consul forgets the token of a retired machine")
    node = secured.node("hand")
    assert node is not None and node["SchedulingEligibility"] == "ineligible"
    # It still runs, and tries: Consul's servers take nothing from it any more, and we give it nothing new.
    lookup = "curl -sk -o /dev/null -w %{http_code} --cert /etc/nomad.d/tls/agent.pem"
    lookup += " --key /etc/nomad.d/tls/agent-key.pem https://127.0.0.1:8501/v1/catalog/nodes"
    header = f"-H 'X-Consul-Token: {another}'"
    eventually(lambda: secured.on("hand", f"{lookup} {header}") == "403", "its own agent refuses the token")
    ask = "/usr/bin/python3 -I /usr/local/lib/soundstage/engine_identity.py nomad --introduce"
    said = secured.on("hand", f"{ask} --client-dir /var/lib/nomad/client 2>&1 || true")
    secured.on(
        "hand", 'sed -i \'s/"agent_token": "[^"]*"/"agent_token": null/\' /etc/soundstage/engines.json'
    )
    said += secured.on("hand", "systemctl restart consul 2>&1 || journalctl -u consul -n 20 -o cat")
    assert "machine.bad_token" in said, said
