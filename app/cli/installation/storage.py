"""`soundstage migrate|backup|restore|gc`: the state of an installation as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.connection import call_studio, require_no_server
from app.cli.state import Invocation, JsonFlag, invocation, output, run
from soundstage.errors import Conflict, Invalid

if TYPE_CHECKING:
    from app.archive import Backup
    from app.archive.secrets import Secrets
    from app.cli.printing import Printer
    from app.cli.studio_api import StudioApi
    from policy.audit.recorded_head import Origin
    from soundstage.settings import Settings


def _key_file(settings: Settings) -> Path:
    from soundstage.sealing import KEY_FILE

    return settings.state_dir.absolute() / KEY_FILE


def _remarks(key: Path, secrets: Secrets, *, lost: bool, closed: int) -> list[str]:
    """Returns what has to be done after a restore; "" for nothing."""
    found = [_shut(key, secrets)] if secrets.unreadable else []
    if lost:
        found.append(
            f"{key.parent / 'provisioning' / 'keys'} is missing: put it back before the server starts, or "
            "every machine has to enrol anew."
        )
    if closed:
        found.append(_closed(closed))
    return found


def _shut_machines(state_dir: Path, secrets: Secrets) -> str:
    """Returns what to do about the secrets of machines that came without their key."""
    return (
        f"{secrets.unreadable} of {secrets.sealed} secrets of announced machines and BMCs cannot be opened: "
        f"put the old keys into {state_dir / 'provisioning' / 'keys'} before the server starts, or announce "
        "those machines and set up their power anew."
    )


def _unproven_logs(
    settings: Settings, studio: Origin | None, machines: Origin | None
) -> list[tuple[str, str]]:
    """The same of both processes' logs; None where there is none."""
    from app.restores import unproven_log
    from policy.audit.head import KEY_FILE

    state = settings.state_dir.absolute()
    logs = (
        (state / KEY_FILE, studio, "audit log"),
        (state / "provisioning" / "keys" / KEY_FILE, machines, "audit log of machines"),
    )
    return [unproven_log(key, name) for key, log, name in logs if log is not None and log.unproven]


def _name_openers(printer: Printer, state_dir: Path) -> None:
    """Says what opens sealed keys in an archive: it is not in there."""
    from soundstage.key_sealing import inspect_keys

    if opens_with := inspect_keys(state_dir).opens_with:
        printer.line(
            f"The keys in it are sealed: only {' and '.join(opens_with)} opens them, which is not in it. "
            "Keep a copy elsewhere; `soundstage seal` lists what each key opens, and what is lost with it."
        )


def _closed(machines: int) -> str:
    return (
        f"{machines} machines waited to be written, enrolled or wiped when the backup was made. Nothing of "
        "that happens now: accept or retire them anew, where it still holds."
    )


def _shut(key: Path, secrets: Secrets) -> str:
    """Returns what to do about secrets that came without their key."""
    why = "holds another key" if key.exists() else "is missing"
    return (
        f"{secrets.unreadable} of {secrets.sealed} tokens and secrets cannot be opened: {key} {why}. Put the "
        "key file of the old installation there before the server starts, or connect the accounts and make "
        "the webhooks anew."
    )


async def _backup(
    called: Invocation, api: StudioApi, target: Path, *, with_keys: bool
) -> tuple[Backup, int, int, bool]:
    """Let the studio make a backup, and save it; return also how many sealed secrets are in it, how many of
    machines, and whether the studio is of this state folder, from which its keys are read.
    """
    from app.archive import MachineState, check_target, save
    from app.archive.manifest import SEALED_MACHINE_SECRETS, SEALED_SECRETS

    if with_keys and api.remote:
        raise Invalid(
            "backup.keys_stay",
            "Private keys never leave a server over its API.",
            "Run `soundstage backup --with-keys` on the machine of the server.",
        )
    await check_target(target)
    keys = MachineState.of(called.settings()).keys() if with_keys else []
    async with api.download("/api/backup") as found:
        result = await save(found.chunks, target, keys)
        sealed, of_machines = (
            int(found.headers.get(name, 0)) for name in (SEALED_SECRETS, SEALED_MACHINE_SECRETS)
        )
        return result, sealed, of_machines, not api.remote


