"""The plugin's config block: its schema for the agent, and its reading, which never fails (called by
`services`).

A configuration that is refused after a restart leaves the agent with a frozen picture of its cards, and one
that is refused at the agent's start keeps the node down. So a bad value becomes a sentence (`problem`) and a
node without cards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgpack

from gpu_device_plugin.wire.base_pb2 import Attr, Default, Literal, Object, Spec

STATE_DIR = Path("/var/lib/soundstage-gpu")
# Where Debian's prometheus-node-exporter reads text files.
METRICS_DIR = Path("/var/lib/prometheus/node-exporter")
# One size for the whole farm: with several, the number of shares that a job asks for would mean nothing.
SHARE_MIB = 1024

# name: (HCL type, default as HCL text)
_FIELDS = {
    "enabled": ("bool", "true"),
    "source": ("string", '"nvml"'),
    "fake_cards": ("string", '""'),
    "share_mib": ("number", "0"),
    "reserve_mib": ("number", "0"),
    "fingerprint_period": ("string", '"5s"'),
    "ignored_gpu_ids": ("list(string)", "[]"),
    "state_dir": ("string", f'"{STATE_DIR}"'),
    "metrics_dir": ("string", f'"{METRICS_DIR}"'),
}
_PERIOD_S = {"ms": 0.001, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class PluginConfig:
    """`share_mib` 0: one instance per card, several cards per task; 1024: 1 GiB shares, one group per card.

    `reserve_mib` is what is kept back of each shared card for the driver and for contexts. `metrics_dir`: the
    folder of text files of node-exporter; None, or a folder that does not exist: no metrics are written.
    """

    enabled: bool = True
    source: str = "nvml"
    fake_cards: Path | None = None
    share_mib: int = 0
    reserve_mib: int = 0
    period_s: float = 5.0
    ignored_uuids: frozenset[str] = frozenset()
    state_dir: Path = STATE_DIR
    metrics_dir: Path | None = METRICS_DIR
    problem: str = ""


def schema() -> Spec:
    """Returns the schema of the config block for the agent, with its defaults."""
    return Spec(
        object=Object(
            attributes={
                name: Spec(
                    default=Default(
                        primary=Spec(attr=Attr(name=name, type=kind)),
                        default=Spec(literal=Literal(value=value)),
                    )
                )
                for name, (kind, value) in _FIELDS.items()
            }
        )
    )


def read_config(packed: bytes) -> PluginConfig:
    """The configuration as the agent sends it (MessagePack). Never raises: see the module's sentence."""
    config = PluginConfig()
    try:
        values: Any = msgpack.unpackb(packed) if packed else {}
        if isinstance(values, dict):
            # Wanted early: even a bad configuration writes its status file in the right place.
            config = replace(config, state_dir=Path(str(values.get("state_dir") or STATE_DIR)))
        return _checked(values)
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as e:
        return replace(config, enabled=False, problem=f"bad configuration: {e}")


def _checked(values: Any) -> PluginConfig:
    if not isinstance(values, dict):
        raise ValueError("it is not a block of settings")
    share_mib = _whole(values, "share_mib")
    if share_mib not in (0, SHARE_MIB):
        raise ValueError(f"share_mib must be 0 (whole cards) or {SHARE_MIB} (shares), not {share_mib}")
    source = str(values.get("source", "nvml"))
    if source not in ("nvml", "fake"):
        raise ValueError(f'source must be "nvml" or "fake", not "{source}"')
    fake_cards = str(values.get("fake_cards") or "")
    if source == "fake" and not fake_cards.startswith("/"):
        raise ValueError('source = "fake" needs fake_cards, the absolute path of a JSON file')
    metrics_dir = str(values.get("metrics_dir", METRICS_DIR) or "")
    ignored = values.get("ignored_gpu_ids") or []
    if not isinstance(ignored, list):
        raise ValueError("ignored_gpu_ids must be a list")
    return PluginConfig(
        enabled=values.get("enabled", True) is True,
        source=source,
        fake_cards=Path(fake_cards) if source == "fake" else None,
        share_mib=share_mib,
        reserve_mib=_whole(values, "reserve_mib"),
        period_s=_period(str(values.get("fingerprint_period") or "5s")),
        ignored_uuids=frozenset(str(uuid) for uuid in ignored),
        state_dir=Path(str(values.get("state_dir") or STATE_DIR)),
        metrics_dir=Path(metrics_dir) if metrics_dir else None,
    )


def _whole(values: dict[Any, Any], name: str) -> int:
    value = values.get(name, 0)
    # The agent sends HCL numbers as integers or floats, as they fit.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or value < 0:
        raise ValueError(f"{name} must be a whole number, 0 or more")
    return int(value)


def _period(text: str) -> float:
    match = re.fullmatch(r"(\d+)(ms|s|m)", text)
    seconds = int(match[1]) * _PERIOD_S[match[2]] if match else 0.0
    if not 0.1 <= seconds <= 600:
        raise ValueError(f'fingerprint_period must be between "100ms" and "10m", not "{text}"')
    return seconds
