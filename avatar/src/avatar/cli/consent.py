"""Reads and writes records of consent: from the prompt, from the record beside a file, or by name."""

from __future__ import annotations

import os
import secrets
from argparse import Namespace, _ActionsContainer
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from avatar.cli.input_files import require_inputs_unchanged
from avatar.errors import InvalidInput
from avatar.spec import Consent
from avatar.spec.consent_file import EXAMPLE, consent_file, read_consent

_HINT = f"It is JSON: {EXAMPLE}."


def add_agreement(one: _ActionsContainer, source: str) -> None:
    """--consent FILE, or --person NAME and --purpose TEXT, which write that file. `source`: the argument that
    names whom the consent is for.
    """
    one.add_argument(
        "--consent",
        type=Path,
        metavar="FILE",
        help=f"who agreed (JSON: id, person, granted_at, purpose); default {source}.consent.json",
    )
    one.add_argument(
        "--person", metavar="NAME", help=f"who is seen and has agreed: recorded in {source}.consent.json"
    )
    one.add_argument("--purpose", metavar="TEXT", help="what they agreed to; with --person")


def read_recorded_consent(file: Path, named: Path | None) -> Consent | None:
    """The record in the named file, or in the one beside the file; None where there is none."""
    path = named or consent_file(file)
    if named is None and not path.is_file():
        return None
    try:
        return read_consent(path)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "consent.unreadable",
            f"{path} holds no record of consent: {str(error).splitlines()[0]}.",
            _HINT,
        ) from error


def consent_from_arguments(file: Path, arguments: Namespace) -> Consent | None:
    """Records the consent of the prompt beside `file`, where it stays; without one, as
    `read_recorded_consent`.

    A record that is there is never changed. Raises InvalidInput `consent.incomplete`, `consent.other_record`,
    `consent.unreadable`.
    """
    person, purpose = ((text or "").strip() for text in (arguments.person, arguments.purpose))
    if arguments.person is None and arguments.purpose is None:
        return read_recorded_consent(file, arguments.consent)
    if not (person and purpose) or arguments.consent is not None:
        raise InvalidInput(
            "consent.incomplete",
            "A consent needs the person and the purpose, or a file with both.",
            'Give both --person "Ada Example" and --purpose "course videos", or --consent FILE.',
        )
    recorded = read_recorded_consent(file, None)
    if recorded is None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        consent = Consent(id=f"cns_{secrets.token_hex(8)}", person=person, granted_at=now, purpose=purpose)
        if not file.is_file():  # The missing file is reported later; record no consent for it.
            return consent
        if _write_once(consent_file(file), consent):
            require_inputs_unchanged(arguments)
            return consent
        recorded = read_recorded_consent(file, None)  # Another process has written it meanwhile.
    if recorded is None or (recorded.person, recorded.purpose) != (person, purpose):
        other = recorded and f"{recorded.person} agreed on {recorded.granted_at} to: {recorded.purpose}"
        raise InvalidInput(
            "consent.other_record",
            f"{consent_file(file)} is another record: {other or ''}.",
            "Leave out --person and --purpose to go by it, move it away, or name a file with --consent.",
        )
    return recorded


def _write_once(path: Path, consent: Consent) -> bool:
    """Whole or not at all, and never over another: False where there is one by now."""
    from avatar.encode.atomic import write_error

    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    text = consent.model_dump_json(indent=2, exclude_none=True) + "\n"
    try:
        part.write_text(text, encoding="utf-8")
        try:
            os.link(part, path)
        except FileExistsError:
            return False
        except OSError:  # a file system that has no links
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise write_error(error, path) from error
    finally:
        part.unlink(missing_ok=True)
    return True


@contextmanager
def asking_consent(file: Path) -> Iterator[None]:
    """Replaces the hint of `consent.required` by how to give the consent to this verb."""
    try:
        yield
    except InvalidInput as error:
        if error.code != "consent.required":
            raise
        raise InvalidInput(
            "consent.required",
            error.message,
            'If that person has agreed, give the same command with --person "NAME" --purpose "WHAT FOR":'
            f" it is recorded in {consent_file(file)}. Or write that file, or one that --consent names,"
            f" yourself: {EXAMPLE}",
        ) from error
