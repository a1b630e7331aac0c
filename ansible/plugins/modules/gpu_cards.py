#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists a machine's cards and names the NVIDIA driver that serves them all; the role gpu calls it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_cards
short_description: Find graphics cards by PCI class and vendor, and decide on the NVIDIA driver
description:
  - Reads sysfs; changes nothing. Texts such as the output of C(lspci) are not looked at.
  - Displays that cannot compute (the VGA of a BMC) are reported apart.
options:
  sysfs_root:
    description: Where sysfs is mounted; another folder in tests and in the lab.
    type: path
    default: /sys
  generations:
    description: Table of NVIDIA generations, see roles/gpu/vars/main.yml.
    type: list
    elements: dict
    required: true
  branch:
    description: Driver branch that the chosen source offers, for example 550.
    type: int
    required: true
  flavour:
    description: The driver flavour that is wanted.
    type: str
    choices: [auto, open, proprietary, legacy]
    default: auto
  state_file:
    description: Where the last run wrote down its cards. One that is gone from the bus is named in I(lost).
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Nothing is changed in any mode.
author: Soundstage contributors
"""

EXAMPLES = r"""
- name: Look for graphics cards
  soundstage.farm.gpu_cards:
    generations: "{{ gpu__generations }}"
    branch: 550
    state_file: /etc/soundstage/gpu.json
  register: gpu__found
"""

RETURN = r"""
cards:
  description: Each card with address, vendor, device, driver and generation.
  returned: always
  type: list
displays:
  description: Addresses of displays that are no cards.
  returned: always
  type: list
flavour:
  description: C(none), C(open), C(proprietary) or C(legacy).
  returned: always
  type: str
problems:
  description: Why the driver that serves these cards cannot be had; each with code, message and hint.
  returned: always
  type: list
lost:
  description: Addresses of cards that were here at the last run.
  returned: always
  type: list
"""

from dataclasses import asdict  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.soundstage.farm.plugins.module_utils.pci_cards import (  # noqa: E402
    decide,
    find_cards,
    find_lost_cards,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "sysfs_root": {"type": "path", "default": "/sys"},
            "generations": {"type": "list", "elements": "dict", "required": True},
            "branch": {"type": "int", "required": True},
            "flavour": {
                "type": "str",
                "choices": ["auto", "open", "proprietary", "legacy"],
                "default": "auto",
            },
            "state_file": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        cards, displays = find_cards(params["sysfs_root"], params["generations"])
        lost = find_lost_cards(cards, params["state_file"])
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"The PCI devices of this machine cannot be read: {error}")
    decision = decide(cards, params["generations"], params["branch"], params["flavour"])
    module.exit_json(
        changed=False,
        cards=[card.as_fact() for card in cards],
        displays=displays,
        flavour=decision.flavour,
        problems=[asdict(problem) for problem in decision.problems],
        lost=lost,
    )


if __name__ == "__main__":
    main()
