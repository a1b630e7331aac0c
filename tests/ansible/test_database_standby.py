"""A farm with one database machine gets a standby, which loses its power; then the primary's link is cut, and
the farm's authority is replaced. Numbers that people store meanwhile are all there afterwards.

The tests run in the order of this file.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

import pytest
from control_machines_in_lab import MACHINES, STUDIOS, Studio, ask_for_video, query
from farm_in_lab import LabFarm, Run
from journey_inputs import FARM, PROGRAM
from monitored_farm import PORT, Prometheus, Receiver, quick_monitoring
from numbered_writers import NumberedWriters, Repeated
from standby_in_lab import (
    AS_POSTGRES,
    DATABASES,
    PATRONICTL,
    follows,
    members,
    primary_of,
    standby_of,
    takes_writes,
    wait_for_standby,
)
from studio_in_lab import eventually

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.cached(*FARM, *PROGRAM, "tests/servers/alert_receiver.py"),
]
GOAL_S = 30
MONITORING = quick_monitoring({"DatabaseStandbyMissing": {"for": "4s"}, "TargetDown": {"for": f"{GOAL_S}s"}})
STANDBY_MISSING = "No standby follows PostgreSQL"
T = TypeVar("T")
SCENES = 6
NO_ANSWER = "no answer"
A_PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
# What somebody on the machine itself tries while it is cut off; each is given three seconds.
ALONE = "CREATE TABLE IF NOT EXISTS written_alone (number int)"
COUNT_ALONE = "SELECT count(*) FROM written_alone"
WRITE_ALONE = """
for number in $(seq 1 60); do
  timeout 3 psql -qd soundstage -c "INSERT INTO written_alone VALUES ($number)" && echo "stored $number"
  sleep 0.3
