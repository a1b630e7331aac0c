"""Machines of each kind find their way to the script for them, alone with our DHCP server and beside another
one. Real firmware, real packets; the wire is the witness.
"""

from __future__ import annotations

import pytest
from boot_net import BIOS, STRANGER, BootNet
from boot_network import Mode
from boot_packets import Step

from lab.plan import GATEWAY
from pxe.network.dhcp_messages import Option

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("qemu"), pytest.mark.timeout(900)]
SCRIPT = f"http://{GATEWAY}/boot/first.ipxe"


def fetched(seen: list[Step]) -> list[tuple[str, str]]:
    """Files in the order of the first request for each; sizes are asked for first, so many come twice."""
    found = [(step.what, step.file) for step in seen if step.what in ("TFTP", "HTTP")]
    return list(dict.fromkeys(found))


def offers(seen: list[Step], server: str) -> list[Step]:
    return [step for step in seen if step.what == "OFFER" and str(step.source) == server]


@pytest.mark.slow
def test_a_bios_machine_goes_by_tftp_and_undionly_to_its_script(boot_net: BootNet) -> None:
    boot_net.serve(boot_net.plan(Mode.SERVER))
    seen = boot_net.boot(BIOS, posing=True)
    assert [one[:2] for one in fetched(seen)][:2] == [("TFTP", "undionly.kpxe"), ("HTTP", "/boot/first.ipxe")]
    request = [step.message for step in seen if step.what == "DISCOVER" and step.message]
    assert Option.IPXE not in request[0].options, "the first to ask was plain PXE"
    assert Option.IPXE in request[-1].options, "the last was what undionly.kpxe is"


def test_beside_another_dhcp_server_a_bios_machine_gets_its_address_there_and_its_boot_file_here(
    boot_net: BootNet,
) -> None:
    boot_net.add_stranger()
    boot_net.serve(boot_net.plan(Mode.PROXY))
    seen = boot_net.boot(BIOS, posing=True)
    assert fetched(seen)[:2] == [("TFTP", "undionly.kpxe"), ("HTTP", "/boot/first.ipxe")]
    ours, theirs = offers(seen, GATEWAY), offers(seen, STRANGER)
    assert ours and not any(step.message and step.message.gives_addresses for step in ours)
    assert theirs and not any(step.file for step in theirs)


def test_beside_another_dhcp_server_uefi_asks_us_again_on_port_4011_and_goes_by_snponly(
    boot_net: BootNet,
) -> None:
    boot_net.add_stranger()
    boot_net.serve(boot_net.plan(Mode.PROXY))
    seen = boot_net.boot(boot_net.uefi(http=False))
    assert fetched(seen)[:2] == [("TFTP", "snponly.efi"), ("HTTP", "/boot/first.ipxe")]
    assert [step.file for step in seen if step.what == "ACK:4011"] == ["snponly.efi"]


@pytest.mark.slow
def test_a_uefi_machine_goes_by_tftp_and_snponly_to_its_script(boot_net: BootNet) -> None:
    boot_net.serve(boot_net.plan(Mode.SERVER))
    seen = boot_net.boot(boot_net.uefi(http=False))
    assert fetched(seen)[:2] == [("TFTP", "snponly.efi"), ("HTTP", "/boot/first.ipxe")]


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(Mode))
def test_a_uefi_machine_that_boots_by_http_needs_no_tftp(boot_net: BootNet, mode: Mode) -> None:
    if mode is Mode.PROXY:
        boot_net.add_stranger()
    boot_net.serve(boot_net.plan(mode))
    seen = boot_net.boot(boot_net.uefi(http=True))
    assert fetched(seen)[:2] == [("HTTP", "/boot/firmware/snponly.efi"), ("HTTP", "/boot/first.ipxe")]


@pytest.mark.slow
def test_a_machine_gets_the_address_that_is_reserved_for_it_from_firmware_to_script(
    boot_net: BootNet,
) -> None:
    reserved = {"mac": "52:54:00:12:34:56", "address": "10.77.0.77", "name": "node1"}
    boot_net.serve(boot_net.plan(Mode.SERVER, reservations=[reserved]))
    seen = boot_net.boot(BIOS)
    request = {step.message.your_address for step in seen if step.what == "ACK" and step.message}
    assert [str(one) for one in request] == ["10.77.0.77"]
    assert offers(seen, GATEWAY)[-1].file == SCRIPT, "iPXE in the card goes to the script at once"
