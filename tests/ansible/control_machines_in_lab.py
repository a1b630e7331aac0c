"""Three control machines in a lab: two run the studio on one database and one bucket, which are on the third.

For drills; what is in the database and in the bucket is read where it lies.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from typing import Any

from farm_in_lab import LabFarm
from studio_in_lab import eventually

MACHINES = {"control-1": "10.77.0.11", "control-2": "10.77.0.12", "control-3": "10.77.0.13"}
STUDIOS = ("control-1", "control-2")
STORE = "control-3"
"""The machine with the database and the bucket; it draws, too."""
STATE = "/var/lib/soundstage-agent"
BUCKET = "/var/lib/soundstage-objects/soundstage"
# The session that holds a leader's lock, by its key.
LEADER = """
SELECT host(client_addr) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND ((classid::bigint << 32) | objid::bigint) = {key}
"""


@dataclass(frozen=True)
class Studio:
    """The process on one machine, called by its address with the farm's administrator key."""

    farm: LabFarm
    machine: str

    def call(self, method: str, path: str, content: Any = None, within_s: int = 120) -> Any:
        """Returns the answer. Raises AssertionError for an error and for no answer."""
        done = self._curl(method, path, content, within_s)
        assert done.returncode == 0, f"{method} {path}: {done.stdout!r} {done.stderr!r}"
        return json.loads(done.stdout) if done.stdout else None

    def upload(self, name: str, content: bytes) -> dict[str, Any]:
        """Returns the answer to an upload, also that of an error; empty without one."""
        done = self._curl("POST", f"/api/assets?name={name}", content)
        return json.loads(done.stdout) if done.stdout else {}

    def answers(self) -> bool:
        return self._curl("GET", "/api/health", None, within_s=3).returncode == 0

    def events(self, path: str) -> list[dict[str, Any]]:
        """Returns the events of a stream that has ended."""
        lines = self._curl("GET", path, None).stdout.splitlines()
        return [json.loads(line.removeprefix(b"data:")) for line in lines if line.startswith(b"data:")]

    def download(self, path: str) -> bytes:
        done = self._curl("GET", path, None)
        assert done.returncode == 0, f"{path}: {done.stdout[:500]!r} {done.stderr!r}"
        return done.stdout

    def files_by_way(self) -> dict[str, float]:
        """Returns how many files of workers this process has seen take which way."""
        metrics = self.download("/metrics").decode()
        found = re.findall(r'soundstage_farm_files_total{.*way="(\w+)"} (\S+)', metrics)
        return {way: float(count) for way, count in found if float(count)}

    def _curl(
        self, method: str, path: str, content: Any, within_s: int = 120
    ) -> subprocess.CompletedProcess[bytes]:
        authority = self.farm.folder / f"{self.machine}.pem"
        if not authority.exists():
            authority.write_text(self.farm.on(self.machine, "cat", f"{STATE}/tls/ca.pem").stdout)
        command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", str(within_s)]
        command += ["--noproxy", "*", "--cacert", str(authority), "--header", "@-", "--request", method]
        if isinstance(content, bytes):
            (self.farm.folder / "upload").write_bytes(content)
            command += ["--header", "Content-Type: application/octet-stream"]
            command += ["--data-binary", f"@{self.farm.folder / 'upload'}"]
        elif content is not None:
            command += ["--json", json.dumps(content)]
        command.append(f"https://{MACHINES[self.machine]}:8443{path}")
        key = f"Authorization: Bearer {self.farm.secret('agent/admin.key')}\n".encode()
        return subprocess.run(self.farm.lab.entering(command), input=key, capture_output=True)


@dataclass(frozen=True)
class RenderInLab:
    """A video that a studio was asked for, in scenes that no other test has drawn."""

    studio: Studio
    id: str

    def get(self) -> dict[str, Any]:
        found: dict[str, Any] = self.studio.call("GET", f"/api/renders/{self.id}")
        return found

    def at(self, studio: Studio) -> RenderInLab:
        """Returns the same render, as another machine shows it."""
        return RenderInLab(studio, self.id)

    def attempts(self) -> dict[str, int]:
        """Returns how often each finished scene was tried."""
        return {one["scene_id"]: one["attempts"] for one in self.get()["segments"] if one["state"] == "done"}

    def wait_for_scene(self) -> dict[str, int]:
        return eventually(self.attempts, "a scene is done")

    def wait_for_end(self) -> None:
        eventually(lambda: self.get()["state"] in ("done", "failed", "cancelled"), "the end of the render")

    def wait_for_video(self) -> dict[str, Any]:
        """Returns the render when it has ended, which must be well."""
        self.wait_for_end()
        render = self.get()
        assert render["state"] == "done", render
        return render

    def files(self) -> dict[str, str]:
        """Returns the SHA-256 of each output by its role, as it is downloaded by the render's id."""
        found = {}
        for output in self.get()["outputs"]:
            content = self.studio.download(f"/api/renders/{self.id}/files/{output['role']}")
            assert len(content) == output["bytes"], output
            found[output["role"]] = hashlib.sha256(content).hexdigest()
        return found

    def moves(self) -> list[tuple[str, str]]:
        """Returns the states that it went through, each with its reason."""
        events = self.studio.events(f"/api/renders/{self.id}/events")
        return [
            (one["data"]["state"], one["data"].get("why") or "")
            for one in events
            if one["kind"] == "render.state"
        ]


