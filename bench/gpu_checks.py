"""Everything that only a card can show, in one command; its outputs lie in one folder.

    scripts/bench gpu_checks --out DIR [--latentsync PATH] [--liveportrait PATH]
    scripts/bench gpu_checks --out DIR --only "memory latentsync" --within 10   # these steps, in 10 minutes
    scripts/bench gpu_checks --needs           # what a machine without network must be brought
    scripts/bench gpu_checks --out DIR --small # on the processor with reduced networks: do the programs work?

PATH are working trees of the originals; without them ours is measured alone, and the rest says "not
measured". Every step is a process of its own with a limit; one that fails or is stopped leaves its log, and
the next begins. All ends within `--within` minutes (40): what may take longer than is left is not begun, and
the steps that read memory over `--minutes` of video share what is left for them; how far one came that was
cut short is in its row. With more than 40 minutes every limit is longer by as much, for slower cards.
`figures.md` and `figures.json` are written anew after each step.

The status is 1 where a step failed, else 3 where one was cut short or not begun, else 0.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "avatar/src"))

from avatar.judge.machine import first_line, machine_facts  # noqa: E402

PARITY = ROOT / "bench/parity"
OURS = (
    "torch",
    "diffusers",
    "safetensors",
    "numpy",
    "cv2",
    "av",
    "mediapipe",
    "pytest",
    "skimage",
    "skia",
    "matplotlib",
)
ORIGINALS = {
    "latentsync": (
        "decord",
        "einops",
        "ffmpeg",
        "kornia",
        "more_itertools",
        "omegaconf",
        "soundfile",
        "tiktoken",
        "torchvision",
        "tqdm",
    ),
    "liveportrait": ("yaml", "scipy", "pykalman", "rich", "tyro", "imageio"),
}
NOISE = ("USDT:", "ERROR:2", "INFO: Created TensorFlow", "WARNING: All log messages", "W0000", "I0000")
"""How lines of native libraries begin that say nothing of what is measured."""


WITHIN_MIN, MINUTES = 40.0, 10.0
FAILED, SHORT = 1, 3
"""Statuses of this program; `SHORT` is also that of a step which tells that it was cut short."""
SECONDS_A_MINUTE = {"liveportrait photo": 21.0, "liveportrait video": 58.0, "latentsync": 98.0}
"""What a minute of video took `memory_engines.py --minutes 30 --small` on two processor cores that others
used too (21 November 2026)."""
OPENING_S, MIN_S = 120, 180
"""To open all that is needed and to end; and below what is left nothing is read."""
ENDING_S = 45
"""From its own end to the limit at which a step is stopped."""


@dataclass(frozen=True)
class Step:
    """name: of its log and its row. limit_s: what it may take. needs: packages beside ours. alone: the
    command that does without them, if there is one. lacks: why it cannot be done at all. shortens: it takes
    `--seconds`, and tells how far it came in them.
    """

    name: str
    command: tuple[str, ...]
    limit_s: float
    needs: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    lacks: str = ""
    shortens: bool = False


def main() -> int:
    until = time.monotonic() + (chosen := arguments()).within * 60
    if chosen.needs:
        print(needs())
        return 0
    out: Path = chosen.out
    out.mkdir(parents=True, exist_ok=True)
    (out / "machine.txt").write_text(machine())
    if not card() and not chosen.small:
        unknown = [(step.name, "not measured: no card here", 0.0) for step in steps(chosen)]
        write_figures(unknown, out, chosen.small)
        print("no card here: not measured (--small tries the programs on the processor)")
        return 1
    if chosen.small:  # threads of OpenMP that spin while they wait take a shared processor from each other
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    rows: list[tuple[str, str, float]] = []
    coming = steps(chosen)
    while coming:
        limit_s = limit_for(coming, until - time.monotonic())
        step = coming.pop(0)
        outcome, took = run_step(step, out, limit_s)
        rows.append((step.name, outcome, took))
        print(f"{step.name:<24} {outcome} ({took:.0f} s)", flush=True)
        write_figures(rows, out, chosen.small)
    return status([outcome for _, outcome, _ in rows])


def limit_for(coming: list[Step], left_s: float) -> float:
    """Seconds for the first of the steps to come; 0 where it must not be begun. Those that can be cut short
    share all that is left, each by what it may take; what one does not use is for the next.
    """
    step = coming[0]
    if not step.shortens:
        return step.limit_s if step.limit_s <= left_s else 0
    if left_s < MIN_S:
        return 0
    share = left_s * step.limit_s / sum(one.limit_s for one in coming if one.shortens)
    return max(share, MIN_S)


def status(outcome: list[str]) -> int:
    """Of the whole run, from how its steps ended."""
    if any(not one.startswith(("done", "not measured", "cut short", "not begun")) for one in outcome):
        return FAILED
    return SHORT if any(one.startswith(("cut short", "not begun")) for one in outcome) else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path("gpu-checks"))
    parser.add_argument("--latentsync", type=Path, metavar="PATH")
    parser.add_argument("--liveportrait", type=Path, metavar="PATH")
    parser.add_argument("--needs", action="store_true")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="STEP", default=[])
    parser.add_argument("--within", type=float, metavar="MINUTES", default=WITHIN_MIN, help="end by then")
    parser.add_argument("--minutes", type=float, help=f"of video, to read memory over ({MINUTES:g})")
    options = parser.parse_args()
    names = [step.name for step in every_step(options)]
    if unknown := sorted(set(options.only) - set(names)):
        parser.error(f"no step is called {', '.join(unknown)}; steps: {', '.join(names)}")
    return options


def steps(chosen: argparse.Namespace) -> list[Step]:
    """Returns the requested steps, or all."""
    return [step for step in every_step(chosen) if not chosen.only or step.name in chosen.only]


def every_step(chosen: argparse.Namespace) -> list[Step]:
    """Orders the steps: those without figures first, those that can be cut short last."""
    small = ["--small"] if chosen.small else []
    python, frames = sys.executable, "8" if chosen.small else "250"
    count = ["--steps", "2" if chosen.small else "20", *small]
    compiled = [] if chosen.small else ["--compile"]
    race = [python, str(PARITY / "race_latentsync.py"), "--frames", frames, *count, *compiled]
    modes = [python, str(PARITY / "speed_latentsync.py"), "--frames", "8" if chosen.small else "64", *count]
    drawing = [python, str(PARITY / "speed_liveportrait.py"), "--frames", frames, *small]
    portrait = [python, str(PARITY / "race_liveportrait.py"), "--frames", frames, *small]
    chain = [python, str(PARITY / "speed_chain.py"), "--seconds", "1" if chosen.small else "10", *small]
    minutes = chosen.minutes or (0.1 if chosen.small else MINUTES)
    memory = [python, str(PARITY / "memory_engines.py"), "--minutes", f"{minutes:g}", *small]
    drawing_alone, portrait_alone, modes_alone = tuple(drawing), tuple(portrait), tuple(modes)
    if chosen.latentsync:
        for command in (race, modes):
            command += ["--checkout", str(chosen.latentsync)]
    if chosen.liveportrait:
        for command in (drawing, portrait):
            command += ["--checkout", str(chosen.liveportrait)]
    # With what each test printed: how far apart two ways of drawing lay on this card.
    shown = ["-q", "-rA", "-p", "no:warnings", "-p", "no:cacheprovider"]
    marked = [python, "-m", "pytest", *shown, "-m", "gpu", str(ROOT / "tests/avatar")]
    beside_sync = ORIGINALS["latentsync"] if chosen.latentsync else ()
    beside_portrait = ORIGINALS["liveportrait"] if chosen.liveportrait else ()
    longer = max(1.0, chosen.within / WITHIN_MIN)
    return [
        Step("budget", (python, str(PARITY / "budget_latentsync.py")), 90 * longer),
        Step("tests marked gpu", tuple(marked), 300 * longer),
        Step("race liveportrait", tuple(portrait), 210 * longer, beside_portrait, portrait_alone),
        Step(
            "race latentsync",
            tuple(race),
            480 * longer,
            ORIGINALS["latentsync"],
            lacks="" if chosen.latentsync else "no working tree of the original (--latentsync)",
        ),
        Step("chain", tuple(chain), 240 * longer),
        Step("liveportrait", tuple(drawing), 120 * longer, beside_portrait, drawing_alone),
        Step("latentsync", tuple(modes), 300 * longer, beside_sync, modes_alone),
        *(
            Step(
                f"memory {name}",
                (*memory, "--engine", *engine),
                OPENING_S + SECONDS_A_MINUTE[name] * minutes,
                shortens=True,
            )
            for name, engine in (
                ("liveportrait photo", ("liveportrait", "--source", "photo")),
                ("liveportrait video", ("liveportrait", "--source", "video")),
                ("latentsync", ("latentsync",)),
            )
        ),
    ]


def run_step(step: Step, out: Path, limit_s: float) -> tuple[str, float]:
    """Returns the outcome of a step within its limit (0: not begun) and its seconds. Its log is in `out`."""
    (out / log_of(step.name)).unlink(missing_ok=True)  # of an earlier run
    if step.lacks:
        return f"not measured: {step.lacks}", 0.0
    lacking = [name for name in step.needs if importlib.util.find_spec(name) is None]
    missing = f"the original needs {', '.join(lacking)}"
    if lacking and not step.alone:
        return f"not measured: {missing}", 0.0
    if not limit_s:
        least = MIN_S if step.shortens else step.limit_s
        return f"not begun: it may take {least:.0f} s, and less is left of --within", 0.0
    command = step.alone if lacking else step.command
    if step.shortens:
        command = (*command, "--seconds", f"{limit_s - ENDING_S:.0f}")
    log = out / log_of(step.name)
    paths = os.pathsep.join([str(ROOT / "avatar/src"), os.environ.get("PYTHONPATH", "")])
    started = time.monotonic()
    with log.open("w") as file:
        try:
            ended = subprocess.run(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": paths},
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"stopped after {limit_s:.0f} s", time.monotonic() - started
    code = ended.returncode
    took = time.monotonic() - started
    outcome = output_of(log)
    last = outcome[-1] if outcome else "no word"
    if "pytest" in step.command and code in (0, 5):
        return ("done" if " passed" in last else f"not measured: {last}"), took
    if step.shortens and code == SHORT:
        return last, took  # "cut short: reached …"
    if code:
        return f"ended with {code}: {last}", took
    return (f"done, ours alone: {missing}" if lacking else "done"), took


def log_of(name: str) -> str:
    return f"{name.replace(' ', '_')}.log"


def output_of(log: Path) -> list[str]:
    """Returns the output of a step, without lines of native libraries."""
    lines = (line.rstrip() for line in log.read_text(errors="replace").splitlines())
    return [line for line in lines if line and not line.startswith(NOISE)]


def write_figures(rows: list[tuple[str, str, float]], out: Path, small: bool) -> None:
    """Writes `figures.md` and `figures.json`: what ran where, how each step ended, and what it printed."""
    (out / "figures.md").write_text(figures(rows, out, small))
    steps_so_far = [
        {
            "step": name,
            "outcome": outcome,
            "seconds": round(took, 1),
            "output": output_of(log) if (log := out / log_of(name)).is_file() else [],
        }
        for name, outcome, took in rows
    ]
    content = {"machine": json.loads(machine()), "small": small, "steps": steps_so_far}
    (out / "figures.json").write_text(json.dumps(content, indent=2) + "\n")


def figures(rows: list[tuple[str, str, float]], out: Path, small: bool) -> str:
    """Returns the outcome of every step, and below it their output."""
    tried = "Reduced networks on the processor: it shows that the programs work, and no figure of a card."
    parts = ["# Checks on a GPU", *([tried] if small else []), f"```json\n{machine()}```", table(rows)]
    for name, _, _ in rows:
        log = out / log_of(name)
        if log.is_file():
            parts.append(f"## {name}\n\n```text\n" + "\n".join(output_of(log)) + "\n```\n")
    return "\n\n".join(parts)


def table(rows: list[tuple[str, str, float]]) -> str:
    """Steps that have no row yet are still to come, or the run was broken off."""
    lines = ["| step | how it ended | seconds |", "|---|---|---|"]
    body = (f"| {name} | {outcome.replace('|', '/')} | {took:.0f} |" for name, outcome, took in rows)
    return "\n".join([*lines, *body, ""])


def card() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def machine() -> str:
    commit = first_line("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    return json.dumps(machine_facts() | {"commit": commit}, indent=2) + "\n"


def needs() -> str:
    """Returns a list of the packages that are here, for a machine without network."""
    groups = {"ours": OURS, **{f"the original {name}": packages for name, packages in ORIGINALS.items()}}
    lines = ["The checkout, Python 3.11 or 3.12, the NVIDIA driver, and packages (versions: avatar/uv.lock)."]
    for title, packages in groups.items():
        lines.append(f"{title}:")
        for name in packages:
            there = importlib.util.find_spec(name) is not None
            lines.append(f"  {name}" if there else f"  {name:<16} not in this environment")
    lines.append("For a race against the originals their working trees, and their packages by name and")
    lines.append("version: bench/parity/originals.txt. No weights: seeds make them.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
