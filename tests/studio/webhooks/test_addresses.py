"""Webhooks lead to the outside by https, to this machine while it is alone, and nowhere else."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from soundstage.errors import Invalid
from soundstage.settings import Settings
from studio.outgoing import webhook_reach
from studio.webhooks import addresses
from studio.webhooks.addresses import Reach, resolve
from studio.webhooks.posting import post

CAREFUL = Reach(loopback=False, private=False)
LOCAL = Reach(loopback=True, private=False)
TRUSTING = Reach(loopback=True, private=True)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1"])
async def test_public_addresses_are_reached_by_https_alone(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert (await resolve(f"https://{host}/hook", CAREFUL)).port == 443
    with pytest.raises(Invalid, match="https"):
        await resolve(f"http://{host}/hook", TRUSTING)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "2002:0a00:0001::",
        "64:ff9b::10.0.0.1",
    ],
)
def test_private_networks_are_closed_unless_opened(address: str) -> None:
    assert not CAREFUL.allows(ip_address(address)) and not LOCAL.allows(ip_address(address))
    assert TRUSTING.allows(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"],  # noqa: S104
)
def test_this_machine_is_closed_unless_opened(address: str) -> None:
    assert not CAREFUL.allows(ip_address(address))
    assert not Reach(loopback=False, private=True).allows(ip_address(address))
    assert LOCAL.allows(ip_address(address))


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "224.0.0.1", "ff02::1", "100.64.0.1"]
)
def test_where_clouds_keep_their_credentials_is_closed_for_good(address: str) -> None:
    assert not TRUSTING.allows(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://93.184.215.14/",
        "https://",
        "hook",
        "https://user:word@93.184.215.14/",
        "https://93.184.215.14:99999/",
        "https://93.184.215.14/#part",
        "https://[::1",
    ],
)
async def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as error:
        await resolve(url, TRUSTING)
    assert error.value.code == "webhook.bad_url"


async def test_a_name_that_means_this_machine_is_this_machine() -> None:
    assert (await resolve("http://localhost:81/x", LOCAL)).address in ("127.0.0.1", "::1")
    with pytest.raises(Invalid) as error:
        await resolve("https://localhost/x", CAREFUL)
    assert error.value.code == "webhook.address_refused"
    with pytest.raises(Invalid) as error:
        await resolve("https://name.invalid/x", TRUSTING)
    assert error.value.code == "webhook.unknown_host"


async def test_one_private_address_among_public_ones_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def two(*_: object) -> list[addresses.Address]:
        return [ip_address("93.184.215.14"), ip_address("10.0.0.1")]

    monkeypatch.setattr(addresses, "_addresses_of", two)
    with pytest.raises(Invalid, match=r"10\.0\.0\.1"):
        await resolve("https://two.example/", CAREFUL)


async def test_the_address_is_checked_again_at_every_try() -> None:
    posted = await post("http://127.0.0.1:9/", "{}", {}, reach=CAREFUL, timeout_s=2)
    assert posted.status is None and "may not lead" in posted.error


def test_only_a_server_that_listens_to_nobody_else_reaches_itself() -> None:
    assert webhook_reach(Settings()) == LOCAL
    assert webhook_reach(Settings.model_validate({"http": {"host": "192.168.1.2"}})) == CAREFUL
    behind_proxy = {"http": {"public_url": "https://studio.example"}}
    assert webhook_reach(Settings.model_validate(behind_proxy)) == CAREFUL
    chosen = {**behind_proxy, "webhooks": {"loopback": True, "private_addresses": True}}
    assert webhook_reach(Settings.model_validate(chosen)) == TRUSTING
