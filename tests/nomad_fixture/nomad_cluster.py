"""A real Nomad on loopback for tests: one server and any number of clients with fake cards.

To use it, a room's conftest says

    sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))
    from nomad_cluster import nomad_clusters  # a session fixture that makes clusters and takes them down

and a fixture or test calls `nomad_clusters("farm")` and then `add_client(...)`. It needs root (Nomad's
client does), the Nomad program (`tools/build nomad`) and the environment of farm/device_plugin; only the
standard library and pytest are imported, so that every environment of this project can use it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from leftovers import MARK, clear_away, environments
from ports import free_ports
from waiting import eventually

_ROOT = Path(__file__).resolve().parents[2]
_PLUGIN = _ROOT / "farm" / "device_plugin" / ".venv" / "bin" / "gpu-device-plugin"
PLUGIN_NAME = "soundstage-gpu"


class FakeCards:
    """The file from which a device plugin reads its cards; the server sees changes within about 10 s."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def set(self, cards: Iterable[Mapping[str, Any]]) -> None:
        """Each card: `uuid`, `model`, `memory_mib`; `fault`, `used_mib` if wanted."""
        staging = self.path.with_suffix(".new")
        staging.write_text(json.dumps(list(cards)))
        staging.replace(self.path)

    def change(self, uuid: str, **fields: Any) -> None:
        """`change(uuid, fault="fell off the bus")`, `change(uuid, memory_mib=8192)`."""
        self.set({**card, **fields} if card["uuid"] == uuid else card for card in self._now())

    def remove(self, uuid: str) -> None:
        self.set(card for card in self._now() if card["uuid"] != uuid)

    def _now(self) -> list[dict[str, Any]]:
        cards: list[dict[str, Any]] = json.loads(self.path.read_text())
        return cards


