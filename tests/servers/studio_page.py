"""The server behind the page, and an open page with what it complains about; for the tests of the page."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from local_login import local_headers
from playwright.sync_api import Page, expect
from ports import free_port
from ready import told_until_ready

from app.local_access import read_local_access
from app.server.start_link import make_start_link

REPOSITORY = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("soundstage")
ANSIBLE = REPOSITORY / "ansible" / ".venv" / "bin"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    # Containers often have little of it, and a page whose pictures find no room waits for ever.
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--mute-audio",
    # A name that is not this machine's leads to it: such pages are no secure context over plain HTTP.
    "--host-resolver-rules=MAP studio.example 127.0.0.1",
]
# Ten times what the slowest step takes on a busy machine: a test that fails costs so much.
PATIENCE_MS = 90_000


PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Say hello
      ansible.builtin.debug: {msg: hello}
"""
"""Its task runs on this machine, whatever the hosts are."""

ADDRESSES = {
    "create": "/",
    "assets": "/library",
    **{
        view: f"/run/{view}"
        for view in ("approvals", "planned", "machines", "runs", "health", "log", "audit", "keys")
    },
}
"""Of views whose address is not their name."""

WRONG_CLOCK = """(off => {
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...given) { super(...(given.length ? given : [Real.now() + off])); }
    static now() { return Real.now() + off; }
  };
})(OFF)"""
"""What the page takes for the time, by `OFF` milliseconds; its timers run as ever."""

T = TypeVar("T")


def address(view: str) -> str:
    """Returns the path of a view, such as `videos`, or of one thing in it, such as `projects/prj_…`."""
    name, _, thing = view.partition("/")
    path = ADDRESSES.get(name, f"/{name}")
    if not thing:
        return path
    return f"/studio/p/{thing}" if name == "projects" else f"{path}/{thing}"


@dataclass
class Studio:
    """One installation whose server can be stopped and started again on the same port."""

    path: Path
    variables: dict[str, str] = field(default_factory=dict)
    url: str = ""
    process: subprocess.Popen[str] | None = None
    key: str = ""
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    """Of the provisioning API; kept over a restart, as the other is."""
    provisioning_url: str = ""
    provisioning_tls_url: str = ""
    https_url: str = ""
    ca_file: str = ""

    def start(self) -> None:
        port = self.url.rpartition(":")[2] or "0"
        environment = {
            **os.environ,
            "SOUNDSTAGE_PERSONAS_DIR": str(REPOSITORY / "personas"),
            "SOUNDSTAGE_HTTP__PORT": port,
            "SOUNDSTAGE_PROVISIONING__PORT": str(self.ports[0]),
            "SOUNDSTAGE_PROVISIONING__TLS_PORT": str(self.ports[1]),
            "SOUNDSTAGE_PROVISIONING__ANSIBLE_BIN": str(ANSIBLE),
            **self.variables,
        }
        with (self.path / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "up", "--json"],
                cwd=self.path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        told = told_until_ready(self.process, self.path / "server.log")
        self.key = told.get("key", self.key)
        self.url = told["url"]
        self.provisioning_url = told.get("provisioning_url", "")
        self.provisioning_tls_url = told.get("provisioning_tls_url", "")
        self.https_url = told.get("https_url", "")
        self.ca_file = told.get("ca_file", "")

    @property
    def headers(self) -> dict[str, str]:
        """Those of the user of this machine."""
        return local_headers(self.path / "state")

    def start_link(self) -> str:
        """A link that logs a browser in once."""
        access = read_local_access(self.path / "state")
        assert access is not None
        return make_start_link(access, None).url

    def kill(self) -> None:
        """Ends all of its processes at once, as a power cut does: none of them can store anything."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)
        self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None


@contextmanager
def studio_up(tmp_path_factory: pytest.TempPathFactory, **variables: str) -> Iterator[Studio]:
    """A running installation in folders of its own, with these variables of the environment."""
    path, project = tmp_path_factory.mktemp("studio"), tmp_path_factory.mktemp("project")
    (project / "playbook.yaml").write_text(PLAYBOOK)
    started = Studio(path, {"SOUNDSTAGE_PROVISIONING__PROJECT_DIR": str(project), **variables})
    try:
        started.start()
        yield started
    finally:
        started.stop()


@dataclass
class Visit:
    """One open page, and everything that it complained about or fetched."""

    page: Page
    url: str
    start_link: Callable[[], str]
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def log_in(self) -> None:
        """With a start link, as the user of this machine."""
        self.page.goto(self.start_link())
        expect(self.page.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)

    def open(self, view: str = "chat") -> Page:
        if not self.page.context.cookies():
            self.log_in()
        self.page.goto(self.url + address(view))
        expect(self.page.locator(".bar")).to_be_visible(timeout=PATIENCE_MS)
        return self.page

    def say(self, sentence: str) -> None:
        self.page.locator("#utterance").fill(sentence)
        self.page.keyboard.press("Enter")


def wait_for(page: Page, script: str, within_ms: float = PATIENCE_MS) -> None:
    """Asked from outside: the page's own policy forbids what Playwright would evaluate inside."""
    deadline = time.monotonic() + within_ms / 1000
    while not page.evaluate(script):
        assert time.monotonic() < deadline, script
        time.sleep(0.05)


def play_a_moment(page: Page, seconds: float, selector: str = "video") -> None:
    """Until a picture of the film is seen: the browser's sign of loading would lie over it."""
    video = f"document.querySelector('{selector}')"
    wait_for(page, f"{video}?.readyState >= 2")
    page.locator(selector).evaluate("v => { v.muted = true; return v.play(); }")
    wait_for(page, f"{video}.currentTime > {seconds}")
    page.locator(selector).evaluate("v => { v.pause(); v.muted = false; }")


def bundle(entry: Path, script: Path, *options: str) -> None:
    """Writes the TypeScript file `entry`, with what it imports of the page, as one script."""
    program = REPOSITORY / "ui" / "node_modules" / ".bin" / "rolldown"
    subprocess.run([program, entry, *options, "--file", script], check=True, capture_output=True)


def run_script(entry: Path, folder: Path, *arguments: str) -> Any:
    """Runs a TypeScript file in Node; returns the JSON that it prints."""
    script = folder / f"{entry.stem}.mjs"
    bundle(entry, script, "--format", "esm", "--platform", "node")
    done = subprocess.run(["node", script, *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def run_in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Returns what a coroutine returns: Playwright has a running event loop in the thread of the tests."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def breaches(page: Page) -> list[Any]:
    """What axe finds against the page as it is shown now; the page is to be opened with `bypass_csp`."""
    page.evaluate((REPOSITORY / "ui" / "node_modules" / "axe-core" / "axe.min.js").read_text())
    found = page.evaluate("axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))")
    assert isinstance(found, list)
    return found


Visiting = Callable[..., Visit]
