"""A receiver on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from raw_http import RawServer, fixed, raw_server


@pytest.fixture
async def receiver() -> AsyncIterator[RawServer]:
    """Answers 204 to everything."""
    async with raw_server(fixed("HTTP/1.1 204 No Content")) as created:
        yield created
