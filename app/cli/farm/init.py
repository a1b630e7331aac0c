"""`soundstage init`: five questions, and the inventory of a farm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.state import JsonFlag, output

QUESTIONS = {
    "name": "Name of the farm",
    "address": "Address of the control machine",
    "boot": "Network and interface for boot (`10.0.0.0/24 eth0`; `proxy eth0` beside a DHCP server; `none`)",
    "url": "Address of the studio for people",
    "backups": "Where backups go (a folder, sftp:USER@HOST:/FOLDER, s3:https://HOST/BUCKET)",
}


def register(cli: typer.Typer) -> None:
    @cli.command()
    def init(
        folder: Annotated[Path, typer.Argument(help="Where the inventory goes.")] = Path("my-farm"),
        name: Annotated[str | None, typer.Option(help=f"{QUESTIONS['name']}.")] = None,
        address: Annotated[str | None, typer.Option(help=f"{QUESTIONS['address']}, IPv4.")] = None,
        boot: Annotated[str | None, typer.Option(help=f"{QUESTIONS['boot']}.")] = None,
        url: Annotated[str | None, typer.Option(help=f"{QUESTIONS['url']}, https.")] = None,
        backups: Annotated[str | None, typer.Option(help=f"{QUESTIONS['backups']}.")] = None,
        defaults: Annotated[
            bool, typer.Option("--defaults", help="Ask nothing; take the proposals.")
        ] = False,
        force: Annotated[bool, typer.Option("--force", help="Replace files that differ.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Ask five questions and write the inventory of a farm, for the playbook."""
        from app import farm_setup
        from app.farm_setup.defaults import local_addresses

        printer = output(as_json)
        options = {"name": name, "address": address, "boot": boot, "url": url, "backups": backups}
        asks = not (defaults or printer.as_json)
        texts: dict[str, str] = {}
        for key, value in options.items():
            # Proposals depend on the address, which is the second answer.
            proposal = farm_setup.default_answers(texts.get("address"))[key]
            if value is None:
                value = _ask(key, proposal, texts) if asks else proposal
            texts[key] = value
        answers = farm_setup.FarmAnswers.read(**texts)
        is_here = str(answers.address) in {one.address for one in local_addresses()}
        changes = farm_setup.compare_files(
            folder, farm_setup.inventory_files(answers, is_this_machine=is_here)
        )
        for change in changes:
            if change.diff:
                printer.line(change.diff)
        farm_setup.write_files(changes, force=force)
        next_command = f"soundstage doctor --farm {folder}"
        if printer.as_json:
            files = [
                {"path": str(change.path), "state": change.state, "diff": change.diff} for change in changes
            ]
            then = f"ansible-playbook -i {folder}/inventory playbook.yaml"
            printer.value(
                {"folder": str(folder), "answers": texts, "files": files, "next": [next_command, then]}
            )
            return
        states = {"create": "written", "same": "unchanged", "replace": "replaced"}
        for change in changes:
            printer.line(f"{states[change.state]:<10} {change.path}")
        printer.line(f"Next: {next_command}")


def _ask(key: str, proposal: str, before: dict[str, str]) -> str:
    """Asks until the answer can be used."""
    from app.farm_setup.answers import read_answer
    from soundstage.errors import Invalid

    def read(text: str) -> str:
        try:
            read_answer(key, text, before)
        except Invalid as error:
            raise typer.BadParameter(f"{error.message} {error.hint}") from error
        return text

    answer: str = typer.prompt(QUESTIONS[key], default=proposal, value_proc=read)
    return answer
