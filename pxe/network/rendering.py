"""Writes the configurations of a boot network out of its plan, and lays out what TFTP serves; called by tests
and by programs that start one. The role pxe_server uses the same templates.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pxe.network.plan import BootNetwork
from soundstage.errors import Unavailable

TEMPLATES = Path(__file__).parent / "templates"
# Debian's package `ipxe`: each by its name, and where releases have kept it.
IPXE_FILES = ("undionly.kpxe", "snponly.efi", "ipxe.efi")
_IPXE_FOLDERS = (Path("/usr/lib/ipxe"), Path("/boot"))


def dnsmasq_configuration(network: BootNetwork) -> str:
    """For `dnsmasq --conf-file`."""
    return _render("dnsmasq.conf.j2", network)


def nginx_site(network: BootNetwork) -> str:
    """One `server` for nginx, with what it needs beside it in `http`."""
    return _render("nginx.conf.j2", network)


def lay_out_tftp(folder: Path, sources: tuple[Path, ...] = _IPXE_FOLDERS) -> None:
    """Puts iPXE's programs into `folder` and nothing else, readable by everybody."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in IPXE_FILES:
        found = next((source / name for source in sources if (source / name).is_file()), None)
        if found is None:
            raise Unavailable(
                "boot_network.ipxe_missing",
                f"iPXE's {name} is not on this computer.",
                "Run: apt-get install --no-install-recommends ipxe",
            )
        shutil.copyfile(found, folder / name)
        (folder / name).chmod(0o644)


def _render(template: str, network: BootNetwork) -> str:
    # Ansible renders with the same two block settings.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  nothing of it is a page, and the plan lets no such text in
    )
    return environment.get_template(template).render(network=network.model_dump(mode="json"))
