"""People's URLs lead to public addresses and to networks that the operator opens; nobody's to ourselves."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

import pytest

from soundstage.errors import SoundstageError
from soundstage.http import Destinations, OwnListeners, addresses, own_listeners, resolve
from soundstage.http.addresses import LOOPBACK_NETWORKS, Address, networks_of
from soundstage.settings import Settings
from soundstage.settings.sections import PRIVATE_NETWORKS as PRIVATE_TEXTS

PRIVATE_NETWORKS = networks_of(PRIVATE_TEXTS)
NOBODY = OwnListeners()
CAREFUL = Destinations(NOBODY)
LOCAL = Destinations(NOBODY, LOOPBACK_NETWORKS)
TRUSTING = Destinations(NOBODY, (*PRIVATE_NETWORKS, *LOOPBACK_NETWORKS))
OPERATOR = Destinations(NOBODY, named_by_operator=True)


def code_of(destinations: Destinations, address: str, port: int = 443) -> str:
    """Empty where the address is allowed."""
    try:
        destinations.check("name.example", ip_address(address), port)
    except SoundstageError as error:
        return error.code
    return ""


async def resolved_code(url: str, destinations: Destinations) -> str:
    with pytest.raises(SoundstageError) as error:
        await resolve(url, destinations)
    return error.value.code


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1", "64:ff9b::93.184.215.14"])
async def test_public_addresses_are_called_by_https_alone(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert (await resolve(f"https://{host}/hook", CAREFUL)).port == 443
    assert await resolved_code(f"http://{host}/hook", TRUSTING) == "outgoing.bad_url"


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "2002:0a00:0001::",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::10.0.0.1",
    ],
)
def test_private_networks_are_closed_unless_the_operator_opens_them(address: str) -> None:
    assert code_of(CAREFUL, address) == code_of(LOCAL, address) == "outgoing.address_refused"
    assert code_of(TRUSTING, address) == code_of(OPERATOR, address) == ""


def test_an_address_whose_ipv4_part_only_a_translator_knows_is_none_of_the_internet() -> None:
    # A translator with the prefix of RFC 8215 itself reads 10.0.1.8 here, the last four bytes are 8.8.8.8.
    assert code_of(CAREFUL, "64:ff9b:1:a00:0:100:808:808") == "outgoing.address_refused"


def test_a_network_opens_itself_and_no_other() -> None:
    one = Destinations(NOBODY, (ip_network("10.1.0.0/16"),))
    assert code_of(one, "10.1.2.3") == "" and code_of(one, "10.2.0.1") == "outgoing.address_refused"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "::127.0.0.1"]
)
def test_this_machine_is_closed_unless_the_operator_opens_it(address: str) -> None:
    assert code_of(CAREFUL, address) == "outgoing.address_refused"
    assert code_of(Destinations(NOBODY, PRIVATE_NETWORKS), address) == "outgoing.address_refused"
    assert code_of(LOCAL, address) == ""


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104
        "::",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "ff02::1",
        "100.64.0.1",
        "240.0.0.1",
        "fec0::1",
        "2001::1",
    ],
)
def test_where_clouds_keep_credentials_and_what_is_no_place_at_all_is_closed_for_good(address: str) -> None:
    assert code_of(TRUSTING, address) == "outgoing.address_refused"


def test_another_address_of_this_machine_counts_as_this_machine() -> None:
    """Services of this machine on its address in the network, and a proxy there, are not the network's."""
    for address in machine_addresses():
        assert code_of(Destinations(NOBODY, PRIVATE_NETWORKS), address) == "outgoing.address_refused"


@pytest.mark.parametrize("destinations", [OPERATOR, TRUSTING, LOCAL])
def test_an_own_listener_is_refused_at_every_alias_whoever_names_it(destinations: Destinations) -> None:
    own = Destinations(OwnListeners(frozenset({8000})), destinations.networks, destinations.named_by_operator)
    aliases = ["127.0.0.1", "127.8.8.8", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1", *machine_addresses()]  # noqa: S104
    assert [alias for alias in aliases if code_of(own, alias, 8000) != "outgoing.own_listener"] == []
    assert code_of(own, "127.0.0.1", 8001) == ""
    # The same port of another machine is somebody else's.
    assert code_of(Destinations(own.listeners, named_by_operator=True), "192.0.2.7", 8000) == ""


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "127.1", "LOCALHOST", "[::ffff:7f00:1]", "0"],
)
async def test_a_written_form_of_this_machine_is_this_machine(host: str) -> None:
    own = Destinations(OwnListeners(frozenset({8000})), (*PRIVATE_NETWORKS, *LOOPBACK_NETWORKS))
    assert await resolved_code(f"http://{host}:8000/", own) == "outgoing.own_listener"
    assert await resolved_code(f"https://{host}/", CAREFUL) == "outgoing.address_refused"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://93.184.215.14/",
        "https://",
        "hook",
        "https://user:word@93.184.215.14/",
        "https://93.184.215.14:99999/",
        "http://127.0.0.1:73536/",
        "https://93.184.215.14/#part",
        "https://[::1",
        "file:///etc/passwd",
        "https://0177.0.0.1/",
    ],
)
async def test_what_is_no_url_is_refused(url: str) -> None:
    assert await resolved_code(url, TRUSTING) == "outgoing.bad_url"


async def test_a_name_that_nobody_knows_is_told() -> None:
    assert await resolved_code("https://name.invalid/x", TRUSTING) == "outgoing.unknown_host"


async def test_one_private_address_among_public_ones_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def two(*_: object) -> list[Address]:
        return [ip_address("93.184.215.14"), ip_address("10.0.0.1")]

    monkeypatch.setattr(addresses, "lookup", two)
    assert await resolved_code("https://two.example/", CAREFUL) == "outgoing.address_refused"


def test_the_listeners_are_those_of_the_settings() -> None:
    plain = own_listeners(Settings())
    assert plain.ports == {8000, 8001, 8002} and plain.names == frozenset()
    without = Settings.model_validate({"provisioning": {"enabled": False}})
    assert own_listeners(without).ports == {8000}
    assert own_listeners(without, provisioning=True).ports == {8000, 8001, 8002}
    encrypted = Settings.model_validate({"http": {"tls": "self"}, "provisioning": {"enabled": False}})
    assert own_listeners(encrypted).ports == {8000, 8443}
    free = Settings.model_validate({"http": {"port": 0}})
    assert own_listeners(free).ports == frozenset()
    proxied = Settings.model_validate(
        {
            "http": {"public_url": "https://Studio.example"},
            "provisioning": {"enabled": False, "api_url": "http://127.0.0.1:9001"},
        }
    )
    found = own_listeners(proxied)
    assert ("studio.example", 443) in found.names and found.ports == {8000, 9001}


async def test_the_public_name_of_the_studio_is_the_studio(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy elsewhere would bring the call back."""

    async def public(*_: object) -> list[Address]:
        return [ip_address("93.184.215.14")]

    monkeypatch.setattr(addresses, "lookup", public)
    settings = Settings.model_validate({"http": {"public_url": "https://studio.example"}})
    assert await resolved_code("https://STUDIO.example./x", Destinations(own_listeners(settings))) == (
        "outgoing.own_listener"
    )


def machine_addresses() -> list[str]:
    """Addresses of this machine beside loopback, found another way than the product does."""
    found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(socket.gethostname(), None)}
    bound = []
    for address in found:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                continue
        bound.append(address)
    return [address for address in bound if not ip_address(address).is_link_local]