class NomadAgent:
    """One agent process. `get`, `put`, `delete` speak to its HTTP API."""

    def __init__(self, name: str, folder: Path, config: dict[str, Any]) -> None:
        self.name = name
        self.folder = folder
        self.data_dir = folder / "data"
        ports = free_ports(3)
        self.address = f"http://127.0.0.1:{ports[0]}"
        self.rpc_address = f"127.0.0.1:{ports[1]}"
        self.log_file = folder / "agent.log"
        self._config_file = folder / "agent.json"
        folder.mkdir(parents=True)
        self._config_file.write_text(
            json.dumps(
                {
                    "name": name,
                    "data_dir": str(self.data_dir),
                    "bind_addr": "127.0.0.1",
                    "advertise": dict.fromkeys(("http", "rpc", "serf"), "127.0.0.1"),
                    "ports": dict(zip(("http", "rpc", "serf"), ports, strict=True)),
                    "log_level": "DEBUG",
                    "disable_update_check": True,
                    "consul": {"client_auto_join": False, "server_auto_join": False, "auto_advertise": False},
                    **config,
                },
                indent=1,
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"the agent {self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait until its API answers."""
        # Cloud variables make the agent look for clouds, and some stop it.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment[MARK] = str(self.folder)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [nomad_program(), "agent", "-config", str(self._config_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        eventually(lambda: self._ready(), f"the agent {self.name} to answer; its log: {self.log_file}", 120)

    def kill(self) -> None:
        """As `kill -9` does it: nothing is tidied up, tasks run on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """In good order; tasks run on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def put(self, path: str, body: Any = None) -> Any:
        return self._call("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else None

    def _ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"the agent {self.name} ended:\n{self.log()[-3000:]}")
        try:
            return bool(self.get("/v1/status/leader"))
        except (OSError, urllib.error.URLError):
            return False


class NomadClient(NomadAgent):
    """A client agent: its node, its fake cards, its plugin process."""

    def __init__(self, name: str, folder: Path, config: dict[str, Any], cards: FakeCards) -> None:
        super().__init__(name, folder, config)
        self.cards = cards
        self.plugin_state = folder / "gpu"

    @property
    def node_id(self) -> str:
        return str(self.get("/v1/agent/self")["stats"]["client"]["node_id"])

    def plugin_pids(self) -> list[int]:
        """The plugin processes of this agent, whether it lives or not; more than one only while it starts."""
        mark = f"PWD={self.folder}"
        return [pid for pid, environment in environments() if mark in environment and _is_plugin(pid)]

    def _ready(self) -> bool:
        with suppress(KeyError):  # it answers before it is a node
            return super()._ready() and bool(self.node_id)
        return False


class NomadCluster:
    """One server and its clients. `server` answers for the whole cluster."""

    def __init__(
        self,
        folder: Path,
        server_options: Mapping[str, Any] | None = None,
        *,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        if os.geteuid() != 0:
            pytest.skip("a Nomad client needs root: sudo make test")
        if not _PLUGIN.exists():
            pytest.fail(f"{_PLUGIN} is missing: (cd farm/device_plugin && uv sync --locked)")
        self._folder = folder
        self.clients: dict[str, NomadClient] = {}
        options = {
            "enabled": True,
            "bootstrap_expect": 1,
            "event_buffer_size": 1000,
            **(server_options or {}),
        }
        config = {"server": options, "limits": dict(limits or {})}
        self.server = NomadAgent("server", folder / "server", config)

    def start(self) -> NomadCluster:
        self.server.start()
        eventually(self._keeps_variables, "the server to have the key that seals variables", 60)
        return self

    def add_client(
        self,
        name: str,
        cards: Iterable[Mapping[str, Any]] = (),
        *,
        share_mib: int = 0,
        node_pool: str = "default",
        memory_mib: int = 4096,
        plugin: Mapping[str, Any] | None = None,
        client: Mapping[str, Any] | None = None,
    ) -> NomadClient:
        """Start a client and wait until its node is ready and its cards are announced.

        `plugin` overrides settings of the device plugin (then its cards are not waited for), `client` those
        of the agent's client block.
        """
        folder = self._folder / name
        plugins = self._folder / f"{name}-plugins"
        plugins.mkdir()
        program = plugins / PLUGIN_NAME
        # The folder is handed on as PWD, by which `plugin_pids` knows whose plugin a process is.
        program.write_text(f"#!/bin/sh\ncd {folder} && export PWD\nexec {_PLUGIN}\n")
        program.chmod(0o755)
        fake_cards = FakeCards(self._folder / f"{name}-cards.json")
        fake_cards.set(cards)
        agent = NomadClient(
            name,
            folder,
            {
                "plugin_dir": str(plugins),
                "client": {
                    "enabled": True,
                    "node_pool": node_pool,
                    "server_join": {"retry_join": [self.server.rpc_address], "retry_interval": "1s"},
                    # Every client sees the whole machine, and would offer all of it.
                    "memory_total_mb": memory_mib,
                    "cpu_total_compute": 4000,
                    # No clouds, no engines of others on this machine, and only the driver that the tests use.
                    "options": {
                        "fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean,cni,consul,vault",
                        "driver.allowlist": "raw_exec",
                    },
                    **(client or {}),
                },
                "plugin": {
                    "raw_exec": {"config": {"enabled": True}},
                    PLUGIN_NAME: {
                        "config": {
                            "source": "fake",
                            "fake_cards": str(fake_cards.path),
                            "fingerprint_period": "500ms",
                            "share_mib": share_mib,
                            "state_dir": str(folder / "gpu"),
                            **(plugin or {}),
                        }
                    },
                },
            },
            fake_cards,
        )
        self.clients[name] = agent
        agent.start()
        self.wait_until_ready(agent)
        if fake_cards._now() and not plugin:
            eventually(lambda: self.devices(agent), f"the cards of {name} to be announced", 120)
        return agent

    def wait_until_ready(self, client: NomadClient) -> None:
        """Until the server may place tasks on this client."""
        node = f"/v1/node/{client.node_id}"
        eventually(
            lambda: self._get_or_none(node, "Status") == "ready", f"the node {client.name} to be ready", 120
        )

    def devices(self, client: NomadClient) -> dict[str, Any]:
        """What the server knows: {group name: {"attributes": {...}, "instances": {id: healthy}}}."""
        groups = self.server.get(f"/v1/node/{client.node_id}")["NodeResources"]["Devices"] or []
        return {
            group["Name"]: {
                "attributes": {
                    name: next(value for value in attribute.values() if value not in (None, ""))
                    for name, attribute in (group["Attributes"] or {}).items()
                },
                "instances": {one["ID"]: one["Healthy"] for one in group["Instances"]},
            }
            for group in groups
        }

    def run(self, job: Mapping[str, Any]) -> str:
        """Register a job (the JSON form, without the outer `Job`) and return the id of its evaluation."""
        return str(self.server.put("/v1/jobs", {"Job": job})["EvalID"])

    def allocations(self, job_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.get(f"/v1/job/{job_id}/allocations")
        return found

    def take_down(self) -> None:
        """Stop all jobs, then all agents, then whatever is left of theirs."""
        with suppress(
            OSError, AssertionError
        ):  # a server that a test has killed; what is left is ended below
            self._stop_jobs()
        agents = [*self.clients.values(), self.server]
        for agent in agents:
            agent.stop()
        clear_away(self._folder)

    def _stop_jobs(self) -> None:
        for job in self.server.get("/v1/jobs"):
            self.server.delete(f"/v1/job/{job['ID']}?purge=true")
        done = {"complete", "failed", "lost"}
        eventually(
            lambda: all(one["ClientStatus"] in done for one in self.server.get("/v1/allocations")),
            "tasks to end",
            10,
        )

    def _keeps_variables(self) -> bool:
        """The first leader answers before it has made its keyring."""
        try:
            self.server.put("/v1/var/first", {"Path": "first", "Items": {"is": "sealed"}})
        except urllib.error.HTTPError:
            return False
        self.server.delete("/v1/var/first")
        return True

    def _get_or_none(self, path: str, field: str) -> Any:
        try:
            return self.server.get(path)[field]
        except urllib.error.HTTPError:
            return None


@pytest.fixture(scope="session")
def nomad_clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., NomadCluster]]:
    """Makes clusters: `nomad_clusters(name, server_options={...})`. All are taken down at the end."""
    made: list[NomadCluster] = []

    def make(name: str, server_options: Mapping[str, Any] | None = None) -> NomadCluster:
        made.append(NomadCluster(tmp_path_factory.mktemp(name), server_options))
        return made[-1].start()

    yield make
    for cluster in made:
        cluster.take_down()


def engine_program(engine: str) -> str:
    """Where the program of an engine (`nomad`, `consul`) is; built when it is not in the cache (minutes).

    Without Go there is nothing to build it with, and the test is skipped.
    """
    built = subprocess.run([_ROOT / "tools" / "build", engine], capture_output=True, text=True)
    if built.returncode != 0 and shutil.which("go") is None:
        pytest.skip(f"needs {engine}: install Go 1.26 (https://go.dev/dl), then run `make tools`")
    built.check_returncode()
    return built.stdout.strip().split("\t")[1]


def nomad_program() -> str:
    """Where the Nomad program is."""
    return engine_program("nomad")


def _is_plugin(pid: int) -> bool:
    try:
        return "gpu-device-plugin" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
