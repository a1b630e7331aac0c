"""The options that both verbs of networks have; `avatar lipsync` and `avatar reenact` call it."""

from __future__ import annotations

from argparse import Namespace, _ActionsContainer
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")


def add_network_options(one: _ActionsContainer) -> None:
    one.add_argument("--precision", choices=("auto", "fp32", "fp16", "bf16"), default="auto")
    one.add_argument(
        "--compile", action="store_true", help="compile the networks first: minutes, for long videos"
    )
    one.add_argument(
        "--fresh", action="store_true", help="use nothing that a stopped run had finished of the same"
    )
    one.add_argument("--models", type=Path, metavar="DIR", help="where the weights lie")


def read_options(kind: type[Options], arguments: Namespace) -> Options:
    """Returns the options of a pipeline, each from the argument of its name."""
    return kind(**{one.name: getattr(arguments, one.name) for one in fields(kind)})
