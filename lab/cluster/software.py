"""Nomad and Consul, and with our device plugin as a layer over the root tree (called by `up`).

Nothing boots for it: three programs and two units are copied into a folder.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path

from lab.layers import layer_folder
from lab.programs import run_program
from pxe.image.folder_cache import build_once
from soundstage.errors import Unavailable

_PROJECT = Path(__file__).parents[2]
_BUILD_S = 3600.0
_PLUGIN_FOLDER = "opt/soundstage-gpu"
_UNIT = """\
[Unit]
Wants=network-online.target
After=network-online.target{after}

[Service]
ExecStart=/usr/local/bin/{engine} agent {config}
KillMode=process
KillSignal=SIGINT
LimitNOFILE=65536
Restart=on-failure
RestartSec=1
Delegate=yes

[Install]
WantedBy=multi-user.target
"""
_UNITS = {
    "nomad.service": _UNIT.format(engine="nomad", config="-config /etc/nomad.d", after=" consul.service"),
    "consul.service": _UNIT.format(engine="consul", config="-config-dir /etc/consul.d", after=""),
}


def make_cluster_layer(root_tree: str, python: str) -> str:
    """Returns the name of the layer; writes it when it is not there (seconds, once the engines are built).

    `python`: the version of the machines, for example 3.13.
    """
    engines = build_engines()
    plugin = pack_plugin(python)
    facts = repr((sorted(map(str, engines.values())), plugin.name, sorted(_UNITS.items())))
    name = f"cluster-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
    build_once(layer_folder(root_tree, name), lambda staging: _write(staging, engines, plugin))
    return name


def build_engines() -> dict[str, Path]:
    """Return the programs of Nomad and Consul by name; minutes when they have to be built."""
    _require_checkout()
    building: list[str | Path] = [_PROJECT / "tools" / "build", "consul", "nomad"]
    output = run_program(building, doing="Building Nomad and Consul", timeout_s=_BUILD_S)
    return {name: Path(path) for name, path in (line.split("\t") for line in output.splitlines())}


def _write(root: Path, engines: dict[str, Path], plugin: Path) -> None:
    programs = root / "usr/local/bin"
    programs.mkdir(parents=True)
    for name, program in engines.items():
        shutil.copyfile(program, programs / name)
        (programs / name).chmod(0o755)
    with tarfile.open(plugin) as archive:
        archive.extractall(root / _PLUGIN_FOLDER, filter="tar")
    plugins = root / "opt/nomad/plugins"
    plugins.mkdir(parents=True)
    (plugins / "soundstage-gpu").symlink_to(f"/{_PLUGIN_FOLDER}/bin/gpu-device-plugin")
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    for name, text in _UNITS.items():
        (units / name).write_text(text)


def pack_plugin(python: str) -> Path:
    """Returns the archive of the device plugin for that Python, where the role nomad finds it too."""
    packing: list[str | Path] = [
        "env",
        f"SOUNDSTAGE_PACK_PYTHON={python}",
        _PROJECT / "scripts" / "pack_python",
    ]
    packing += ["farm/device_plugin", "gpu_device_plugin", "gpu-device-plugin"]
    return Path(run_program(packing, doing="Packing the device plugin", timeout_s=600).strip())


def _require_checkout() -> None:
    if not (_PROJECT / "tools" / "build").exists():
        raise Unavailable(
            "lab.needs_checkout",
            "Own Nomad and Consul in the lab need the project's checkout: they are built there.",
            "Run the command from a checkout of the project.",
        )
