"""`soundstage image installer`: Debian's installer as the other way to a system, published for machines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.state import JsonFlag, invocation, output, run
from soundstage.errors import Invalid

if TYPE_CHECKING:
    from pxe.installer.plan import InstallerSettings
    from soundstage.settings import Settings

Answers = Annotated[
    Path | None,
    typer.Option(
        "--answers", help="JSON with mirror, proxy, packages, time zone …; Debian's mirror unless given.",
        exists=True, dir_okay=False,
    ),
]  # fmt: skip


def register_installer(group: typer.Typer) -> None:
    @group.command()
    def installer(answers: Answers = None, as_json: JsonFlag = False) -> None:
        """Publish Debian's installer. Machines get it while no image is published.

        A whole installation is unproven. It needs the package debian-installer-13-netboot-amd64 here."""
        called = invocation()
        settings = called.settings()
        names = run(_published(settings, _chosen(settings, answers)))
        output(as_json).answer({"published": names}, f"Published {', '.join(names)}.")


def _chosen(settings: Settings, answers: Path | None) -> InstallerSettings:
    from pxe.installer.plan import InstallerSettings

    user = {"ssh_user": settings.provisioning.ssh_user}
    if answers is None:
        return InstallerSettings.model_validate(user)
    try:
        answered = InstallerSettings.model_validate_json(answers.read_bytes())
    except ValueError as error:
        raise Invalid(
            "installer.bad_answers", f"{answers} cannot be used: {error}", "See docs/guide/network-boot.md."
        ) from error
    return answered.model_copy(update=user)


async def _published(settings: Settings, chosen: InstallerSettings) -> list[str]:
    from app.machines_api import machines_api
    from pxe.image.agent_program import agent_program
    from pxe.installer.ramdisk import installer_artefacts

    folder = settings.artefacts_folder
    async with machines_api(settings) as api:
        artefacts = installer_artefacts(
            agent_program(),
            chosen,
            ca_pem=await api.text("/api/ca.pem"),
            manifest_key=await api.text("/boot/manifest.pub"),
            built_at=int(time.time()),
        )
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in artefacts.items():
            half = folder / f".{name}.half"
            half.write_bytes(content)
            half.replace(folder / name)
        await api.post("/api/artefacts/publish")
    return list(artefacts)
