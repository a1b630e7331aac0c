"""Calls connect to the address that was checked, follow nothing past it, and end within their bounds."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import subprocess
import time
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from raw_http import RawServer, fixed, raw_server

from soundstage.errors import SoundstageError
from soundstage.http import Bounds, Destinations, OwnListeners, addresses, outgoing_client, resolve
from soundstage.http.addresses import LOOPBACK_NETWORKS, Address
from soundstage.http.loops import install_loop_refusal

LOCAL = Destinations(OwnListeners(), LOOPBACK_NETWORKS)
CAREFUL = Destinations(OwnListeners())
BOUNDS = Bounds(silence_s=5, answer_bytes=1000, total_s=5)


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Every lookup gets the next of these answers, and the last one from then on."""
    left = [[ip_address(one) for one in answer] for answer in answers]

    async def lookup(*_: object) -> list[Address]:
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(addresses, "lookup", lookup)


async def called(url: str, destinations: Destinations = LOCAL, bounds: Bounds = BOUNDS) -> httpx.Response:
    async with outgoing_client(destinations, bounds) as client:
        return await client.get(url)


async def refused(url: str, destinations: Destinations = LOCAL, bounds: Bounds = BOUNDS) -> SoundstageError:
    with pytest.raises(SoundstageError) as error:
        await called(url, destinations, bounds)
    assert error.value.message and error.value.hint
    return error.value


async def test_a_call_goes_out_with_the_host_of_its_url_and_asks_for_plain_bytes(receiver: RawServer) -> None:
    answer = await called(f"http://localhost:{receiver.port}/path?of=mine")
    assert answer.status_code == 204
    head = receiver.heads[0].lower()
    assert head.startswith("get /path?of=mine http/1.1")
    assert f"host: localhost:{receiver.port}\r\n" in head
    assert "accept-encoding: identity\r\n" in head and "soundstage-outgoing: 1\r\n" in head


async def test_a_name_that_was_public_and_is_loopback_now_is_not_connected_to(
    receiver: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    url = f"https://rebinding.example:{receiver.port}/"
    assert (await resolve(url, CAREFUL)).addresses == (ip_address("93.184.215.14"),)
    assert (await refused(url, CAREFUL)).code == "outgoing.address_refused"
    assert receiver.connections == 0


async def test_the_address_that_was_checked_is_connected_to_without_another_lookup(
    receiver: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second answer would lead nowhere: only a second lookup would see it."""
    names(monkeypatch, ["127.0.0.1"], ["93.184.215.14"])
    assert (await called(f"http://once.example:{receiver.port}/")).status_code == 204
    assert f"host: once.example:{receiver.port}" in receiver.heads[0].lower()


async def test_the_next_address_of_a_name_is_tried_where_the_first_takes_no_connection(
    receiver: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, ["127.0.0.3", "127.0.0.1"])
    assert (await called(f"http://two.example:{receiver.port}/")).status_code == 204


@pytest.mark.parametrize("location", ["http://127.0.0.1:{port}/inner", "//169.254.169.254/", "/elsewhere"])
async def test_a_redirect_is_not_followed(location: str, receiver: RawServer) -> None:
    where = location.format(port=receiver.port)
    async with raw_server(fixed(f"HTTP/1.1 302 Found|location: {where}")) as redirecting:
        answer = await called(redirecting.url)
    assert (answer.status_code, answer.headers["location"]) == (302, where)
    assert receiver.connections == 0 and redirecting.connections == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "localhost"])
async def test_an_own_listener_is_not_connected_to(host: str, receiver: RawServer) -> None:
    own = OwnListeners(frozenset({receiver.port}))
    for destinations in (
        Destinations(own, LOOPBACK_NETWORKS, plain_http=True),
        Destinations(own, named_by_operator=True),
    ):
        error = await refused(f"http://{host}:{receiver.port}/", destinations)
        assert (error.code, error.status) == ("outgoing.own_listener", 403)
    assert receiver.connections == 0


async def test_an_answer_without_end_is_cut_at_its_bound() -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(65536))
            sent += 65536
            await writer.drain()

    async with raw_server(endless) as server:
        assert (await refused(server.url)).code == "outgoing.answer_too_large"
    assert sent < 64 << 20


async def test_an_answer_that_would_unpack_to_gigabytes_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(10 << 20))
    packed = fixed("HTTP/1.1 200 OK|content-encoding: gzip", bomb)
    async with raw_server(packed) as server:
        with pytest.raises(httpx.DecodingError, match="gzip"):
            await called(server.url, bounds=Bounds(5, answer_bytes=len(bomb), total_s=5))


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: "])
async def test_an_answer_that_drips_ends_with_the_whole_time(head: bytes) -> None:
    """Each byte comes within the time of one read."""

    async def dripping(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    began = time.monotonic()
    async with raw_server(dripping) as server:
        error = await refused(server.url, bounds=Bounds(silence_s=5, answer_bytes=1000, total_s=0.3))
    assert (error.code, error.status) == ("outgoing.answer_too_slow", 504)
    assert time.monotonic() - began < 4


async def test_a_stream_ends_with_silence_and_not_with_time() -> None:
    async def streaming(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(20):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)
        await asyncio.sleep(60)

    received = b""
    async with (
        raw_server(streaming) as server,
        outgoing_client(LOCAL, Bounds(silence_s=0.3, answer_bytes=1000)) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            async with client.stream("GET", server.url) as answer:
                async for part in answer.aiter_bytes():
                    received += part
    assert received == b"x" * 20


async def test_the_certificate_is_checked_against_the_name_and_not_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, ["127.0.0.1"])
    certificate, key = _self_signed(tmp_path, "named.example")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=certificate)
    async with (
        raw_server(fixed("HTTP/1.1 204 No Content"), tls=serving) as server,
        outgoing_client(LOCAL, BOUNDS, verify=trusting) as client,
    ):
        assert (await client.get(f"https://named.example:{server.port}/")).status_code == 204
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get(f"https://other.example:{server.port}/")


async def test_what_the_operator_names_may_be_on_this_machine_and_away(
    receiver: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = Destinations(OwnListeners(), named_by_operator=True)
    assert (await called(receiver.url, named)).status_code == 204
    with pytest.raises(httpx.ConnectError):
        await called("http://name.invalid/", named)


async def test_a_proxy_of_the_environment_serves_what_the_operator_names_elsewhere(
    receiver: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", receiver.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    named = Destinations(OwnListeners(), named_by_operator=True)
    async with outgoing_client(named, BOUNDS, use_proxies=True) as client:
        assert (await client.get("http://service.invalid/x")).status_code == 204
    assert receiver.heads[0].startswith("GET http://service.invalid/x")
    with pytest.raises(httpx.ConnectError):
        await called("http://service.invalid/x", named)


async def test_a_call_that_comes_back_to_us_is_refused_before_anybody_looks_at_it() -> None:
    app = FastAPI()
    reached: list[str] = []

    @app.get("/")
    async def root() -> None:
        reached.append("reached")

    install_loop_refusal(app)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://studio") as client:
        assert (await client.get("/")).status_code == 200
        answer = await client.get("/", headers={"Soundstage-Outgoing": "1"})
    assert (answer.status_code, answer.json()["code"]) == (508, "outgoing.loop_refused")
    assert reached == ["reached"]


def _self_signed(folder: Path, name: str) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            f"/CN={name}",
            "-addext",
            f"subjectAltName=DNS:{name}",
            "-days",
            "2",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key
