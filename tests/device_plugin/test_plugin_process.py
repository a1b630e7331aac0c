"""The plugin as a process, with the test in the place of the agent: handshake, calls, and how it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import grpc
import msgpack
import pytest
from gpu_device_plugin.serve import sweep_sockets
from gpu_device_plugin.wire import base_pb2, device_pb2, go_plugin_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

COOKIE = {"NOMAD_PLUGIN_MAGIC_COOKIE": "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255"}
COMMAND = [sys.executable, "-m", "gpu_device_plugin"]
BASE = "/hashicorp.nomad.plugins.base.proto.BasePlugin/"
DEVICE = "/hashicorp.nomad.plugins.device.DevicePlugin/"
CARD = {"uuid": "GPU-a", "model": "NVIDIA L4", "memory_mib": 23034, "used_mib": 300}


class Plugin:
    """A running plugin and the calls that an agent makes."""

    def __init__(self, folder: Path, command: Sequence[str] = COMMAND) -> None:
        self.folder = folder
        self.cards = folder / "cards.json"
        self.cards.write_text(json.dumps([CARD]))
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **COOKIE, "PLUGIN_UNIX_SOCKET_DIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.line = line_within(self.process, 60)
        self.socket = Path(self.line.split("|")[3])
        self.channel = grpc.insecure_channel(f"unix:{self.socket}")

    def unary(self, method: str, request: object, answer: type) -> object:
        call = self.channel.unary_unary(
            method,
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return call(request, timeout=60)

    def stream(self, method: str, request: object, answer: type) -> Iterator:
        call = self.channel.unary_stream(
            method,
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return call(request, timeout=120)

    def configure(self, **settings: object) -> None:
        values = {
            "source": "fake",
            "fake_cards": str(self.cards),
            "fingerprint_period": "100ms",
            "state_dir": str(self.folder / "state"),
            **settings,
        }
        self.set_config(msgpack.packb(values))

    def set_config(self, packed: bytes) -> None:
        self.unary(
            BASE + "SetConfig", base_pb2.SetConfigRequest(msgpack_config=packed), base_pb2.SetConfigResponse
        )

    def announcements(self) -> Iterator[device_pb2.FingerprintResponse]:
        return self.stream(
            DEVICE + "Fingerprint", device_pb2.FingerprintRequest(), device_pb2.FingerprintResponse
        )

    def end(self) -> None:
        self.channel.close()
        self.process.kill()
        self.process.wait()


def line_within(process: subprocess.Popen[str], timeout_s: float) -> str:
    ready, _, _ = select.select([process.stdout], [], [], timeout_s)
    assert ready and process.stdout, "no handshake line"
    return process.stdout.readline().rstrip("\n")


def within(timeout_s: float, check: Callable[[], bool]) -> None:
    end = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < end, f"waited {timeout_s} s in vain"
        time.sleep(0.05)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: a socket lies in it, whose path may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        yield Path(folder)


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Plugin]:
    plugin = Plugin(tmp_path)
    yield plugin
    plugin.end()


def test_a_person_who_starts_it_is_told_what_it_is() -> None:
    process = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert "usage: gpu-device-plugin" in process.stderr


def test_the_handshake_and_the_health_service_are_those_of_go_plugin(plugin: Plugin) -> None:
    assert plugin.line == f"1|2|unix|{plugin.socket}|grpc|"
    assert plugin.socket.parent.stat().st_mode & 0o777 == 0o700
    health = health_pb2_grpc.HealthStub(plugin.channel).Check(health_pb2.HealthCheckRequest(service="plugin"))
    assert health.status == health_pb2.HealthCheckResponse.SERVING


def test_it_says_that_it_is_a_device_plugin(plugin: Plugin) -> None:
    info = plugin.unary(BASE + "PluginInfo", base_pb2.PluginInfoRequest(), base_pb2.PluginInfoResponse)
    assert (info.type, list(info.plugin_api_versions), info.name) == (3, ["v0.1.0"], "soundstage-gpu")


def test_cards_are_announced_at_once_and_again_only_when_something_changes(plugin: Plugin) -> None:
    plugin.configure()
    plugin.configure()  # the agent sends it twice
    announcements = plugin.announcements()
    first = next(announcements).device_group
    assert [(g.device_name, [d.id for d in g.devices]) for g in first] == [("NVIDIA L4", ["GPU-a"])]
    plugin.cards.write_text(json.dumps([{**CARD, "used_mib": 9000}]))
    time.sleep(1.5)  # memory in use is statistics, no news
    plugin.cards.write_text(json.dumps([{**CARD, "fault": "hot"}]))
    (device,) = next(announcements).device_group[0].devices
    assert (device.healthy, device.health_description) == (False, "hot")
    plugin.cards.write_text("[]")
    assert list(next(announcements).device_group) == []


def test_figures_of_cards_are_written_for_node_exporter(plugin: Plugin) -> None:
    folder = plugin.folder / "node-exporter"
    folder.mkdir()
    hot = {"temperature_c": 93, "power_w": 70, "gpu_load_pct": 41, "ecc_corrected": 2, "ecc_uncorrected": 1}
    plugin.cards.write_text(json.dumps([{**CARD, **hot}]))
    plugin.configure(metrics_dir=str(folder))
    announcements = plugin.announcements()
    next(announcements)
    file = folder / "soundstage-cards.prom"

    def file_value(name: str, labels: str = "") -> float | None:
        """Returns the value of the sample whose labels contain `labels`."""
        lines = file.read_text().splitlines()
        return next(
            (float(x.split()[-1]) for x in lines if x.startswith(f"soundstage_{name}") and labels in x), None
        )

    within(10, lambda: file.exists() and file_value("card_temperature_celsius") == 93)
    assert file_value("card_healthy", 'card="GPU-a",model="NVIDIA L4"') == 1
    assert (file_value("card_power_watts"), file_value("card_load_ratio")) == (70, 0.41)
    assert file_value("card_memory_bytes") == 23034 << 20
    assert file_value("card_memory_used_bytes") == 300 << 20
    assert file_value("card_ecc_errors", 'kind="corrected"') == 2
    assert file_value("card_ecc_errors", 'kind="uncorrected"') == 1
    assert abs((file_value("cards_written_timestamp_seconds") or 0) - time.time()) < 60
    assert [path.name for path in folder.iterdir()] == [file.name]

    plugin.cards.write_text(json.dumps([{**CARD, **hot, "fault": "fell off the bus"}]))
    next(announcements)
    within(10, lambda: file_value("card_healthy") == 0)
    assert file_value("card_temperature_celsius") is None, "what it said before is old"


@pytest.mark.parametrize("packed", [b"", b"\xc1", msgpack.packb({"share_mib": 3}), msgpack.packb([1])])
def test_any_configuration_is_taken_and_the_stream_stays_open(plugin: Plugin, packed: bytes) -> None:
    # No real cards in this test: a machine with an NVIDIA driver would announce its own for the empty one.
    plugin.set_config(packed or msgpack.packb({"enabled": False}))
    announcements = plugin.announcements()
    assert list(next(announcements).device_group) == []
    plugin.configure()
    assert len(next(announcements).device_group) == 1


def test_a_task_gets_its_card_or_a_reason(plugin: Plugin) -> None:
    plugin.configure()
    next(plugin.announcements())

    def reserve(device: str) -> device_pb2.ReserveResponse:
        return plugin.unary(
            DEVICE + "Reserve", device_pb2.ReserveRequest(device_ids=[device]), device_pb2.ReserveResponse
        )

    assert dict(reserve("GPU-a").container_res.envs)["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    with pytest.raises(grpc.RpcError) as refused:
        reserve("GPU-b")
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert refused.value.details() == "card GPU-b is gone from this node"


def test_the_first_call_after_a_restart_may_be_a_reservation(tmp_path: Path) -> None:
    slow = "import gpu_device_plugin.fake as f; r = f.FakeCards.read; "
    slow += "f.FakeCards.read = lambda self: time.sleep(1) or r(self)"
    for _ in range(2):  # the second one remembers the card, and must not take it for one that cannot be read
        plugin = Plugin(tmp_path, [sys.executable, "-c", SABOTAGED, slow])
        try:
            plugin.configure()
            request = device_pb2.ReserveRequest(device_ids=["GPU-a"])
            assert plugin.unary(DEVICE + "Reserve", request, device_pb2.ReserveResponse)
        finally:
            plugin.end()


def test_reservations_are_answered_while_every_stream_is_held_open(plugin: Plugin) -> None:
    plugin.configure()
    held = [plugin.announcements() for _ in range(3)]
    held += [
        plugin.stream(DEVICE + "Stats", device_pb2.StatsRequest(), device_pb2.StatsResponse) for _ in range(3)
    ]
    for stream in held:
        next(stream)
    request = device_pb2.ReserveRequest(device_ids=["GPU-a"])
    assert plugin.unary(DEVICE + "Reserve", request, device_pb2.ReserveResponse)


def test_statistics_come_in_the_asked_interval(plugin: Plugin) -> None:
    plugin.configure()
    next(plugin.announcements())
    request = device_pb2.StatsRequest()
    request.collection_interval.FromSeconds(1)
    statistics = plugin.stream(DEVICE + "Stats", request, device_pb2.StatsResponse)
    for _ in range(2):
        memory = next(statistics).groups[0].instance_stats["GPU-a"].summary
        assert (memory.int_numerator_val.value, memory.int_denominator_val.value) == (300, 23034)


def test_the_status_file_tells_what_is_announced(plugin: Plugin) -> None:
    plugin.configure()
    announcements = plugin.announcements()
    next(announcements)
    file = plugin.folder / "state" / "status.json"

    def devices() -> object:
        return json.loads(file.read_text())["devices"] if file.exists() else None

    within(60, lambda: devices() == {"GPU-a": True})
    status = json.loads(file.read_text())
    assert (status["pid"], status["stream_open"], status["problem"]) == (plugin.process.pid, True, "")
    plugin.cards.write_text("[]")
    within(60, lambda: devices() == {})


def test_it_leaves_when_the_agent_asks(plugin: Plugin) -> None:
    plugin.unary("/plugin.GRPCController/Shutdown", go_plugin_pb2.Empty(), go_plugin_pb2.Empty)
    assert plugin.process.wait(60) == 0


@pytest.mark.parametrize(("number", "ends"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
def test_it_leaves_on_sigterm_and_not_on_the_ctrl_c_of_its_agent(
    plugin: Plugin, number: signal.Signals, ends: bool
) -> None:
    plugin.process.send_signal(number)
    if ends:
        assert plugin.process.wait(60) == 0
    else:
        with pytest.raises(subprocess.TimeoutExpired):
            plugin.process.wait(1)


AGENT = """
import subprocess, sys, time
plugin = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
plugin.stdout.readline()
print(plugin.pid, flush=True)
time.sleep(60)
"""


def test_it_leaves_when_its_agent_was_killed_although_nobody_reads_its_log(tmp_path: Path) -> None:
    environment = {**os.environ, **COOKIE, "PLUGIN_UNIX_SOCKET_DIR": str(tmp_path)}
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, *COMMAND], env=environment, stdout=subprocess.PIPE, text=True
    )
    pid = int(line_within(agent, 60))
    agent.kill()
    agent.wait()
    within(60, lambda: not Path(f"/proc/{pid}").exists())


SABOTAGED = """
import sys, time
from gpu_device_plugin import watchdog, services
from gpu_device_plugin.__main__ import main
watchdog._STUCK_TICKS = 2
exec(sys.argv.pop(1))
main()
"""


@pytest.mark.parametrize(
    "sabotage",
    ["services.device_groups = None", "services.device_groups = lambda *all: time.sleep(60)"],
    ids=["a fault while announcing", "a stuck announcement"],
)
def test_it_leaves_rather_than_end_the_stream_of_cards_or_keep_it_silent(
    tmp_path: Path, sabotage: str
) -> None:
    plugin = Plugin(tmp_path, [sys.executable, "-c", SABOTAGED, sabotage])
    try:
        plugin.configure()
        announcements = plugin.announcements()
        called = time.monotonic()
        with pytest.raises(grpc.RpcError) as ended:
            next(announcements)
        # By this code the agent tells a plugin that is gone (started again) from a stream that failed.
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
        assert plugin.process.wait(60) == 1
        assert time.monotonic() - called >= 0.9, "the agent starts it again without any pause of its own"
    finally:
        plugin.end()


def test_it_leaves_when_nobody_ever_calls(tmp_path: Path) -> None:
    plugin = Plugin(tmp_path, [sys.executable, "-c", SABOTAGED, "watchdog._NO_CALL_TICKS = 2"])
    try:
        assert plugin.process.wait(60) == 1
    finally:
        plugin.end()


def test_old_socket_folders_are_swept_and_those_of_living_processes_stay(tmp_path: Path) -> None:
    living, dead = (
        tmp_path / f"gpu-device-plugin-{os.getpid()}-abc",
        tmp_path / "gpu-device-plugin-999999999-abc",
    )
    other = tmp_path / "gpu-device-plugin-notes"
    for folder in (living, dead, other):
        folder.mkdir()
    sweep_sockets(tmp_path)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted([living.name, other.name])
