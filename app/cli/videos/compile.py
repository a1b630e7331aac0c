"""`soundstage compile`: a DIS dossier becomes a persona, a workflow and a mock API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.connection import call_studio
from app.cli.printing import Printer
from app.cli.state import JsonFlag, output
from app.cli.words import segment
from soundstage.errors import Invalid, NotFound

if TYPE_CHECKING:
    from agent.dossiers.problems import BadDossier
    from agent.dossiers.schemas import Compiled


def register(cli: typer.Typer) -> None:
    @cli.command("compile")
    def compile_command(
        file: Annotated[Path, typer.Argument(help="A dossier as JSON (DIS 1.6).")],
        persona_id: Annotated[
            str | None, typer.Option("--id", help="Id of the persona; default from the dossier's domain.")
        ] = None,
        save: Annotated[bool, typer.Option("--save", help="Put it among the personas.")] = False,
        replace: Annotated[
            bool, typer.Option("--replace", help="With --save, in the place of what was compiled before.")
        ] = False,
        out: Annotated[
            Path | None, typer.Option(help="Write persona, workflow and API into this folder.")
        ] = None,
        serve: Annotated[bool, typer.Option("--serve", help="Serve the mock API until Ctrl-C.")] = False,
        port: Annotated[int, typer.Option(min=1, max=65535, help="Of the mock API.")] = 8010,
        as_json: JsonFlag = False,
    ) -> None:
        """Compile a dossier. All faults are told at once, each with its JSON pointer."""
        from agent.dossiers.compiling import compile_bytes
        from agent.dossiers.problems import BadDossier
        from agent.dossiers.schemas import Compiled

        printer = output(as_json)
        content = _read(file)
        try:
            compiled = compile_bytes(content, persona_id)
        except BadDossier as error:
            _tell_faults(printer, error)
            raise typer.Exit(1) from error
        if save:
            path = f"/api/compile/save/{segment(compiled.agent_id)}"
            dossier = json.loads(content)
            saved = call_studio(lambda api: api.post(path, dossier, replace=replace))
            compiled = Compiled.model_validate(saved)
        if out is not None:
            _write(compiled, out)
        _tell(printer, compiled, out)
        if serve:
            printer.note(f"The mock API answers at http://127.0.0.1:{port}/ (openapi.json); Ctrl-C ends it.")
            import uvicorn

            from agent.dossiers.mock_server import mock_app

            uvicorn.run(mock_app(compiled.api), host="127.0.0.1", port=port, log_level="warning")


def _read(file: Path) -> bytes:
    from agent.dossiers.reading import MAX_BYTES

    try:
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        why = error.strerror or str(error)
        if isinstance(error, FileNotFoundError):
            raise NotFound("dossier.not_found", f"There is no file {file}.", "Check the path.") from error
        raise Invalid("dossier.unreadable", f"{file} cannot be read: {why}.", "Check the file.") from error


def _tell_faults(printer: Printer, error: BadDossier) -> None:
    if printer.as_json:
        printer.value({"success": False, "errors": [problem.model_dump() for problem in error.problems]})
        return
    for problem in error.problems:
        printer.line(problem.sentence())
    if error.count > len(error.problems):
        printer.line(f"… and {error.count - len(error.problems)} more.")


def _tell(printer: Printer, compiled: Compiled, out: Path | None) -> None:
    if printer.as_json:
        printer.value(compiled)
        return
    for warning in compiled.warnings:
        printer.note(f"warning {warning.sentence()}")
    where = " It is among the personas now." if compiled.saved else f" It is in {out}." if out else ""
    operations = sum(map(len, compiled.api["paths"].values()))
    steps = len(compiled.workflow.steps)
    printer.line(f"{compiled.agent_id}: {steps} steps, {operations} operations of the mock API.{where}")
    if not compiled.saved and out is None:
        printer.line(compiled.agent_yaml.rstrip())


def _write(compiled: Compiled, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    texts = {
        f"{compiled.agent_id}.yaml": compiled.agent_yaml,
        f"{compiled.agent_id}.workflow.json": compiled.workflow.model_dump_json(indent=2) + "\n",
        f"{compiled.agent_id}.openapi.json": json.dumps(compiled.api, indent=2, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
