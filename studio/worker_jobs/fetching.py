"""Fetches a file that a person names by URL and keeps it as an asset; used by the worker endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import httpx

from soundstage.errors import Upstream
from soundstage.http import Bounds, Destinations, check_declared_length, outgoing_client
from studio.assets.schemas import AssetLabels, AssetView
from studio.assets.service import AssetService, plain_name

SILENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class FileFetcher:
    """`total_s` bounds each file, and `limits.upload_mib` its size."""

    assets: AssetService
    destinations: Destinations
    total_s: float

    async def fetch(self, url: str, what: str) -> AssetView:
        """`what` names the field in errors, which show no more of a URL than its host.

        Raises Upstream `job.not_fetched`, Invalid for a file of no known kind, StorageFull, and those of the
        outgoing client (`outgoing.…`). What says that it is too large, or has no room, is not read.
        """
        bounds = Bounds(
            silence_s=min(SILENCE_S, self.total_s),
            answer_bytes=self.assets.max_upload_bytes,
            total_s=self.total_s,
        )
        try:
            async with (
                outgoing_client(self.destinations, bounds) as client,
                client.stream("GET", url) as answer,
            ):
                if answer.status_code != 200:
                    raise _not_fetched(what, answer.url.host, f"answered with {answer.status_code}")
                expected = check_declared_length(answer, bounds)
                blob, found = await self.assets.store(answer.aiter_raw(), expected_bytes=expected)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _not_fetched(what, _host_of(url), "cannot be reached, or broke off") from error
        name = plain_name(PurePosixPath(httpx.URL(url).path).name) or what
        return await self.assets.add(blob, found, AssetLabels(name=name))


def _host_of(url: str) -> str:
    try:
        return httpx.URL(url).host
    except (httpx.InvalidURL, ValueError):
        return "its host"


def _not_fetched(what: str, host: str, why: str) -> Upstream:
    return Upstream(
        "job.not_fetched",
        f"The file of {what} was not fetched: {host} {why}.",
        "Name the file itself: redirects are not followed, and a signed URL may have run out.",
    )
