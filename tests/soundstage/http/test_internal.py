"""Clients for our own servers and the operator's: no proxy, no redirect, errors of the caller's choice."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from raw_http import RawServer, fixed, raw_server
from tls_authorities import Authority

from soundstage.errors import Unavailable
from soundstage.http import TlsFiles, http_errors, open_blocking_client, open_client, tls_context
from soundstage.http.internal import common_tls_context


@pytest.fixture
def unused_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.usefixtures("unused_proxy")
async def test_a_proxy_of_the_environment_is_not_used(receiver: RawServer) -> None:
    url = f"http://127.0.0.1:{receiver.port}"
    async with open_client(url, timeout=5, headers={"X-Token": "t"}) as client:
        assert (await client.get("/v1/nodes")).status_code == 204

    def call() -> int:
        with open_blocking_client(url, timeout=5) as blocking:
            return blocking.get("/v1/jobs").status_code

    assert await asyncio.to_thread(call) == 204
    assert [head.split()[1] for head in receiver.heads] == ["/v1/nodes", "/v1/jobs"]
    assert "x-token: t\r\n" in receiver.heads[0].lower()


async def test_a_redirect_is_an_answer_and_not_followed(receiver: RawServer) -> None:
    moved = fixed(f"HTTP/1.1 302 Found|Location: http://127.0.0.1:{receiver.port}/")
    async with raw_server(moved) as server, open_client(timeout=5) as client:
        assert (await client.get(f"http://127.0.0.1:{server.port}/")).status_code == 302
    assert receiver.heads == []


async def test_a_unix_socket_takes_the_place_of_the_host(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, tmp_path / "s")
    async with server, open_client("http://nowhere.invalid", timeout=5, unix_socket=tmp_path / "s") as client:
        assert (await client.get("/")).status_code == 204


async def test_errors_of_httpx_become_the_callers() -> None:
    def away(error: httpx.HTTPError) -> Unavailable:
        return Unavailable("test.away", f"It does not answer: {type(error).__name__}.", "Start it.")

    async with open_client(timeout=5) as client:
        with pytest.raises(Unavailable, match="ConnectError") as caught, http_errors(away):
            await client.get("http://127.0.0.1:1/")
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


def test_a_named_authority_is_the_only_one_that_is_trusted(tmp_path: Path) -> None:
    assert tls_context().verify_mode is ssl.CERT_REQUIRED
    with pytest.raises(OSError):
        tls_context(ca_file=tmp_path / "missing.pem")


def test_clients_share_the_authorities_that_they_trust() -> None:
    assert common_tls_context() is common_tls_context()
    assert common_tls_context().verify_mode is ssl.CERT_REQUIRED and common_tls_context().check_hostname
    assert len(common_tls_context().get_ca_certs()) > 1


def test_authorities_of_the_environment_count_only_where_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = common_tls_context(trust_env=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    one = common_tls_context().get_ca_certs(binary_form=True)[0]
    (tmp_path / "ca.pem").write_text(ssl.DER_cert_to_PEM_cert(one))
    named = common_tls_context(trust_env=True)
    assert named is not before and len(named.get_ca_certs()) == 1
    assert len(common_tls_context().get_ca_certs()) > 1


async def test_certificates_are_read_again_when_their_files_have_changed(tmp_path: Path) -> None:
    """The server asks for a certificate of ours; it and we change the authority one after the other."""
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    files = TlsFiles(tmp_path / "ca.pem", tmp_path / "own.pem", tmp_path / "own-key.pem")

    def write(trusted: str, own: Authority) -> None:
        certificate, key = own.issue()
        for name, text in (("ca", trusted), ("own", certificate.read_text()), ("own-key", key.read_text())):
            (tmp_path / f"{name}.pem").write_text(text)

    write(old.pem, old)
    async with open_client(timeout=5, tls=files) as client:
        async with tls_server(old, trusted=old.pem) as url:
            assert (await client.get(url)).status_code == 204
        async with tls_server(new, trusted=old.pem) as url:
            with pytest.raises(httpx.ConnectError):
                await client.get(url)
            write(old.pem + new.pem, old)
            assert (await client.get(url)).status_code == 204
            (tmp_path / "own-key.pem").write_text("half written")
            assert (await client.get(url)).status_code == 204
        write(new.pem, new)
        async with tls_server(new, trusted=new.pem) as url:
            assert (await client.get(url)).status_code == 204
        async with tls_server(old, trusted=new.pem) as url:
            with pytest.raises(httpx.ConnectError):
                await client.get(url)


@asynccontextmanager
async def tls_server(authority: Authority, trusted: str) -> AsyncIterator[str]:
    """Answers who has a certificate of `trusted`, and shows one of `authority`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=trusted)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*authority.issue())
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
