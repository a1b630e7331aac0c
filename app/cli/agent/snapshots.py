"""`soundstage snapshots`: named states of conversations at this prompt."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.state import JsonFlag, output
from app.cli.times import minute
from app.cli.words import segment

Name = Annotated[str, typer.Argument(help="How it is called.")]
Session = Annotated[
    str | None, typer.Option(help="The conversation; default: the one that was talked in last.")
]


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "snapshots")

    @group.command("list")
    def list_snapshots(as_json: JsonFlag = False) -> None:
        """List them, the newest first."""
        found = call_studio(lambda api: api.get("/api/snapshots"))
        rows = ([one["name"], one["turns"], minute(one["saved_at"]), one["session_id"]] for one in found)
        columns = ["name", "turns", "saved", "conversation"]
        output(as_json).listing(found, columns, rows, empty="There are no snapshots.")

    @group.command()
    def save(
        name: Name,
        session: Session = None,
        replace: Annotated[bool, typer.Option("--replace", help="Over the one of that name.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Save where a conversation stands."""
        body = {"name": name, "session_id": session, "replace": replace}
        saved = call_studio(lambda api: api.post("/api/snapshots", body))
        output(as_json).answer(saved, f"Saved {saved['session_id']} as {saved['name']}.")

    @group.command()
    def load(
        name: Name,
        session: Annotated[
            str | None, typer.Option(help="The conversation that goes on; default: a new one.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Let a conversation go on from there."""
        loaded = call_studio(lambda api: api.post(f"{_path(name)}/load", {"session_id": session}))
        go_on = f"Go on with: soundstage chat --session {loaded['session_id']}"
        output(as_json).answer(loaded, go_on)

    @group.command()
    def diff(
        name: Name,
        other: Annotated[str | None, typer.Argument(help="Another snapshot.")] = None,
        session: Session = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Say what has changed since, in another snapshot or in a conversation as it is now."""
        found = call_studio(lambda api: api.get(f"{_path(name)}/diff", other=other, session_id=session))
        sentences = [one["sentence"] for one in found["differences"]] or ["Nothing has changed."]
        output(as_json).answer(found, "\n".join(sentences))

    @group.command()
    def delete(name: Name, as_json: JsonFlag = False) -> None:
        """Delete one. Conversations that go on from it keep what they took over."""
        gone = call_studio(lambda api: api.delete(_path(name)))
        output(as_json).answer(gone, f"{gone['name']} is deleted.")


def _path(name: str) -> str:
    return f"/api/snapshots/{segment(name)}"
