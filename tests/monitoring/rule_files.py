"""Renders the alert rules as the role monitoring does, and runs promtool on them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import yaml

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "ansible" / "roles" / "monitoring"
RUNBOOKS = "docs/guide/monitoring.md"
_KEYWORDS = frozenset(
    (
        *("and", "or", "unless", "on", "ignoring", "by", "without", "group_left", "group_right", "bool"),
        *("offset", "sum", "max", "min", "count", "avg", "rate", "increase", "abs", "time", "timestamp"),
        *("vector", "predict_linear", "histogram_quantile", "last_over_time"),
    )
)


def alerts() -> list[dict[str, Any]]:
    """Returns the source of the rules."""
    found: list[dict[str, Any]] = yaml.safe_load((ROLE / "files" / "alerts.yml").read_text())
    return found


def rules(overrides: dict[str, Any] | None = None) -> str:
    """Returns the file that the role places."""
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)  # noqa: S701 -- YAML
    template = environment.from_string((ROLE / "templates" / "rules.yml.j2").read_text())
    return template.render(
        monitoring__alerts=alerts(), monitoring__overrides=overrides or {}, monitoring__runbooks=RUNBOOKS
    )


def check_rules(promtool: str, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True)


def run_tests(promtool: str, folder: Path, tests: list[dict[str, Any]], rule_text: str = "") -> str:
    """Runs `promtool test rules`; returns what it finds wrong, nothing when all hold."""
    (folder / "rules.yml").write_text(rule_text or rules())
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (folder / "tests.yml").write_text(json.dumps(document))
    done = subprocess.run(
        [promtool, "test", "rules", "tests.yml"], cwd=folder, capture_output=True, text=True, timeout=300
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def metric_names(expression: str) -> set[str]:
    """Returns the metrics that a PromQL expression reads."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}", " ", bare)
    bare = re.sub(r"\[[^\]]*\]", " ", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return {word for word in re.findall(r"\b[a-zA-Z_:][\w:]*", bare) if word.lower() not in _KEYWORDS}
