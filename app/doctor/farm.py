"""Checks that `soundstage doctor --farm` makes for the playbook. Nothing is changed on any machine."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from app.doctor.inventory import HostFacts, Inventory, ask_hosts, read_inventory
from app.farm_setup.inventory_files import PROJECT, farm_secrets
from soundstage.errors import SoundstageError
from soundstage.health import Check, amber, green, red

PARTS = {
    "agent": "the studio and the agent",
    "provisioning": "the provisioning API and network boot",
    "monitoring": "metrics, alerts and logs",
    "workers": "machines that work",
}
"""Groups of the inventory, and what they switch on."""
CLOCK_TOLERANCE_S = 60
LITTLE_SPACE_MIB = 10_240
RENEWAL_TIMER = Path("/etc/systemd/system/soundstage-renewal.timer")
"""As schedule-renewal.yaml places it."""


async def examine_farm(folder: Path) -> list[Check]:
    """Never raises for what it looks for: a broken thing is a red line. `folder` is an absolute path."""
    nested = folder / "inventory"
    path = nested if nested.is_dir() else folder
    if not path.exists():
        return [
            red("inventory", f"{folder} does not exist", "soundstage init", code="farm.no_inventory"),
        ]
    try:
        inventory = await read_inventory(path)
        if not inventory.groups.get("control"):
            fix = "Name a machine in the group `control`, or let `soundstage init` write the inventory."
            return [red("inventory", f"{path} names no control machine", fix, code="farm.no_control_machine")]
        checks = [_parts(inventory), *_control_plane(inventory)]
        answers = await ask_hosts(inventory, _package_hosts(inventory))
    except SoundstageError as error:
        return [red("inventory", error.message, error.hint, code=error.code)]
    for name, facts in answers.items():
        checks += _host(name, facts, inventory)
    return [*checks, *_boot(inventory), *_url(inventory), *_weights(inventory), *_keys(inventory)]


def _defaults(role: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(
        (PROJECT / "ansible/roles" / role / "defaults/main.yml").read_text(encoding="utf-8")
    )
    return found


def _control(inventory: Inventory) -> dict[str, Any]:
    """Returns the variables of the first control machine, which hold for the farm."""
    return inventory.machines[sorted(inventory.groups["control"])[0]]


def _parts(inventory: Inventory) -> Check:
    off = [f"{group} ({what})" for group, what in PARTS.items() if not inventory.groups.get(group)]
    found = f"{len(inventory.machines)} machines in {inventory.path}"
    return green("inventory", f"{found}; switched off: {', '.join(off)}" if off else found)


def _control_plane(inventory: Inventory) -> Iterator[Check]:
    """Checks what several machines that run the studio need."""
    groups, variables = inventory.groups, _control(inventory)
    for group in ("agent", "database", "storage"):
        if others := sorted(set(groups.get(group, [])) - set(groups["control"])):
            fix = "Name machines of the group `control` alone there."
            found = f"{', '.join(others)} in the group `{group}` is no control machine"
            yield red("control plane", found, fix, code="farm.not_control")
    studios = sorted(groups.get("agent", []))
    if len(studios) < 2:
        return
    own = {"database": "agent__database_url", "storage": "agent__blobs_url"}
    if missing := [group for group, name in own.items() if not groups.get(group) and not variables.get(name)]:
        named = " and ".join(f"{own[group]} (or a machine in the group `{group}`)" for group in missing)
        found = f"only {studios[0]} runs the studio: {', '.join(studios[1:])} cannot share its state"
        yield red("control plane", found, f"Set {named}.", code="farm.state_not_shared")
    elif len(groups["control"]) < 3:
        found = f"{len(groups['control'])} servers of Nomad and Consul stand still when one is lost"
        fix = "Name three machines in the group `control`."
        yield amber("control plane", found, fix, code="farm.no_quorum")
    elif alone := [
        group for group, name in own.items() if len(groups.get(group, [])) == 1 and not variables.get(name)
    ]:
        named = " and ".join(f"{groups[group][0]} (group `{group}`)" for group in alone)
        fix = "Name a second machine there, which has the same and takes over."
        found = f"{', '.join(studios)} stand still while {named} is lost"
        yield amber("control plane", found, fix, code="farm.one_copy")
    else:
        yield green("control plane", f"{', '.join(studios)} run the studio; one leads, another takes over")


def _package_hosts(inventory: Inventory) -> list[str]:
    """Returns the hosts of packages; none where a proxy looks them up."""
    variables = _control(inventory)
    if variables.get("common__apt_proxy"):
        return []
    engines = {variables.get(f"{engine}__source") for engine in ("consul", "nomad")}
    repository = str(variables.get("consul__repo_url") or _defaults("consul").get("consul__repo_url") or "")
    mirror = urlsplit(repository).hostname if "hashicorp_repo" in engines else None
    return ["deb.debian.org", *([mirror] if mirror else [])]


def _host(name: str, facts: HostFacts | str, inventory: Inventory) -> list[Check]:
    """Returns one green line, or a line for each fault."""
    if isinstance(facts, str):
        where = inventory.machines[name].get("ansible_host", name)
        fix = f"Let `ssh {where}` work without a password (ssh-copy-id); the user is `ansible_user`."
        return [red(f"{name} SSH", facts, fix, code="host.unreachable")]
    faults = list(_faults(name, facts, inventory))
    if faults:
        return faults
    free = min(facts.free_mib.values()) / 1024
    return [green(name, f"{facts.os_name}, root rights, {free:.1f} GiB free, ports and clock are fine")]


def _faults(name: str, facts: HostFacts, inventory: Inventory) -> Iterator[Check]:
    variables = inventory.machines[name]
    farm = _defaults("farm")
    supported = variables.get("farm__supported", farm["farm__supported"])
    if not facts.root:
        fix = "Let it use sudo without a password, or give the playbook --ask-become-pass."
        yield red(f"{name} sudo", f"{facts.user} may not become root", fix, code="host.no_root")
    if facts.os_version not in supported.get(facts.os_id, []):
        systems = "; ".join(f"{system} {', '.join(versions)}" for system, versions in supported.items())
        fix = f"Install one of: {systems}. Or name it in farm__supported when you have tried it."
        yield red(f"{name} system", facts.os_name, fix, code="host.unsupported_system")
    if not facts.systemd:
        fix = "The roles set up services of systemd; take a machine where it runs."
        yield red(f"{name} systemd", "systemd does not run", fix, code="host.no_systemd")
    folder, free = min(facts.free_mib.items(), key=lambda one: one[1])
    if free < int(variables.get("farm__free_mib", farm["farm__free_mib"])):
        yield red(f"{name} disk", f"{free} MiB free on {folder}", "Free some space.", code="host.disk_full")
    elif free < LITTLE_SPACE_MIB:
        fix = "Images, videos and logs need more in time."
        yield amber(f"{name} disk", f"{free / 1024:.1f} GiB free on {folder}", fix, code="host.little_space")
    if abs(facts.clock_off_s) > CLOCK_TOLERANCE_S:
        off = f"{abs(facts.clock_off_s):.0f} s {'ahead' if facts.clock_off_s > 0 else 'behind'}"
        yield red(f"{name} clock", off, "timedatectl set-ntp true", code="host.clock_off")
    if facts.unresolved:
        fix = "Set its name servers, or common__apt_proxy where a proxy fetches packages."
        yield red(f"{name} DNS", f"cannot resolve {', '.join(facts.unresolved)}", fix, code="host.no_dns")
    yield from _ports(name, facts, inventory)
    yield from _interface(name, facts, inventory)


def _ports(name: str, facts: HostFacts, inventory: Inventory) -> Iterator[Check]:
    """Ports of parts that are not there yet; a part that is there listens on its own."""
    member = {group for group, members in inventory.groups.items() if name in members}
    required = {"consul": {8301, 8501}, "nomad": {4646}}
    if "agent" in member:
        required["agent"] = {8000, int(inventory.machines[name].get("agent__tls_port") or 8000)}
    if "database" in member:
        required["postgresql"] = {5432}
    if "storage" in member:
        required["soundstage-objects"] = {7070}
    if "provisioning" in member:
        required["provisioning"] = {8001, 8002}
        if inventory.machines[name].get("pxe_server__interface"):
            required["boot"] = {80}
    for part, ports in required.items():
        taken = sorted(ports & set(facts.tcp_ports)) if part not in facts.ours else []
        # nginx on port 80 may be Debian's own, whose page the role takes away.
        if taken and part != "boot":
            fix = f"`ss -ltnp` on the machine names the program; stop it, or give {part} another port."
            found = f"port {', '.join(map(str, taken))} is taken, and {part} needs it"
            yield red(f"{name} ports", found, fix, code="host.port_taken")
    if "boot" in required and "boot" not in facts.ours and 67 in facts.udp_ports:
        fix = "Stop it, or set pxe_server__mode: proxy where it shall go on elsewhere."
        yield red(f"{name} ports", "a DHCP server runs on this machine", fix, code="host.dhcp_server")


def _interface(name: str, facts: HostFacts, inventory: Inventory) -> Iterator[Check]:
    variables = inventory.machines[name]
    interface = variables.get("pxe_server__interface")
    if name not in inventory.groups.get("provisioning", []) or not interface:
        return
    if interface not in facts.interfaces:
        fix = f"Set pxe_server__interface to one of {', '.join(sorted(facts.interfaces))}."
        yield red(f"{name} boot", f"there is no interface {interface}", fix, code="host.no_interface")
        return
    address = str(variables.get("pxe_server__address") or variables.get("ansible_host") or name)
    if address not in facts.interfaces[interface]:
        has = ", ".join(facts.interfaces[interface]) or "no address"
        fix = "Set pxe_server__address to an address of the interface, or name another interface."
        found = f"{interface} has {has}, and not {address}"
        yield red(f"{name} boot", found, fix, code="host.other_address")


def _boot(inventory: Inventory) -> list[Check]:
    machines = inventory.groups.get("provisioning", [])
    guide = "docs/guide/network-boot.md"
    off = [name for name in machines if not inventory.machines[name].get("pxe_server__interface")]
    if off:
        fix = f"Set pxe_server__interface ({guide}), or leave it: machines then bring a system."
        return [amber("network boot", f"off on {', '.join(off)}", fix, code="boot_network.off")]
    built = [name for name in machines if inventory.machines[name].get("provisioning_api__image") != ""]
    if built and shutil.which("go") is None:
        found = f"no Go here to compile what machines boot, for the first image of {built[0]}"
        fix = 'Install Go 1.26 (https://go.dev/dl), or set provisioning_api__image: "".'
        return [amber("network boot", found, fix, code="boot_network.no_go")]
    return []


def _url(inventory: Inventory) -> list[Check]:
    if not inventory.groups.get("agent"):
        return []
    found: list[Check] = []
    for name in _control(inventory).get("agent__tls_names") or []:
        try:
            addresses = {str(info[4][0]) for info in socket.getaddrinfo(name, None)}
        except OSError:
            addresses = set()
        own = str(_control(inventory).get("ansible_host", ""))
        if own in addresses:
            found.append(green("studio", f"{name} is {own}"))
        else:
            has = ", ".join(sorted(addresses)) or "no address"
            fix = f"Give it the address {own} in your DNS."
            found.append(amber("studio", f"{name} has {has} here", fix, code="farm.name_elsewhere"))
    return found


def _weights(inventory: Inventory) -> list[Check]:
    default = Path.home() / ".local/share/soundstage/models"
    required: dict[str, tuple[Path, dict[str, Any]]] = {}
    programs: set[Path] = set()
    for variables in inventory.machines.values():
        folder = Path(variables.get("models__from") or default).expanduser()
        of_llama = variables.get("models__llama_server", folder / "llama.cpp")
        for entry in variables.get("models__manifest") or []:
            if not entry.get("url"):
                required[str(entry.get("path"))] = (folder, entry)
            if of_llama and str(entry.get("path")).endswith(".gguf"):
                programs.add(Path(of_llama).expanduser() / "llama-server")
    missing = [
        red(
            "weights",
            f"{folder / path} is not there",
            f"Fetch it from {entry.get('source', 'its source')}, or take it out of models__manifest.",
            code="weights.missing",
        )
        for path, (folder, entry) in required.items()
        if not (folder / path).is_file()
    ]
    # The workers may have it already.
    missing += [
        amber(
            "weights",
            f"{program} is not there, which serves language models",
            "Put llama.cpp's release or what scripts/llama_server builds there, unless the workers have it.",
            code="weights.no_llama_server",
        )
        for program in sorted(programs)
        if not program.is_file()
    ]
    if missing:
        return missing
    return [green("weights", f"{len(required)} files are there" if required else "none in models__manifest")]


def _keys(inventory: Inventory) -> list[Check]:
    named = str(_control(inventory).get("farm__secrets") or "")
    folder = farm_secrets() if "{{" in named or not named else Path(named).expanduser()
    found: list[Check] = []
    if not folder.exists():
        found.append(green("keys", f"made in {folder} at the first run; keep a copy then"))
    elif folder.stat().st_mode & 0o077:
        fix = f"chmod -R go= {folder}"
        found.append(red("keys", f"others may read {folder}", fix, code="secrets.readable"))
    else:
        found.append(green("keys", f"in {folder}"))
    if (folder / "tls").exists() and not RENEWAL_TIMER.exists():
        fix = f"ansible-playbook -i {inventory.path} ansible/playbooks/schedule-renewal.yaml"
        found.append(
            amber("certificates", "only your own runs renew them", fix, code="farm.no_renewal_timer")
        )
    repository = str(_control(inventory).get("backup__repository") or "")
    kind = repository.partition(":")[0]
    if (file := {"s3": "backup/s3.secret", "sftp": "backup/ssh.key"}.get(kind)) and not (
        folder / file
    ).exists():
        fix = f"Put it there, mode 0600: {folder / file}" + (
            ", and set backup__s3_access_key." if kind == "s3" else "."
        )
        found.append(red("backups", f"{repository} needs a key", fix, code="backup.no_key"))
    if not repository and not _control(inventory).get("backup__folder"):
        found.append(
            amber(
                "backups",
                "copies stay on the machine that they protect",
                "Set backup__repository: s3:…, sftp:…, or a folder that another machine keeps.",
                code="farm.backup_not_elsewhere",
            )
        )
    return found