def ask_for_video(studio: Studio, title: str, scenes: int) -> RenderInLab:
    """Makes a project of that many scenes, and asks for its video."""
    slug = studio.call("POST", "/api/projects", {"title": title})["slug"]
    for number in range(scenes):
        script = f"{title}, scene {number}: the tide comes in, and then it goes out again."
        studio.call("POST", f"/api/projects/{slug}/scenes", {"script": script})
    return RenderInLab(studio, studio.call("POST", "/api/renders", {"project": slug})["id"])


def query(farm: LabFarm, statement: str, database: str = "soundstage", on: str = STORE) -> list[list[str]]:
    """Returns the rows of a statement, read on a machine of the database."""
    psql = ("psql", "-Atqd", database, "-c", statement)
    done = farm.on(on, "runuser", "-u", "postgres", "--", *psql)
    assert done.returncode == 0, done.stderr
    return [line.split("|") for line in done.stdout.splitlines()]


def leader(farm: LabFarm, on: str = STORE, name: str = "dispatcher", database: str = "soundstage") -> str:
    """Returns the machine whose process dispatches renders, or leads in `name`; empty while none does. `on`:
    the machine whose PostgreSQL takes writes."""
    # As soundstage/database/leader_locks.py has it.
    key = int.from_bytes(hashlib.sha256(f"soundstage leader {name}".encode()).digest()[:8]) >> 1
    psql = ("psql", "-Atqd", database, "-c", LEADER.format(key=key))
    found = farm.on(on, "runuser", "-u", "postgres", "--", *psql)
    return next((name for name, address in MACHINES.items() if address == found.stdout.strip()), "")


def objects(farm: LabFarm, on: str = STORE) -> dict[str, str]:
    """Returns the SHA-256 of each file in the bucket, by its path; files deleted meanwhile are left out."""
    find = f"cd {BUCKET} && find . -type f -not -path './.sgwtmp/*' -exec sha256sum {{}} +"
    done = farm.on(on, "sh", "-ec", find)
    faults = [line for line in done.stderr.splitlines() if not line.endswith("No such file or directory")]
    assert not faults and (done.returncode == 0 or done.stderr), done.stderr
    lines = (line.split(maxsplit=1) for line in done.stdout.splitlines())
    return {path.removeprefix("./"): digest for digest, path in lines}


@dataclass(frozen=True)
class Loss:
    """Differences of rows and files. `damaged`: files that are not what their name says; `missing`:
    hashes that rows name and no file has; `unreferenced`: files that no row names, which `soundstage gc`
    removes; `twice`: rows that stand for one thing and are several.
    """

    damaged: list[str]
    missing: list[str]
    unreferenced: list[str]
    twice: list[str]

    @property
    def is_none(self) -> bool:
        return not (self.damaged or self.missing or self.twice)


def find_loss(farm: LabFarm, rows_on: str = STORE, files_on: str = STORE) -> Loss:
    """Compares all rows that name a file with all files of the bucket."""

    def rows(statement: str) -> list[list[str]]:
        return query(farm, statement, on=rows_on)

    held = objects(farm, files_on)
    named = {row[0].removeprefix("sha256:") for row in rows("SELECT sha256 FROM blob_references")}
    named |= {row[0].removeprefix("sha256:") for row in rows("SELECT sha256 FROM render_outputs")}
    damaged = [path for path, digest in held.items() if digest not in path.replace("/", "")]
    done = Counter(
        row[0]
        for row in rows(
            "SELECT stream || ' ' || (data->>'attempt') FROM events"
            " WHERE kind = 'render.state' AND data->>'state' = 'done'",
        )
    )
    positions = rows("SELECT render_id, position FROM render_segments GROUP BY 1, 2 HAVING count(*) > 1")
    twice = [one for one, count in done.items() if count > 1] + [" ".join(row) for row in positions]
    return Loss(
        sorted(damaged), sorted(named - set(held.values())), sorted(set(held.values()) - named), sorted(twice)
    )


def provisioning(farm: LabFarm, machine: str, method: str, path: str, body: Any = None) -> Any:
    """Asks the provisioning API of a machine, which takes a key over plain HTTP from that machine alone."""
    words = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "30", "--noproxy", "*"]
    words += ["--header", f"Authorization: Bearer {farm.secret('provisioning/admin.key')}"]
    words += ["--request", method, f"http://{MACHINES[machine]}:8001{path}"]
    words += ["--json", json.dumps(body)] if body is not None else []
    done = farm.on(machine, *words)
    assert done.returncode == 0, f"{method} {path}: {done.stdout} {done.stderr}"
    return json.loads(done.stdout)


def call_home(farm: LabFarm, at: str, name: str, address: str) -> bool:
    """Returns whether the provisioning API of a machine has taken the call of a machine, over https."""
    authority = farm.secrets / "provisioning" / "ca.pem"
    words = ["curl", "--silent", "--fail", "--max-time", "5", "--noproxy", "*", "--cacert", str(authority)]
    words += ["--header", "@-", "--json", json.dumps({"hostname": name, "ip": address})]
    command = farm.lab.entering([*words, f"https://{MACHINES[at]}:8002/api/ready-for-provisioning"])
    key = f"Authorization: Bearer {farm.secret('provisioning/admin.key')}\n"
    return subprocess.run(command, input=key, capture_output=True, text=True).returncode == 0


def machine_at(farm: LabFarm, machine: str, name: str = "new") -> Any:
    """Returns a machine as the provisioning API of another one shows it; None while it does not."""
    try:
        return provisioning(farm, machine, "GET", f"/api/machines/{name}")
    except AssertionError:
        return None
