"""Real cards through NVML, NVIDIA's management library (opened by `watch`); the driver is only needed when it
is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gpu_device_plugin.cards import Card, UnreadableCards

# Raw PCI Express lane rates in MB/s by generation, after line coding: 2.5 and 5 GT/s carry 8 of 10 bits,
# later ones 128 of 130 (PCI-SIG base specifications); generation 6 is flit coded.
_LANE_MB_S = {1: 250, 2: 500, 3: 985, 4: 1969, 5: 3938, 6: 7563}
_MIB = 1024 * 1024


class NvmlCards:
    """All cards of the driver. A card that stops answering stays in the list with its fault, under its own
    id."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._known: dict[int, Card] = {}

    def read(self) -> list[Card]:
        nvml = self._open()
        try:
            driver = _text(nvml.nvmlSystemGetDriverVersion())
            count: int = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as e:
            self._close()
            raise UnreadableCards(f"the NVIDIA driver does not list its cards: {e}") from e
        cards: list[Card] = []
        for index in range(count):
            try:
                card = _card(nvml, nvml.nvmlDeviceGetHandleByIndex(index), driver)
            except nvml.NVMLError as e:
                if index not in self._known:
                    continue  # no name to announce it under
                card = replace(self._known[index], fault=f"the driver reports: {e}")
            else:
                self._known[index] = card
            cards.append(card)
        return cards

    def _open(self) -> Any:
        if self._nvml is None:
            import pynvml

            try:
                pynvml.nvmlInit()
            except pynvml.NVMLError as e:
                raise UnreadableCards(f"the NVIDIA driver is not usable: {e}") from e
            self._nvml = pynvml
        return self._nvml

    def _close(self) -> None:
        # A driver that was reloaded answers only to a library that was opened again.
        nvml, self._nvml = self._nvml, None
        try:
            nvml.nvmlShutdown()
        except nvml.NVMLError:
            return  # it was not open any more, which is what is wanted


def _card(nvml: Any, handle: Any, driver: str) -> Card:
    """One card; raises NVMLError when it does not even say who it is and how much memory it has."""
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)

    def ask(question: Callable[..., Any], *arguments: Any) -> Any:
        # Which questions a card answers differs by model and driver; what it does not answer is left out.
        try:
            return question(handle, *arguments)
        except nvml.NVMLError:
            return None

    power_limit_mw = ask(nvml.nvmlDeviceGetPowerManagementLimit)
    power_mw = ask(nvml.nvmlDeviceGetPowerUsage)
    bar1 = ask(nvml.nvmlDeviceGetBAR1MemoryInfo)
    load = ask(nvml.nvmlDeviceGetUtilizationRates)
    display = ask(nvml.nvmlDeviceGetDisplayMode)
    persistence = ask(nvml.nvmlDeviceGetPersistenceMode)
    mig = ask(nvml.nvmlDeviceGetMigMode)
    lanes = ask(nvml.nvmlDeviceGetMaxPcieLinkWidth)
    generation = ask(nvml.nvmlDeviceGetMaxPcieLinkGeneration)
    pci = ask(nvml.nvmlDeviceGetPciInfo)
    capability = ask(nvml.nvmlDeviceGetCudaComputeCapability)
    bandwidth = None if lanes is None else _LANE_MB_S.get(generation)
    return Card(
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        model=_text(nvml.nvmlDeviceGetName(handle)),
        memory_mib=memory.total // _MIB,
        used_mib=memory.used // _MIB,
        fault="MIG is on: this plugin announces whole cards or its own shares, not MIG slices"
        if mig and mig[0]
        else "",
        pci_bus_id="" if pci is None else _sysfs_bus_id(_text(pci.busId)),
        driver_version=driver,
        power_limit_w=None if power_limit_mw is None else power_limit_mw // 1000,
        power_w=None if power_mw is None else power_mw // 1000,
        bar1_mib=None if bar1 is None else bar1.bar1Total // _MIB,
        cores_clock_mhz=ask(nvml.nvmlDeviceGetMaxClockInfo, nvml.NVML_CLOCK_GRAPHICS),
        memory_clock_mhz=ask(nvml.nvmlDeviceGetMaxClockInfo, nvml.NVML_CLOCK_MEM),
        pci_bandwidth_mb_s=None if bandwidth is None else bandwidth * lanes,
        display=None if display is None else bool(display),
        persistence=None if persistence is None else bool(persistence),
        gpu_load_pct=None if load is None else load.gpu,
        memory_load_pct=None if load is None else load.memory,
        temperature_c=ask(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
        compute_capability=None if capability is None else 10 * capability[0] + capability[1],
        ecc_corrected=ask(
            nvml.nvmlDeviceGetTotalEccErrors, nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, nvml.NVML_VOLATILE_ECC
        ),
        ecc_uncorrected=ask(
            nvml.nvmlDeviceGetTotalEccErrors, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        ),
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _sysfs_bus_id(bus_id: str) -> str:
    """NVML writes 00000000:3B:00.0 where Linux, and with it Nomad's NUMA placement, writes 0000:3b:00.0."""
    return bus_id[-12:].lower()