done
"""


@pytest.fixture(scope="module")
def farm(build_control_farm: Callable[..., LabFarm]) -> LabFarm:
    """Three control machines, which all draw; two run the studio, and one PostgreSQL."""
    groups = {"database": [DATABASES[0]], "storage": ["control-1", "control-3"], "workers": list(MACHINES)}
    return build_control_farm("standby", groups | {"monitoring": ["control-1"]}, **MONITORING)


@pytest.fixture(scope="module")
def first_run(farm: LabFarm) -> Run:
    return farm.converge()


@pytest.fixture(scope="module")
def receiver(farm: LabFarm, first_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    opened = Receiver(farm.lab, tmp_path_factory.mktemp("receiver"), PORT)
    yield opened
    opened.close()


def test_a_machine_that_is_added_to_the_group_becomes_the_standby(farm: LabFarm, first_run: Run) -> None:
    assert primary_of(farm) == DATABASES[0]
    render = ask_for_video(Studio(farm, STUDIOS[0]), "Harbour", 1)
    render.wait_for_video()
    files = render.files()
    farm.add_to_group(DATABASES[1], "database")
    with NumberedWriters(farm, "Growing", STUDIOS) as written:
        time.sleep(3)
        run = farm.converge()
        assert wait_for_standby(farm) == DATABASES[0]
        time.sleep(3)
    print(f"{DATABASES[1]} joined: {written.pauses()}")
    assert all(run.count(machine, "failed") == 0 for machine in MACHINES)
    written.expect_all(DATABASES)
    for machine in STUDIOS:
        assert render.at(Studio(farm, machine)).files() == files
    again = farm.converge("--diff")
    assert again.changed() == 0, again.output[-5000:]


def test_writes_go_on_when_the_standby_loses_its_power_in_mid_render(
    farm: LabFarm, receiver: Receiver, record_property: Callable[[str, object], None]
) -> None:
    primary = wait_for_standby(farm)
    lost = standby_of(primary)
    studio = Studio(farm, STUDIOS[0])
    render = ask_for_video(studio, "Tide", SCENES)
    before = render.wait_for_scene()
    seen = len(receiver.alerts("DatabaseStandbyMissing"))
    ended = len(receiver.alerts("DatabaseStandbyMissing", "resolved"))
    with NumberedWriters(farm, "Standby lost", (one for one in STUDIOS if one != lost)) as written:
        time.sleep(3)
        farm.lab.power_off(lost)
        lost_at = time.monotonic()
        eventually(lambda: len(receiver.alerts("DatabaseStandbyMissing")) > seen, "the alert")
        alerted_s = time.monotonic() - lost_at
        eventually(lambda: STANDBY_MISSING in health_of(studio), "the health of the installation")
        shown_s = time.monotonic() - lost_at
        render.wait_for_video()
        ended_s = time.monotonic() - lost_at
        assert primary_of(farm, (primary,)) == primary
        farm.lab.power_on(lost)
        back_at = time.monotonic()
        eventually(lambda: follows(farm, primary, lost), "a synchronous standby")
        caught_up_s = time.monotonic() - back_at
        eventually(lambda: len(receiver.alerts("DatabaseStandbyMissing", "resolved")) > ended, "its end")
    pause_s = max(one.longest_pause_s() for one in written.by_machine.values())
    record_property("pause_s", round(pause_s, 1))
    print(
        f"The standby {lost} lost its power after {len(before)} of {SCENES} scenes: {written.pauses()}."
        f" The alert came after {alerted_s:.1f} s, the health page had it after"
        f" {shown_s:.1f} s, the video was there after {ended_s:.1f} s. It followed {caught_up_s:.1f} s after"
        " it was on again."
    )
    after = render.attempts()
    assert len(after) == SCENES and after.items() >= before.items(), "no finished scene is drawn again"
    written.expect_all(DATABASES)
    eventually(lambda: STANDBY_MISSING not in health_of(studio), "the health without it")
    assert pause_s < GOAL_S


def health_of(studio: Studio) -> str:
    found = studio.call("GET", "/api/health/installation")
    return " ".join(f"{one['name']}: {one['found']}" for one in found["checks"])


def test_nobody_writes_to_both_when_the_link_of_the_primary_is_cut(
    farm: LabFarm, first_run: Run, record_property: Callable[[str, object], None]
) -> None:
    """The machine lives on alone, with somebody at it who writes."""
    cut = wait_for_standby(farm)
    other = standby_of(cut)
    query(farm, ALONE, on=cut)
    render = ask_for_video(Studio(farm, "control-1"), "Link of the primary", SCENES)
    before = render.wait_for_scene()
    with (
        NumberedWriters(farm, "Link cut", (one for one in STUDIOS if one != cut)) as written,
        ThreadPoolExecutor(2) as pool,
    ):
        time.sleep(3)
        farm.lab.inject_fault(cut, "network")
        cut_at = time.monotonic()
        alone = pool.submit(farm.at_console, cut, *AS_POSTGRES, "sh", "-c", WRITE_ALONE)
        stopped = pool.submit(wait_until_it_stops, farm, cut)
        eventually(lambda: primary_of(farm, (other,)), "another primary")
        promoted_s = time.monotonic() - cut_at
        demoted_s = stopped.result() - cut_at
        render.wait_for_video()
        ended_s = time.monotonic() - cut_at
        tried: subprocess.CompletedProcess[str] = alone.result()
        count = (*AS_POSTGRES, "psql", "-Atqd", "soundstage", "-c", COUNT_ALONE)
        diverged = eventually(lambda: farm.at_console(cut, *count).stdout.strip(), "a standby of nobody")
        farm.lab.clear_fault(cut)
        back_at = time.monotonic()
        eventually(lambda: follows(farm, other, cut), f"{cut} as a standby: {members(farm, other)}")
        followed_s = time.monotonic() - back_at
    print(
        f"The link of the primary {cut} was cut after {len(before)} of {SCENES} scenes. It took no writes"
        f" after {demoted_s:.1f} s, {other} took them after {promoted_s:.1f} s: {written.pauses()}."
        f" The video was there after {ended_s:.1f} s. {cut} had {diverged} rows that nobody else has,"
        f" and followed {followed_s:.1f} s after its link was back."
    )
    print(f"Somebody on it tried to write, and was told: {tried.stderr[-800:]}")
    record_property("demoted_s", round(demoted_s, 1))
    record_property("promoted_s", round(promoted_s, 1))
    assert "stored" not in tried.stdout, tried.stdout
    assert int(diverged), "it has written what nobody else has"
    after = render.attempts()
    assert len(after) == SCENES and after.items() >= before.items(), "no finished scene is drawn again"
    written.expect_all(DATABASES)
    for machine in DATABASES:
        assert query(farm, "SELECT number FROM written_alone", on=machine) == []
    assert max(promoted_s, demoted_s) < GOAL_S


def wait_until_it_stops(farm: LabFarm, machine: str) -> float:
    """Returns the moment from which PostgreSQL on a machine whose link is cut takes no writes."""
    eventually(lambda: not takes_writes(farm.at_console, machine), "the end of the primary")
    return time.monotonic()


def once_answered(action: Callable[[], T]) -> T:
    """Returns the result of a request, which is repeated while the studio starts anew."""

    def attempt() -> T | None:
        try:
            return action()
        except AssertionError as error:
            if "curl: (" not in str(error):
                raise
            return None

    return cast("T", eventually(attempt, "the studio"))


def test_all_work_goes_on_while_the_authority_is_replaced(
    farm: LabFarm, receiver: Receiver, record_property: Callable[[str, object], None]
) -> None:
    """One studio makes videos, the other one takes uploads, both store numbers, and Prometheus reads all."""
    primary = wait_for_standby(farm)
    started = query(farm, "SELECT pg_postmaster_start_time()", on=primary)
    before, prometheus = farm.secret("tls/ca.pem"), Prometheus(farm)
    eventually(lambda: {up for _, _, up in prometheus.up()} == {"1"}, "all targets")
    seen = len(receiver.alerts("TargetDown"))
    makes, takes = (Studio(farm, machine) for machine in STUDIOS)

    def make(number: int) -> None:
        render = once_answered(lambda: ask_for_video(makes, f"During the rotation {number}", 1))
        once_answered(render.wait_for_video)

    def upload(number: int) -> None:
        answer = takes.upload(f"rotation-{number}.png", A_PICTURE + f"rotation {number}".encode())
        assert "id" in answer, answer.get("code", NO_ANSWER)

    begun_s = time.time()
    with (
        NumberedWriters(farm, "New authority", STUDIOS) as written,
        Repeated(make) as videos,
        Repeated(upload) as uploads,
    ):
        eventually(lambda: uploads.done and videos.done, "the first upload and video")
        farm.converge(playbook="ansible/playbooks/rotate-secrets.yaml", rotate=["tokens", "authority"])
        after = max(uploads.done), max(videos.done)
        eventually(lambda: max(uploads.done) > after[0], "an upload afterwards")
        eventually(lambda: max(videos.done) > after[1], "a video afterwards")
    unread = prometheus.unread_s(begun_s, time.time())
    print(
        f"A new authority: {written.pauses()}. {len(uploads.done)} uploads, none for"
        f" {uploads.longest_s:.1f} s, refused: {uploads.failed}. {len(videos.done)} videos, none for"
        f" {videos.longest_s:.1f} s, failed: {videos.failed}. Prometheus could not read: {unread}."
    )
    record_property("upload_pause_s", round(uploads.longest_s, 1))
    record_property("unread_s", unread)
    assert farm.secret("tls/ca.pem") != before
    assert wait_for_standby(farm) == primary
    assert query(farm, "SELECT pg_postmaster_start_time()", on=primary) == started
    written.expect_all(DATABASES)
    assert not videos.failed
    assert set(uploads.failed.values()) <= {NO_ANSWER}, "only a studio that starts anew takes none"
    assert len(receiver.alerts("TargetDown")) == seen, receiver.alerts("TargetDown")
    studios = [Studio(farm, machine) for machine in STUDIOS]
    ask_for_video(studios[0], "After the new authority", SCENES).wait_for_video()
    ways = {way for studio in studios for way in studio.files_by_way()}
    assert ways == {"bucket"}, "workers reach the S3 server"
    again = farm.converge("--diff")
    assert again.changed() == 0, again.output[-5000:]


def test_the_way_back_to_one_machine_loses_nothing_and_voids_what_the_other_one_knew(
    farm: LabFarm, receiver: Receiver, record_property: Callable[[str, object], None]
) -> None:
    """The machine that leaves is the primary, and runs on."""
    stays, leaves = DATABASES
    if wait_for_standby(farm) != leaves:
        assert farm.on(stays, *PATRONICTL, "switchover", "--candidate", leaves, "--force").returncode == 0
        eventually(lambda: follows(farm, leaves, stays), "the other one as primary")
    studio = Studio(farm, STUDIOS[0])
    password, token = (
        farm.secret("postgresql/replicator.password"),
        farm.secret("consul/tokens/postgresql.token"),
    )
    # A change of the primary is an alert here, whose time is short.
    eventually(lambda: {name for name, _ in Prometheus(farm).firing()} <= {"Watchdog"}, "no alert")
    alerts = receiver.names()
    render = ask_for_video(studio, "On the way back", SCENES)
    before = render.wait_for_scene()
    with NumberedWriters(farm, "Way back", STUDIOS) as written:
        eventually(lambda: written.acknowledged, "a number")
        farm.remove_from_group(leaves, "database")
        run = farm.converge()
        stored = len(written.acknowledged)
        eventually(lambda: len(written.acknowledged) > stored, "a number afterwards")
    pause_s = max(one.longest_pause_s() for one in written.by_machine.values())
    record_property("pause_s", round(pause_s, 1))
    print(f"From two machines to {stays} alone: {written.pauses()}.")
    assert all(run.count(machine, "failed") == 0 for machine in MACHINES)
    written.expect_all((stays,))
    render.wait_for_video()
    after = render.attempts()
    assert len(after) == SCENES and after.items() >= before.items(), "no finished scene is drawn again"
    assert takes_writes(farm.on, stays)
    assert query(farm, "SELECT slot_name FROM pg_replication_slots", on=stays) == []
    assert query(farm, "SELECT rolname FROM pg_roles WHERE rolreplication", on=stays) == [["postgres"]]
    for removed in ("/etc/patroni", "/etc/soundstage/postgresql", "/var/lib/postgresql/*/main"):
        assert farm.on(leaves, "sh", "-c", f"ls -d {removed}").returncode != 0, removed
    assert farm.on(leaves, "sh", "-c", "ls -d /var/lib/postgresql/*/main.unused-*").returncode == 0
    assert farm.on(leaves, "pgrep", "-x", "postgres").returncode != 0
    consul = f"https://{MACHINES[stays]}:8501/v1/kv/service/soundstage/?keys=true"
    assert farm.curl(consul, token=token, header="X-Consul-Token") == "403"
    login = f"host={MACHINES[stays]} user=replicator replication=true sslmode=require connect_timeout=5"
    tried = farm.on(leaves, "env", f"PGPASSWORD={password}", "psql", "-c", "IDENTIFY_SYSTEM", login)
    assert tried.returncode != 0, tried.stdout
    assert receiver.names() == alerts, "alerts are silent"
    again = farm.converge("--diff")
    assert again.changed() == 0, again.output[-5000:]
    assert receiver.names() == alerts, "and stay so"
    assert pause_s < GOAL_S
