"""Voice files are run by the worker, so only the user of the server's own machine adds them."""

from __future__ import annotations

from two_tenants import OWNER, calling, key_of

from app.composition import Services
from app.server.web import create_app


async def test_a_key_of_the_network_adds_no_voice_file(services: Services) -> None:
    key = await key_of(services, OWNER)
    async with calling(create_app(services), key) as client:
        form = {"data": {"card": "{}"}, "files": {"file": ("a.onnx", b"x")}}
        answer = await client.post("/api/voices/files", **form)
    assert (answer.status_code, answer.json()["code"]) == (403, "voice.file_not_allowed")
