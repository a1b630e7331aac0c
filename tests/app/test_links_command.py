"""`soundstage links`: a link is made, listed and revoked at the prompt, and comes back with a backup."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from avatar.spec import RenderSpec, Scene

from app.composition import open_services
from soundstage.settings import Settings
from studio.renders.models import Render, RenderOutput

Cli = Callable[..., Any]


async def finish_video(settings: Settings) -> str:
    """Stores a finished video, as if a worker had made it; returns its id."""
    async with open_services(settings) as services:
        film = await services.blobs.put_bytes(b"film", "video/mp4")
        spec = RenderSpec(scenes=(Scene(id="one", script="Hello."),)).model_dump(mode="json")
        async with services.database.transaction() as session:
            row = Render(kind="video", state="done", title="Tides", spec=spec, spec_hash="sha256:0")
            session.add(row)
            await session.flush()
            named = {"name": "f.mp4", "sha256": film.sha256, "bytes": film.bytes, "media_type": "video/mp4"}
            session.add(RenderOutput(render_id=row.id, role="video", **named))
            return row.id


async def title_behind(settings: Settings, url: str) -> str:
    """Opens a link; returns the title of its video."""
    async with open_services(settings) as services:
        return (await services.studio.share_links.open(url.rpartition("/")[2])).title


def test_a_link_is_made_listed_and_revoked(cli: Cli, settings: Settings) -> None:
    video = asyncio.run(finish_video(settings))
    assert "no links" in cli("links", "list", video).out
    created = cli("links", "create", video, "--days", "30", "--name", "Harbour")
    assert created.code == 0 and "shown only now" in created.err
    url = created.out.strip()
    assert "/shared/" in url and asyncio.run(title_behind(settings, url)) == "Tides"
    (row,) = cli("links", "list", video[-8:], "--json").json
    assert (row["name"], row["state"], row["uses"]) == ("Harbour", "active", 1)
    listed = cli("links", "list", video).out
    assert "Harbour" in listed and url.rpartition("/")[2] not in listed
    assert cli("links", "revoke", video, row["id"]).out.strip() == f"{row['id']} is revoked."
    assert cli("links", "revoke", video, "lnk_none").code != 0
    assert cli("links", "create", video, "--days", "400").code != 0


def test_a_backup_holds_links_and_not_their_addresses(cli: Cli, settings: Settings, tmp_path: Path) -> None:
    video = asyncio.run(finish_video(settings))
    url = cli("links", "create", video, "--json").json["url"]
    archive = tmp_path / "backup.tar"
    assert cli("backup", str(archive)).code == 0
    assert url.rpartition("/")[2].encode() not in archive.read_bytes()
    link = cli("links", "list", video, "--json").json[0]["id"]
    cli("links", "revoke", video, link)
    assert cli("restore", str(archive), "--force").code == 0
    assert cli("links", "list", video, "--json").json[0]["state"] == "active", "as it was then"
    assert asyncio.run(title_behind(settings, url)) == "Tides"