def register(cli: typer.Typer) -> None:
    @cli.command()
    def migrate(as_json: JsonFlag = False) -> None:
        """Bring the database to the tables of this version."""
        called = invocation()
        printer = output(as_json)

        require_no_server(called.settings().state_dir, "migrate")

        async def work() -> None:
            from app.composition import build
            from app.migrating import migrate as migrate_database

            services = build(called.settings())
            try:
                done = await migrate_database(services.database, services.settings.state_dir)
            finally:
                await services.database.close()
            printer.answer(
                {"before": done.before, "after": done.after, "changed": done.changed},
                f"The database is at {done.after}." + ("" if done.changed else " Nothing to do."),
            )

        run(work())

    @cli.command()
    def backup(
        target: Annotated[Path, typer.Argument(help="The file to write, e.g. soundstage.tar.")],
        with_keys: Annotated[
            bool, typer.Option("--with-keys", help="The private keys too: keep such a file like a key.")
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Write the databases, all files and your personas into one archive. The server may keep running."""
        called = invocation()
        printer = output(as_json)

        result, sealed, of_machines, is_here = call_studio(
            lambda api: _backup(called, api, target, with_keys=with_keys)
        )
        key = _key_file(called.settings()) if is_here else None
        if printer.as_json:
            shown = {"path": str(result.path), "members": result.members, "bytes": result.bytes}
            left_out = None if with_keys else str(key or "seal.key")
            counted = {"secrets": sealed, "machine_secrets": of_machines}
            printer.value({**shown, **counted, "key_left_out": left_out})
            return
        printer.line(f"{result.path}: {result.members} files, {result.bytes / 1e6:.1f} MB.")
        if with_keys:
            printer.line("It holds the private keys of this installation: keep it like a key.")
            if key is not None:
                _name_openers(printer, key.parent)
            return
        where = str(key.parent) if key is not None else "the server's state folder"
        printer.line(f"Private keys of {where} are left out: keep copies elsewhere, or use `--with-keys`.")
        printer.line("  audit.key: without it the audit log of this backup cannot be verified.")
        if sealed:
            printer.line(f"  seal.key: without it {sealed} tokens and secrets cannot be opened.")
        if key is not None and (key.parent / "provisioning" / "keys").is_dir():
            more = f", and {of_machines} secrets of machines cannot be opened" if of_machines else ""
            printer.line(f"  provisioning/keys: without them every machine enrols anew{more}.")

    @cli.command()
    def restore(
        archive: Annotated[Path | None, typer.Argument(help="A file written by `soundstage backup`.")] = None,
        finish: Annotated[
            bool,
            typer.Option(
                "--finish", help="The database came back by other means: do only what follows a restore."
            ),
        ] = False,
        force: Annotated[bool, typer.Option("--force", help="Put it in the place of what is there.")] = False,
        accept_unproven_log: Annotated[
            bool,
            typer.Option(
                "--accept-unproven-log",
                help="Go on from an audit log whose lines nothing proves; the log says so.",
            ),
        ] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Check a backup and put it back. Stop the server first."""
        called = invocation()
        printer = output(as_json)
        if finish == (archive is not None):
            raise Invalid(
                "backup.which",
                "A restore is of one archive, or the end of one that was made by other means.",
                "`soundstage restore ARCHIVE`, or `soundstage restore --finish`.",
            )
        require_no_server(called.settings().state_dir, "restore")
        if archive is None:
            _finish(called, printer, accept_unproven=accept_unproven_log)
            return

        async def work() -> None:
            from app.archive import MachineState, close_pending, machine_secrets
            from app.archive import restore as read_backup
            from app.archive.secrets import Secrets, look_at_secrets
            from app.composition import build
            from app.migrating import migrate as migrate_database
            from policy.audit import AuditEntry
            from soundstage.sealing import Sealer

            services = build(called.settings())
            done = await read_backup(
                services.database,
                services.blobs,
                services.own_personas,
                archive,
                force=force,
                machines=MachineState.of(services.settings),
            )
            await migrate_database(services.database, services.settings.state_dir)
            replaced = [str(path) for path in done.replaced]
            facts = {"revision": done.revision} | ({"replaced": replaced} if replaced else {})
            put_back = AuditEntry("backup.restored", "cli", archive.name, data=facts)
            log = await services.audit.resume_restored_chain(put_back, accept_unproven=accept_unproven_log)
            services.audit.close()
            key = _key_file(services.settings)
            secrets = await look_at_secrets(
                services.database, Sealer(key.parent, services.settings.sealing).unseal
            )
            await services.database.close()
            lost = done.machines and not (key.parent / "provisioning" / "keys").is_dir()
            closed = (
                await close_pending(services.settings, accept_unproven=accept_unproven_log)
                if done.machines
                else None
            )
            of_machines = await machine_secrets(services.settings) if done.machines else Secrets(0, 0)
            if printer.as_json:
                old = str(done.old_database) if done.old_database else None
                shown = {"members": done.members, "revision": done.revision, "kept": old}
                printer.value(
                    {
                        **shown,
                        "secrets": secrets.sealed,
                        "unreadable_secrets": secrets.unreadable,
                        "machines": done.machines,
                        "keys": done.keys,
                        "replaced_keys": replaced,
                        "closed": closed.machines if closed else 0,
                        "machine_secrets": of_machines.sealed,
                        "unreadable_machine_secrets": of_machines.unreadable,
                        "audit": accept_unproven_log or not log.unproven,
                        "unproven_lines": log.unproven,
                        "unproven_machine_lines": closed.log.unproven if closed else 0,
                    }
                )
                return
            printer.line(
                f"Restored {done.members} files."
                + (f" The old database is {done.old_database}." if done.old_database else "")
            )
            if replaced:
                printer.line(
                    f"Other keys were here: {', '.join(replaced)}. Those of the archive took their places; "
                    "the old ones lie beside them (.before-restore). Whoever made the archive could have "
                    "written the audit log in it."
                )
            if not accept_unproven_log:
                for problem in _unproven_logs(services.settings, log, closed.log if closed else None):
                    printer.line(" ".join(problem))
            if of_machines.unreadable:
                printer.line(_shut_machines(key.parent, of_machines))
            for remark in _remarks(key, secrets, lost=lost, closed=closed.machines if closed else 0):
                printer.line(remark)

        run(work())

    @cli.command()
    def gc(
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
        as_json: JsonFlag = False,
    ) -> None:
        """Remove files that nothing refers to, and renders older than the settings allow."""
        printer = output(as_json)

        path = "/api/storage/collection"
        plan = call_studio(lambda api: api.get(path) if dry_run else api.post(path))
        if printer.as_json:
            printer.value(plan)
            return
        for item in plan["items"]:
            printer.line(f"{item['kind']:<8} {item['id']}  {item['bytes'] / 1e6:.1f} MB  {item['why']}")
        if plan["events"]:
            printer.line(f"{plan['events']} events from before {plan['events_before'][:10]}")
        verb = "would be freed" if dry_run else "freed"
        stored = f"{plan['stored_bytes'] / 1e6:.1f} MB stored"
        freed = f"{plan['freed_bytes'] / 1e6:.1f} MB {verb}"
        printer.line(f"{len(plan['items'])} things, {freed}, {stored}.")
        if plan["over_quota_bytes"]:
            printer.line(f"Still {plan['over_quota_bytes'] / 1e6:.1f} MB over the quota.")


def _finish(called: Invocation, printer: Printer, *, accept_unproven: bool) -> None:
    """Finishes after a database came back by other means than `restore`. Raises Conflict for an audit log
    that nothing proves: the operator must not start the server unaware.
    """

    async def work() -> None:
        from app.archive import close_pending, has_database, has_machines
        from app.composition import build, finish_studio
        from app.migrating import migrate as migrate_database

        settings = called.settings()
        closed = (
            await close_pending(settings, accept_unproven=accept_unproven) if has_machines(settings) else None
        )
        log = None
        chain = has_database(settings)
        if chain:
            services = build(settings)
            await migrate_database(services.database, settings.state_dir)
            log = await finish_studio(services, "cli", accept_unproven=accept_unproven)
            services.audit.close()
            await services.database.close()
        machines = closed.machines if closed else 0
        lines = [_closed(machines) if machines else "Nothing was open."]
        if not accept_unproven:
            problems = _unproven_logs(settings, log, closed.log if closed else None)
            if problems:
                raise Conflict("restore.unproven_log", *problems[0])
        lines += ["The audit log goes on from the copy."] if chain else []
        printer.answer({"closed": machines, "audit": chain}, "\n".join(lines))

    run(work())
