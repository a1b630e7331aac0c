"""`soundstage chat` at a real terminal: answers stream, Ctrl-C ends an answer, Ctrl-D the conversation."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import select
import stat
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sentences import SentenceSnapshot

sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))
from scripted_model import Say, ScriptedModel, scripted_model

from agent.sessions.service import SessionService
from app.composition import open_services
from policy import Principal
from soundstage.settings import Settings

WAIT_S = 60
STAND_IN = Path(__file__).parents[1] / "farm" / "stand_in.py"
CHAT = [sys.executable, "-c", "from app.cli import main; main()", "chat"]


class Terminal:
    """A program at a pseudo-terminal, as a person sits before it."""

    def __init__(self, home: Path, model: ScriptedModel, *arguments: str) -> None:
        self._here, there = pty.openpty()
        self.shown = ""
        environment = {**os.environ, "SOUNDSTAGE_LLM__LOCAL__BASE_URL": model.base_url, "TERM": "dumb"}
        self.process = subprocess.Popen(
            [*CHAT, *arguments],
            cwd=home,
            env=environment,
            stdin=there,
            stdout=there,
            stderr=there,
            start_new_session=True,
            # The terminal of the new session, so that Ctrl-C reaches it as a signal.
            preexec_fn=_take_terminal,
        )
        os.close(there)

    def type(self, text: str) -> None:
        os.write(self._here, text.encode())

    async def see(self, text: str) -> str:
        """Waits until `text` is shown after what was seen before; gives what came up to there."""
        async with asyncio.timeout(WAIT_S):
            while text not in self.shown:
                self.shown += await asyncio.to_thread(self._read)
        seen, _, self.shown = self.shown.partition(text)
        return seen

    async def press_until_seen(self, key: str, text: str) -> None:
        """Presses it as people do, again when nothing happens: a signal that comes just before readline waits
        for keys is noticed with the next one only.
        """
        async with asyncio.timeout(WAIT_S):
            while text not in self.shown:
                self.type(key)
                self.shown += await asyncio.to_thread(self._read)
        self.shown = self.shown.partition(text)[2]

    def _read(self) -> str:
        ready, _, _ = select.select([self._here], [], [], 0.5)
        try:
            return os.read(self._here, 65536).decode() if ready else ""
        except OSError:
            raise AssertionError(f"the program ended; it last showed {self.shown!r}") from None

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._here)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def run_piped(home: Path, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(CHAT, cwd=home, input=text, capture_output=True, text=True, timeout=WAIT_S)


Cli = Callable[..., Any]


@pytest.fixture
def chat(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`chat(lines, *options)`: does what `run_piped` does, in this process."""

    def run(text: str, *options: str) -> Any:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        return cli("chat", *options)

    return run


async def test_ctrl_c_ends_an_answer_and_ctrl_d_the_conversation(home: Path) -> None:
    async with scripted_model(Say("one two three", hold=asyncio.Event()), Say("Hello again.")) as model:
        with closing(Terminal(home, model)) as terminal:
            await terminal.see("> ")
            terminal.type("tell me about something nice\n")
            await terminal.see("one")
            terminal.type("\x03")
            await terminal.see("This answer is cancelled; the conversation goes on.")
            await terminal.see("> ")
            terminal.type("and what about now?\n")
            await terminal.see("Hello again.")
            await terminal.see("> ")
            await terminal.press_until_seen("\x03", "Ctrl-D ends the conversation.")
            # A Ctrl-C that was pressed once too often takes what was typed after it along.
            await terminal.press_until_seen("\x04", "Go on with: soundstage chat --session ")
            assert await asyncio.to_thread(terminal.process.wait, WAIT_S) == 0
            history = home / "state" / "chat_history"
            assert "something nice" in history.read_text()
            assert stat.S_IMODE(history.stat().st_mode) == 0o600
        earlier = [one["content"] for one in model.asked[1]["messages"] if one["role"] != "system"]
        assert earlier[0] == "tell me about something nice"
        assert earlier[1].startswith("one")


def test_lines_of_a_pipe_are_one_conversation_and_another_run_goes_on_with_it(home: Path, chat: Cli) -> None:
    ran = chat("who can speak\n\nlist my videos\nquit\nnever said\n")
    assert ran.code == 0, ran.err
    assert "Nova" in ran.out and "There are no videos yet" in ran.out
    session = ran.err.rpartition("--session ")[2].strip()
    more = chat("help\n", "--session", session)
    assert more.code == 0, more.err

    async def read_utterances() -> list[str]:
        async with open_services(Settings(state_dir=home / "state")) as services:
            sessions: SessionService = services.brain.sessions
            turns = await sessions.turns(Principal.local_admin(), session)
            return [turn.utterance for turn in turns]

    assert asyncio.run(read_utterances()) == ["who can speak", "list my videos", "help"]


async def test_a_video_is_finished_before_a_conversation_without_a_server_ends(
    home: Path, snapshot: SentenceSnapshot
) -> None:
    command = [sys.executable, "-I", "-S", str(STAND_IN)]
    (home / "config.toml").write_text(f"[worker]\ncommand = {command!r}\n")
    ran = await asyncio.to_thread(run_piped, home, "make a video where Nova says: hello\n")
    assert ran.returncode == 0 and "“hello” is still being made" in ran.stderr, ran.stderr
    (video,) = (home / "out").glob("hello-*.mp4")
    done = [line for line in ran.stderr.splitlines() if "“hello” is done" in line]
    assert done == [snapshot("done", name=video.stem)]


def test_a_session_that_there_is_not_ends_at_once_with_its_code(chat: Cli) -> None:
    ran = chat("", "--session", "ses_none")
    assert ran.code == 1
    assert "session.not_found" in ran.err and "Traceback" not in ran.err


def test_debug_mode_shows_what_tools_are_given_and_give_without_secrets(chat: Cli) -> None:
    text = "deploy the job talker with hf_token = hf_secret123\nlist my videos\n"
    plain = chat(text)
    assert "tool_call" not in plain.out + plain.err
    ran = chat(text, "--debug")
    assert '"variables":{"hf_token":"[masked]"}' in ran.err
    assert '"tool_result","tool":"list_renders"' in ran.err
    assert "hf_secret123" not in ran.out + ran.err
