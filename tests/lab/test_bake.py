"""A baked layer holds what a command changed on a machine, and nothing of that machine itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from lab.bake import bake
from lab.farm_in_a_box import Lab
from lab.layers import forget_old_layers, layer_folder
from lab.paths import LabPaths
from lab.plan import machines_named
from lab.root_tree import root_tree_key
from soundstage.errors import Conflict, Upstream

pytestmark = pytest.mark.root


@pytest.fixture
def layer(lab_names: Callable[[str], Lab]) -> Iterator[str]:
    """The name of a layer that is not there, before and after."""
    name = f"test-{os.getpid()}"
    yield name
    Lab(f"bake-{name}").down()
    shutil.rmtree(layer_folder(root_tree_key(), name), ignore_errors=True)


def on_the_image(layer: str, command: str) -> list[str]:
    config = LabPaths(f"bake-{layer}").ssh_config
    return ["ssh", "-F", str(config), "image", "--", command]


def test_a_layer_brings_what_was_changed_and_deleted_but_no_names_or_keys(
    layer: str, lab_names: Callable[[str], Lab]
) -> None:
    bake(
        layer,
        on_the_image(layer, "echo baked > /etc/baked && rm /etc/debian_version && rm -r /usr/share/zoneinfo"),
    )
    lab = lab_names("baked")
    lab.up(machines_named(["one", "two"], disk_gib=1), layers=[layer])
    look = "cat /etc/baked /etc/hostname; ls /etc/debian_version /usr/share/zoneinfo 2>&1; "
    look += "systemctl is-system-running --wait"
    done = lab.run("one", ["sh", "-c", look])
    assert done.stdout.startswith("baked\none\n")
    assert done.stdout.count("No such file") == 2
    assert done.stdout.endswith("running\n")
    ids = {lab.run(name, ["cat", "/etc/machine-id"]).stdout for name in ("one", "two")}
    keys = {lab.run(name, ["sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub"]).stdout for name in ("one", "two")}
    assert (len(ids), len(keys)) == (2, 2)
    with pytest.raises(Conflict, match="stands on the layer"):
        bake(layer, ["true"])
    lab.down()


def test_a_command_that_fails_leaves_the_layer_as_it_was(layer: str) -> None:
    with pytest.raises(Upstream, match="ended with 3"):
        bake(layer, on_the_image(layer, "echo half > /etc/baked; exit 3"))
    assert not layer_folder(root_tree_key(), layer).exists()
    assert not Lab(f"bake-{layer}").exists()
    assert not any(layer_folder(root_tree_key(), layer).parent.glob(".making-*"))


def test_of_layers_that_were_baked_again_and_again_only_the_newest_stay() -> None:
    names = [f"never-used-{number}" for number in range(4)]
    for age, name in enumerate(names):
        folder = layer_folder(root_tree_key(), name)
        folder.mkdir(parents=True)
        os.utime(folder, (1e9 - age, 1e9 - age))
    try:
        assert sorted(forget_old_layers(root_tree_key(), "never-used-", keep=2)) == names[2:]
        assert [layer_folder(root_tree_key(), name).exists() for name in names] == [True, True, False, False]
    finally:
        forget_old_layers(root_tree_key(), "never-used-", keep=0)
