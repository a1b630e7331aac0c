"""`soundstage image …`: the system that machines get by network boot, and the ramdisk that puts it there."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.commands import add_group
from app.cli.farm.installer import register_installer
from app.cli.printing import Printer
from app.cli.state import JsonFlag, invocation, output, run
from soundstage.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from pxe.image.build import BuiltImage
    from soundstage.settings import Settings

KernelName = Annotated[
    str,
    typer.Option(help="`metal`: drivers for real machines; `cloud`: for virtual ones alone, much smaller."),
]
Packages = Annotated[
    list[str] | None, typer.Option("--package", help="A Debian package more; may be given again.")
]
Roles = Annotated[
    Path | None,
    typer.Option(
        help="An inventory: what the roles install with its variables is baked in, by a machine of the lab.",
        exists=True,
    ),
]
Name = Annotated[
    str, typer.Option(help="Begins the version. Machines take the greatest one that is published.")
]


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "image")
    _register_build(group)
    _register_publish(group)
    register_installer(group)


def _register_build(group: typer.Typer) -> None:
    @group.command()
    def build(
        kernel: KernelName = "metal",
        package: Packages = None,
        roles: Roles = None,
        name: Name = "debian13",
        as_json: JsonFlag = False,
    ) -> None:
        """Build the image, or find it built. Needs root: its files belong to root."""
        called = invocation()
        printer = output(as_json)
        _print_image(printer, _built(called.settings(), printer, kernel, package, roles, name))


def _register_publish(group: typer.Typer) -> None:
    @group.command()
    def publish(
        kernel: KernelName = "metal",
        package: Packages = None,
        roles: Roles = None,
        name: Name = "debian13",
        as_json: JsonFlag = False,
    ) -> None:
        """Build the image, and let machines have it, with a kernel and a ramdisk that trusts us.

        All are put into `provisioning.artefact_dir`, and the provisioning API signs their manifest."""
        from pxe.image.build import highest_version

        called = invocation()
        printer = output(as_json)
        settings = called.settings()
        built = _built(settings, printer, kernel, package, roles, name)
        names = run(_published(settings, built))
        version, taken = built.index.version, highest_version(settings.artefacts_folder)
        sentence = f"Published {version}: {', '.join(names)}."
        if taken != version:
            sentence += (
                f" Machines still take {taken}, whose name is greater: publish with a greater --name,"
                " or delete that image and publish again."
            )
        printer.answer({"version": version, "published": names, "taken": taken}, sentence)


def _built(
    settings: Settings,
    printer: Printer,
    kernel: str,
    packages: list[str] | None,
    roles: Path | None,
    name: str,
) -> BuiltImage:
    from lab.image_tree import tree_with_roles
    from provisioning_api.wiring import ansible_bin
    from pxe.image.build import build_image
    from pxe.image.debian import mirror_of_this_computer
    from pxe.image.recipe import Kernel, Recipe

    kinds = {one.name.lower(): one for one in Kernel}
    if kernel not in kinds:
        raise Invalid(
            "image.no_such_kernel", f"There is no kernel {kernel!r}.", f"Take {' or '.join(kinds)}."
        )
    if roles is not None and packages:
        raise Invalid(
            "image.packages_by_roles",
            "With --roles the roles alone say which packages are installed.",
            "Name them in `common__packages` of the inventory.",
        )
    tree = None
    if roles is not None:
        project = settings.playbooks_folder
        bin_folder = ansible_bin(settings, project) or _ansible_on_path()
        tree = tree_with_roles(roles.absolute(), project, bin_folder, kinds[kernel], printer.line)
    return build_image(
        Recipe(kernel=kinds[kernel], packages=tuple(packages or ())),
        mirror=mirror_of_this_computer(),
        ssh_user=settings.provisioning.ssh_user,
        name=name,
        tree=tree,
        say=printer.line,
    )


def _ansible_on_path() -> Path:
    found = shutil.which("ansible-playbook")
    if found is None:
        raise Unavailable(
            "image.no_ansible", "There is no ansible-playbook.", "Set `provisioning.ansible_bin`."
        )
    return Path(found).parent


def _print_image(printer: Printer, built: BuiltImage) -> None:
    index = built.index
    printer.answer(
        {
            "version": index.version,
            "folder": str(built.folder),
            "bytes": index.stored_bytes,
            "disk_bytes": index.disk_bytes,
        },
        f"{index.version}: {index.stored_bytes >> 20} MiB in {len(index.chunks)} pieces, for disks of "
        f"{index.disk_bytes >> 20} MiB and more. It is in {built.folder}.",
    )


async def _published(settings: Settings, built: BuiltImage) -> list[str]:
    from app.machines_api import machines_api

    async with machines_api(settings) as api:
        names = built.copy_to(
            settings.artefacts_folder,
            ca_pem=await api.text("/api/ca.pem"),
            manifest_key=await api.text("/boot/manifest.pub"),
            built_at=int(time.time()),
        )
        await api.post("/api/artefacts/publish")
    return names
