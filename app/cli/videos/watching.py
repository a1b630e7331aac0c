"""Shows how a render gets on at the prompt, and what came of it."""

from __future__ import annotations

import asyncio
from typing import Any

from agent.events import Failure, Progress, Text
from app.cli.printing import Printer
from app.cli.progress import AnswerView
from app.cli.state import Invocation
from app.cli.studio_api import StudioApi
from app.cli.videos.ask import cancel_and_say
from app.cli.words import segment


async def watch_to_the_end(
    called: Invocation, api: StudioApi, printer: Printer, view: dict[str, Any], *, wait: bool
) -> bool:
    """Show the progress and how it ended; return whether there is a video. Ctrl-C cancels it."""
    if not wait:
        printer.answer(view, str(view["id"]))
        return True
    shown = AnswerView(printer)
    try:
        with shown:
            async for data in api.progress(view["id"]):
                shown.show(Progress.model_validate(data))
    except asyncio.CancelledError:
        await cancel_and_say(api, printer, view["id"])
        raise
    ended: dict[str, Any] = await api.get(f"/api/renders/{segment(view['id'])}")
    if (error := ended["error"]) is not None:
        shown.show(Failure(code=error["code"], message=error["message"], hint=error["hint"]))
        return False
    files = _files(called, api, ended)
    if printer.as_json:
        printer.value(_line(ended, files))
    else:
        done = f"“{ended['title']}” is done ({(ended['duration_ms'] or 0) / 1000:.1f} s)."
        notes = [f"Note: {notice['message']}" for notice in ended["warnings"]]
        shown.show(Text(text="\n".join(["\n  ".join([done, *files]), *notes])))
    return True


def _files(called: Invocation, api: StudioApi, ended: dict[str, Any]) -> list[str]:
    """Returns the addresses of the files: in the folder of this machine, or at a server elsewhere."""
    if api.remote:
        return [api.address_of(one["url"]) for one in ended["outputs"]]
    out_dir = called.settings().out_dir
    return [str(out_dir / name) for name in ended["out_files"]]


def _line(ended: dict[str, Any], files: list[str]) -> dict[str, Any]:
    same = ("title", "state", "project_id", "duration_ms", "created_at")
    return {
        "render_id": ended["id"],
        **{name: ended[name] for name in same},
        "persona": ", ".join(ended["personas"]),
        "files": files,
        "warnings": [notice["message"] for notice in ended["warnings"]],
    }
