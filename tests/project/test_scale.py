"""The assumptions of docs/scale.md are those of the code that it names, and its table follows from them."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import jinja2

from soundstage.settings.sections import NomadSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
DAY_S = 86_400


def constant(path: str, name: str) -> ast.expr:
    """What a module gives a name at its top; the module is not run."""
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(ast.unparse(one) == name for one in node.targets):
            return node.value
    raise AssertionError(f"{path} has no {name}")


def test_the_assumptions_are_those_of_the_code() -> None:
    first, last = ast.literal_eval(constant("bench/simulate.py", "SCENES"))
    engines = constant("bench/simulate.py", "ENGINES")
    assert isinstance(engines, ast.Tuple)
    shares = [[ast.literal_eval(value) for value in one.elts[1:]] for one in engines.elts]  # type: ignore[attr-defined]
    seconds = sum(mean * share for mean, share in shares) / sum(share for _, share in shares)
    assert ((first + last) / 2, seconds) == (6.5, 44.0)
    assert "| scenes, each one segment | 6.5 (1 to 12) |" in PAGE and "| time of a segment | 44 s:" in PAGE
    assert 1 / ast.literal_eval(constant("studio/renders/reporting.py", "REPORT_S")) == 2
    assert 1 / ast.literal_eval(constant("avatar/src/avatar/work/reporter.py", "BATCH_S")) == 2.5
    assert "| 2 a second per running render |" in PAGE and "| at most 2.5 a second |" in PAGE
    assert NomadSettings().keep_hours == 24 and "after a day as delivered (`farm.nomad.keep_hours`)" in PAGE


def test_the_table_follows_from_the_assumptions() -> None:
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in PAGE.splitlines() if "|" in line}

    def number(text: str) -> float:
        return float(text.split(" places")[0].replace(" ", "").replace("MB", "").replace("GB", "e3"))

    places = [number(cell) for cell in rows["cards (places, when none is shared)"]]
    segments = [count / 44 for count in places]
    renders = [rate / 6.5 for rate in segments]
    running = [rate * 60 for rate in renders]
    expected = {
        "renders a day": [rate * DAY_S for rate in renders],
        "segments started per second": segments,
        "renders running at once": running,
        "events written per second: 30 per render and 2 · running": [
            30 * rate + 2 * now for rate, now in zip(renders, running, strict=True)
        ],
        "worker reports per second: 2.5 · running segments": [2.5 * count for count in places],
        "bytes of segments per second: 10 MB each": [10 * rate for rate in segments],
        "objects stored per second: 3 per segment": [3 * rate for rate in segments],
        "Nomad jobs registered per second": segments,
    }
    for name, figures in expected.items():
        for cell, figure in zip(rows[name], figures, strict=True):
            # Rounded for people: within a twentieth.
            assert abs(number(cell) - figure) <= 0.05 * figure, (name, cell, figure)


def test_servers_get_the_event_buffer_size_of_the_role() -> None:
    environment = jinja2.Environment(trim_blocks=True, autoescape=False)  # noqa: S701 - no HTML
    environment.filters["to_json"] = json.dumps
    template = (ROOT / "ansible/roles/nomad/templates/nomad.hcl.j2").read_text(encoding="utf-8")
    block = template[template.index("server {\n") : template.index("{% if nomad__client %}")]
    block = block.removesuffix("{% endif %}\n")
    written = environment.from_string(block).render(
        nomad__servers=["one"],
        nomad__server_addresses=["10.0.0.1"],
        nomad__client_introduction="warn",
        nomad__event_buffer_size="100000",
        nomad__failover_heartbeat_ttl="90s",
    )
    assert "  event_buffer_size      = 100000\n" in written
    assert '  failover_heartbeat_ttl = "90s"\n' in written
    assert "`nomad__event_buffer_size` of the role) is 100 as delivered" in PAGE
