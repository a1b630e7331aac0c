"""Fixtures of the agent's tests."""

from __future__ import annotations

import pytest

from agent.understanding import Grammar


@pytest.fixture(scope="session")
def grammar() -> Grammar:
    return Grammar.load()
