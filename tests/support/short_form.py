"""Leaves out the tests that take minutes, need a card or need PyTorch, unless somebody asks for them.

A pytest plugin, which tests/conftest.py registers.

`pytest tests/ROOM` is the short form, as `make test` runs it. `--long`, an `-m` of one's own, and a test that
is named by its id win.
"""

from __future__ import annotations

from importlib.util import find_spec

import pytest

# In the report of a test, for scripts/long_runs.py.
PROPERTY = "long"
LONG_MARKS = ("slow", "gpu")


def add_options(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the tests that are marked slow, too")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.markexpr or any("::" in argument for argument in config.args):
        return
    left_out = ["gpu"] if config.option.long else ["slow", "gpu"]
    if find_spec("torch") is None:
        left_out.append("torch")
    config.option.markexpr = " and ".join(f"not {mark}" for mark in left_out)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.user_properties += [
            (PROPERTY, mark) for mark in LONG_MARKS if item.get_closest_marker(mark) is not None
        ]
