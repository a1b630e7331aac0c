"""`soundstage voice`: voice sessions, and the process that hears and speaks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.commands import add_group
from app.cli.connection import call_studio
from app.cli.state import JsonFlag, invocation, output
from app.cli.words import segment


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "voice")

    @group.command("list")
    def list_sessions(as_json: JsonFlag = False) -> None:
        """List your open voice sessions, the latest first."""
        found = call_studio(lambda api: api.get("/api/voice/sessions"))
        rows = (
            [one["session_id"], one["persona_id"] or "", one["state"], "muted" if one["muted"] else ""]
            for one in found
        )
        columns = ["session", "persona", "state", ""]
        output(as_json).listing(found, columns, rows, empty="No voice session is open.")

    @group.command()
    def end(
        session: Annotated[str, typer.Argument(help="Its id: soundstage voice list")],
        as_json: JsonFlag = False,
    ) -> None:
        """End a voice session; the conversation stays."""
        call_studio(lambda api: api.delete(f"/api/voice/session/{segment(session)}"))
        output(as_json).answer({"ended": session}, f"Ended: {session}.")

    @group.command()
    def record(
        session: Annotated[str, typer.Argument(help="Its id: soundstage voice list")],
        stop: Annotated[bool, typer.Option("--stop", help="End the recording and make its video.")] = False,
        discard: Annotated[
            bool, typer.Option("--discard", help="End the recording and delete what was recorded.")
        ] = False,
        without_me: Annotated[
            bool, typer.Option("--without-me", help="Show what you say as text; your voice is not kept.")
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Record a voice session; its video is made when the recording or the session ends."""
        path = f"/api/voice/session/{segment(session)}/recording"
        printed = output(as_json)
        if discard:
            call_studio(lambda api: api.delete(path))
            printed.answer({"discarded": session}, f"Discarded the recording of {session}.")
        elif stop:
            render = call_studio(lambda api: api.post(f"{path}/video"))
            printed.answer(render, f"The video is being made: {render['id']}, “{render['title']}”.")
        else:
            found = call_studio(lambda api: api.post(path, {"with_person": not without_me}))
            printed.answer(
                found, f"Recording {session}. End it with `soundstage voice record {session} --stop`."
            )

    @group.command()
    def rooms(as_json: JsonFlag = False) -> None:
        """List the rooms of your voice sessions, with the number of participants."""
        found = call_studio(lambda api: api.get("/api/voice/rooms"))
        rows = ([one["room"], one["transport"], str(one["participants"])] for one in found)
        columns = ["room", "transport", "participants"]
        output(as_json).listing(found, columns, rows, empty="No voice session is open.")

    @group.command()
    def keys(
        renew: Annotated[bool, typer.Option("--renew", help="Replace the keys: open rooms end.")] = False,
        file: Annotated[
            Path | None, typer.Option("--file", help="Write them for `livekit-server --key-file`.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Create the API key and secret of a LiveKit server, sealed in the state folder."""
        from agent.voice.transports.livekit_keys import create_keys, ensure_keys
        from soundstage.private_files import write_anew
        from soundstage.sealing import Sealer

        settings = invocation().settings()
        sealer = Sealer(settings.state_dir, settings.sealing)
        if renew and settings.voice.livekit.key_file is None:
            created = create_keys(sealer, settings.state_dir)
        else:
            created = ensure_keys(settings.voice.livekit, sealer, settings.state_dir)
        if file is not None:
            write_anew(file, created.file.encode())
        where = (
            f"The secret is in {file}." if file else "`--file FILE` writes the secret for a LiveKit server."
        )
        output(as_json).answer({"api_key": created.api_key}, f"API key: {created.api_key}. {where}")

    @group.command()
    def worker(
        server_url: Annotated[
            str, typer.Option("--server-url", help="The server; default: the one that runs here.")
        ] = "",
        token_file: Annotated[
            Path | None,
            typer.Option("--token-file", help="A copy of voice-worker.token of the server's state folder."),
        ] = None,
    ) -> None:
        """Hear and speak for the persons of a server, until Ctrl-C. `up` starts one by itself."""
        from app.server.supervisor import voice_worker_command

        called = invocation()
        if not server_url:
            from app.local_access import read_local_access
            from soundstage.errors import NotFound

            access = read_local_access(called.settings().state_dir)
            if access is None:
                raise NotFound(
                    "server.not_running",
                    f"No server runs on the state folder {called.settings().state_dir.absolute()}.",
                    "Start it with `soundstage up`, or name one with `--server-url`.",
                )
            server_url = access.url
        command = [*voice_worker_command(called.config_file, server_url), "--alone"]
        if token_file is not None:
            command += ["--token-file", str(token_file)]
        os.execv(sys.executable, command)  # noqa: S606
