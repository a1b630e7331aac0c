"""`avatar models list | add | verify | where`: the operator's weights."""

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from itertools import groupby
from pathlib import Path
from typing import Any

from avatar.engines.weights.manifest import role_of, weight_file
from avatar.engines.weights.store import FOLDER_VARIABLE, Found, ModelStore, models_folder

MARKS = {
    "there": "there      ",
    "missing": "missing    ",
    "not_pinned": "not pinned ",
    "changed": "CHANGED    ",
    "wrong": "WRONG      ",
}


def add_models(verbs: Any, shared: argparse.ArgumentParser) -> None:
    help_text = "The weights of the engines on torch: what is there, what is missing, under which licences."
    models = verbs.add_parser("models", help=help_text, description=help_text)
    actions = models.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, help_text: str) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = actions.add_parser(
            name, help=help_text, description=help_text, parents=[shared]
        )
        folder = f"where the weights lie; default ${FOLDER_VARIABLE}, else {models_folder()}"
        one.add_argument("--models", type=Path, metavar="DIR", default=models_folder(), help=folder)
        return one

    action("list", "List the weights: state, licence, where to get them.")
    add = action("add", "Put a file that you fetched into its place, and pin its SHA-256.")
    add.add_argument("file", type=Path, metavar="FILE")
    add.add_argument("--role", metavar="ROLE", help="what the file is for, where its name does not tell")
    add.add_argument("--link", action="store_true", help="leave the file where it is and point to it")
    add.add_argument("--replace", action="store_true", help="also when another file was pinned before")
    verify = action("verify", "Compare what is there with what was pinned, and look into it.")
    verify.add_argument(
        "roles", nargs="*", metavar="ROLE", help="these must be there; default: all that is there"
    )
    where = action("where", "Print the folder of the weights, or where the file of a role belongs.")
    where.add_argument("role", nargs="?", metavar="ROLE")


def models(arguments: Namespace) -> int:
    """1 when `verify` found something wrong."""
    store = ModelStore(arguments.models.absolute())
    if arguments.action == "where":
        return _where(store, arguments)
    if arguments.action == "add":
        entry = weight_file(arguments.role) if arguments.role else role_of(arguments.file.name)
        found = [store.add(arguments.file, entry, link=arguments.link, replace=arguments.replace)]
    elif arguments.action == "verify":
        found = store.verify(tuple(arguments.roles))
    else:
        found = store.survey()
    if arguments.json:
        print(json.dumps({"folder": str(store.folder), "files": [_plain(store, one) for one in found]}))
    elif arguments.action == "list":
        _print_list(store, found)
    else:
        for one in found:
            print(f"{MARKS[one.state]}{one.file.role:<24} {one.path}")
            print(f"{'':<11}sha256 {one.sha256 or '–'}")
            print(f"{'':<11}licence: {one.file.licence}. {one.file.limits}")
            if one.sentence:
                print(f"{'':<11}{one.sentence}")
        if not found:
            print(f"There are no weights in {store.folder}; `models list` says where to get them.")
    bad = arguments.action == "verify" and any(one.state not in ("there", "not_pinned") for one in found)
    return int(bad)


def _where(store: ModelStore, arguments: Namespace) -> int:
    place = store.folder / weight_file(arguments.role).path if arguments.role else store.folder
    print(json.dumps({"path": str(place)}) if arguments.json else str(place))
    return 0


def _print_list(store: ModelStore, found: list[Found]) -> None:
    print(f"in {store.folder}")
    for engine, files in groupby(found, key=lambda one: one.file.engine):
        print(f"\n{engine}")
        for one in files:
            size = _size(one)
            option = " (optional)" if one.file.optional else ""
            print(f"  {MARKS[one.state]}{one.file.role:<24} {one.path.name}  {size}{option}")
            print(f"  {'':<11}licence: {one.file.licence}. {one.file.limits}")
            if one.state == "missing":
                print(f"  {'':<11}from {one.file.source}")
            elif one.sentence:
                print(f"  {'':<11}{one.sentence}")


def _size(one: Found) -> str:
    if one.size_bytes is not None:
        return f"{one.size_bytes >> 20} MiB"
    return f"about {one.file.about_mib} MiB" if one.file.about_mib else "size unknown"


def _plain(store: ModelStore, one: Found) -> dict[str, Any]:
    """With the names of the role `models`: path, sha256, source, licence."""
    return {
        "role": one.file.role,
        "engine": one.file.engine,
        "state": one.state,
        "path": one.path.relative_to(store.folder).as_posix(),
        "sha256": one.sha256,
        "size_bytes": one.size_bytes,
        "source": one.file.source,
        "licence": one.file.licence,
        "limits": one.file.limits,
        "optional": one.file.optional,
        "sentence": one.sentence,
    }
