# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts many files, folders and links in place in one round trip, each written whole or not at all."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.soundstage.farm.plugins.module_utils.placing import (
    ARGUMENTS,
    FileState,
    PlacingError,
)

DOCUMENTATION = r"""
module: place_files
short_description: Put many files, folders and links in place in one round trip
description:
  - Each file is compared, and when it differs replaced atomically with owner, group and mode already set.
  - With --diff the contents are shown, except for files that are C(secret).
options:
  files:
    description: Files with their whole content.
    type: list
    elements: dict
    default: []
    suboptions:
      dest: {description: Absolute path., type: path, required: true}
      content: {description: What the file holds., type: str, required: true}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      mode: {description: Octal mode as text., type: str, default: "0644"}
      secret: {description: Never show the content., type: bool, default: false}
      once:
        description: Keep the content of a file that is already there; owner, group and mode are still set.
        type: bool
        default: false
      validate:
        description: A program and its arguments, C(%s) for the new file, placed only when it ends well.
        type: list
        elements: str
  folders:
    description: Folders, made with their parents before any file.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      mode: {description: Octal mode as text., type: str, default: "0755"}
      once:
        description: Leave a folder that is already there as it is, with its owner, group and mode.
        type: bool
        default: false
      exact:
        description: Purge it of files and links that this call does not name.
        type: bool
        default: false
  links:
    description: Symbolic links, replaced atomically.
    type: list
    elements: dict
    default: []
    suboptions:
      dest: {description: The link., type: path, required: true}
      src: {description: What it points at., type: str, required: true}
  absent:
    description: Files and links that must not be there.
    type: list
    elements: path
    default: []
author: Soundstage
"""

RETURN = r"""
placed:
  description: The paths that were, or in check mode would be, changed.
  returned: always
  type: list
"""


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)

    def refusal(command: list[str]) -> str:
        status, out, err = module.run_command(command)
        return "" if status == 0 else (err or out).strip() or f"status {status}"

    state = FileState(dry=module.check_mode, validate=refusal)
    try:
        state.apply(module.params)
    except PlacingError as error:
        module.fail_json(msg=str(error), placed=state.changed_paths)
    module.exit_json(changed=bool(state.changed_paths), placed=state.changed_paths, diff=state.differences)


if __name__ == "__main__":
    main()
