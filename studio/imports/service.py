"""Imports documents: reads them in a process with limits, shows what would come of them, and makes projects,
scenes and assets in one transaction. Called by the routes and the agent's tool.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from avatar.spec import Canvas, MediaRef

from policy import Principal
from policy.audit import AuditEntry, AuditLog
from soundstage.blobs import Blob, BlobStore, blob_not_found
from soundstage.database import Database
from soundstage.errors import Invalid, NotFound, TooLarge, Unavailable
from soundstage.http import Destinations
from soundstage.programs import Ended, run_program
from soundstage.tasks import finish
from soundstage.telemetry.logs import get_logger
from studio.assets.models import Asset
from studio.assets.schemas import AssetLabels
from studio.assets.service import insert_asset
from studio.assets.service import view_of as asset_view
from studio.assets.sniffing import SNIFF_BYTES, FileType, sniff
from studio.imports import read_document
from studio.imports.fetching import fetch_document
from studio.imports.scenes import Document, scene_drafts, title_for
from studio.imports.schemas import (
    DocumentKind,
    ImportOptions,
    ImportOutline,
    ImportRequest,
    ImportResult,
    OutlineScene,
)
from studio.personas.library import PersonaLibrary
from studio.projects.journal import ProjectJournal
from studio.projects.models import Project
from studio.projects.repository import Projects
from studio.projects.schemas import Look, ProjectDraft
from studio.projects.service import editable_project, insert_project
from studio.projects.service import view_of as project_view
from studio.references.dropping import confirm_hold, drop_unheld
from studio.references.repository import References
from studio.renders.media import hashes_in
from studio.scenes.editing import append_scenes
from studio.scenes.schemas import SceneDraft
from studio.scenes.service import view_of as scene_view
from studio.scenes.speaking_time import speaking_ms

MAX_DOCUMENT_BYTES = 100 << 20
TIME_LIMIT_S = 90.0
READ_AT_ONCE = 2
MAX_WAITING = 20
LEFT_AFTER_S = 3600.0
"""A folder that is older was left by a process that was killed."""

_PAGES = ("text/html", "application/xhtml+xml")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SHOWABLE = frozenset(("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp"))


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A document on the disk, with what its sender says of it."""

    path: Path
    name: str = ""
    media_type: str = ""
    kind: DocumentKind | None = None


@dataclass(frozen=True, slots=True)
class _Picture:
    file: Path
    sha256: str
    found: FileType
    name: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """A document as scenes; nothing is stored yet."""

    kind: DocumentKind
    title: str
    drafts: list[SceneDraft]
    pictures: list[_Picture]
    notices: list[str]


@dataclass
class ImportService:
    """`added` is called after new assets, so that they are probed."""

    db: Database
    blobs: BlobStore
    library: PersonaLibrary
    destinations: Destinations
    folder: Path
    max_scenes: int
    max_bytes: int
    added: Callable[[], None]
    journal: ProjectJournal
    audit: AuditLog
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READ_AT_ONCE))
    _waiting: int = 0

    @asynccontextmanager
    async def staging(self) -> AsyncIterator[Path]:
        """A private folder for one document, which goes with the request."""
        await asyncio.to_thread(self._sweep)
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self.folder))
        try:
            yield folder
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def source_of(self, request: ImportRequest, folder: Path) -> SourceFile:
        """Returns the document of a text or a URL as a file."""
        path = folder / "document"
        if request.text is not None:
            await asyncio.to_thread(path.write_text, request.text, encoding="utf-8")
            return SourceFile(path, kind=request.format)
        fetched = await fetch_document(request.url or "", path, self.destinations, self.max_bytes)
        return SourceFile(path, fetched.name, fetched.media_type)

    async def source_at(self, path: Path, folder: Path) -> SourceFile:
        """Returns a copy of a file of this machine. Raises NotFound `import.no_file`, TooLarge."""
        target = folder / "document"
        try:
            size = (await asyncio.to_thread(path.stat)).st_size
            if size > self.max_bytes:
                raise TooLarge(
                    "import.too_large",
                    f"The document is larger than {self.max_bytes >> 20} MiB.",
                    "Import a part of it.",
                )
            await asyncio.to_thread(shutil.copyfile, path, target)
        except OSError as error:
            raise NotFound("import.no_file", f"There is no file {path}.", "Check the path.") from error
        return SourceFile(target, path.name)

    async def plan(self, source: SourceFile, options: ImportOptions) -> ImportOutline:
        """Returns what an import would make, and makes nothing."""
        reading = await self._read(source, options)
        scenes = [
            OutlineScene(
                title=draft.title,
                script=draft.script,
                seconds=round((draft.duration_ms or speaking_ms(draft.script)) / 1000, 1),
                pictures=len(hashes_in(draft)),
            )
            for draft in reading.drafts
        ]
        return ImportOutline(
            kind=reading.kind,
            title=reading.title,
            scenes=scenes,
            seconds=round(sum(scene.seconds for scene in scenes), 1),
            pictures=len(reading.pictures),
            notices=reading.notices,
        )

    async def create(self, source: SourceFile, options: ImportOptions, principal: Principal) -> ImportResult:
        """Makes a project, or more scenes of one, with the pictures as assets: all of it, or nothing.

        Raises Invalid (`import.…`), and what `plan` raises.
        """
        if options.persona is not None:
            self.library.get(options.persona)
        reading = await self._read(source, options)
        async with self._stored_pictures(reading) as stored:
            result = await self._insert(reading, stored, options, principal)
        if result.assets:
            self.added()
        return result

    @asynccontextmanager
    async def _stored_pictures(self, reading: _Reading) -> AsyncIterator[list[Blob]]:
        """Stores the pictures and holds them until the assets do; afterwards those that nothing holds go."""
        stored: list[Blob] = []
        owners: list[str] = []
        try:
            for picture in reading.pictures:
                stored.append(await self.blobs.put_file(picture.file, picture.found.media_type))
                async with self.db.transaction() as session:
                    owners.append(await References(session).promise(picture.sha256))
                if not await confirm_hold(self.db, self.blobs, picture.sha256):
                    raise blob_not_found(picture.sha256)
            yield stored
        finally:
            await finish(self._release(stored, owners))

    async def _release(self, stored: list[Blob], owners: list[str]) -> None:
        async with self.db.transaction() as session:
            for owner in owners:
                await References(session).release(owner)
        for blob in stored:
            await drop_unheld(self.db, self.blobs, blob.sha256)

    async def _insert(
        self, reading: _Reading, stored: list[Blob], options: ImportOptions, principal: Principal
    ) -> ImportResult:
        async with self.db.transaction() as session:
            project = await self._project(Projects(session), options)
            if project is None:
                look = options.model_dump(include={"persona", "canvas"}, exclude_none=True)
                project = await insert_project(session, ProjectDraft(title=reading.title, **look), {})
                await self.journal.record_creation(session, project)
            assets: list[Asset] = []
            for picture, blob in zip(reading.pictures, stored, strict=True):
                labels = AssetLabels(name=picture.name)
                assets.append(await insert_asset(session, blob, picture.found, labels, project.id))
            sizes = {blob.sha256: blob.bytes for blob in stored}
            rows = await append_scenes(session, project, reading.drafts, sizes)
            await self.journal.record_change(session, project)
            result = ImportResult(
                project=project_view(project),
                scenes=[scene_view(row) for row in rows],
                assets=[asset_view(asset) for asset in assets],
                notices=reading.notices,
            )
            data = {"kind": reading.kind, "scenes": len(rows), "assets": len(assets)}
            line = AuditEntry(
                "project.imported", principal.name, project.id, tenant=principal.tenant, data=data
            )
            await self.audit.record(session, line)
        return result

    async def _project(self, projects: Projects, options: ImportOptions) -> Project | None:
        return None if options.project is None else await editable_project(projects, options.project)

    async def _read(self, source: SourceFile, options: ImportOptions) -> _Reading:
        canvas = options.canvas or Canvas()
        async with self.db.session() as session:
            project = await self._project(Projects(session), options)
            if project is not None:
                canvas = Look.model_validate(project.look).canvas
        kind = await asyncio.to_thread(kind_of, source)
        document, folder = await self._document(source, kind)
        return await asyncio.to_thread(self._reading, source, kind, document, folder, options, canvas)

    def _reading(
        self,
        source: SourceFile,
        kind: DocumentKind,
        document: Document,
        folder: Path,
        options: ImportOptions,
        canvas: Canvas,
    ) -> _Reading:
        left_out = dict(document.left_out)
        pictures: dict[str, _Picture] = {}
        for shown in (one for section in document.sections for one in section.shown):
            if shown.file and shown.file not in pictures:
                picture = _picture(folder / shown.file, shown.name or f"Picture {len(pictures) + 1}")
                if picture is None:
                    left_out["pictures"] = left_out.get("pictures", 0) + 1
                else:
                    pictures[shown.file] = picture
        media = {name: MediaRef(sha256=one.sha256, name=one.name) for name, one in pictures.items()}
        drafts = scene_drafts(document, media, canvas)
        if options.language is not None:
            drafts = [draft.model_copy(update={"language": options.language}) for draft in drafts]
        if not drafts:
            raise Invalid(
                "import.empty",
                "There is nothing to say in this document.",
                "A page may build its text by scripts: save it in a browser, or paste the text.",
            )
        if len(drafts) > self.max_scenes:
            raise Invalid(
                "import.too_many_scenes",
                f"This makes {len(drafts)} scenes; a video has {self.max_scenes} at most.",
                "Import a part of it, or raise limits.scenes.",
            )
        notices = [f"{count} {_noun(what, count)} left out." for what, count in sorted(left_out.items())]
        title = options.title or title_for(document, drafts, source.name)
        return _Reading(kind, title, drafts, list(pictures.values()), notices)

    async def _document(self, source: SourceFile, kind: DocumentKind) -> tuple[Document, Path]:
        """Reads it in a process of its own; the pictures lie in the folder."""
        if self._waiting >= MAX_WAITING:
            raise Unavailable("import.busy", "Too many documents are being read.", "Try again in a minute.")
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=source.path.parent))
        self._waiting += 1
        try:
            async with self._slots:
                code, output, error_output = await _run(kind, source.path, folder)
        finally:
            self._waiting -= 1
        if code == read_document.TOO_LARGE:
            raise TooLarge(
                "import.too_large",
                "The document is too large to be read: it holds or unpacks to too much.",
                "Import a part of it.",
            )
        if code != 0:
            why = error_output.decode(errors="replace").strip()[-300:]
            get_logger(__name__).info("a document could not be read", kind=kind, why=why)
            raise _unreadable(_NAMES[kind])
        return Document.model_validate_json(output), folder

    def _sweep(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for one in self.folder.iterdir():
            if time.time() - one.stat().st_mtime > LEFT_AFTER_S:
                shutil.rmtree(one, ignore_errors=True)


_NAMES: dict[DocumentKind, str] = {
    "text": "text",
    "markdown": "Markdown text",
    "html": "web page",
    "docx": "Word document",
    "pptx": "PowerPoint presentation",
}
_OFFICE_NAMES: dict[str, DocumentKind] = {".pptx": "pptx", ".docx": "docx"}
"""By the end of a name; such a file that is no archive is damaged, however much it looks like text."""


def kind_of(source: SourceFile) -> DocumentKind:
    """Returns what a document is, by its bytes; name and media type tell only texts apart. Raises Invalid
    `import.empty`, `import.old_format`, `import.unknown_type`, `import.unreadable`.
    """
    with source.path.open("rb") as file:
        head = file.read(SNIFF_BYTES)
    if source.kind is not None:
        return source.kind
    if not head.strip():
        raise Invalid("import.empty", "The document is empty.", "Choose the file again.")
    if head.startswith(_OLE):
        raise Invalid(
            "import.old_format",
            "This is an office file of the old format, or one with a password.",
            "Save it as PPTX or DOCX, without a password.",
        )
    if head.startswith(b"PK\x03\x04"):
        return _office_kind(source.path)
    if (b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff"))) or head.startswith(
        (b"%PDF", b"{\\rtf")
    ):
        raise _unknown_type()
    if (office := _OFFICE_NAMES.get(Path(source.name).suffix.lower())) is not None:
        raise _unreadable(_NAMES[office])
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if source.media_type in _PAGES or start.startswith((b"<!doctype html", b"<html")):
        return "html"
    if source.media_type == "text/markdown" or source.name.lower().endswith((".md", ".markdown")):
        return "markdown"
    return "html" if source.name.lower().endswith((".html", ".htm")) else "text"


def _office_kind(path: Path) -> DocumentKind:
    """By the parts that it has (ECMA-376)."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _unreadable("office file") from error
    if "ppt/presentation.xml" in names:
        return "pptx"
    if "word/document.xml" in names:
        return "docx"
    raise _unknown_type()


def _unreadable(name: str) -> Invalid:
    return Invalid(
        "import.unreadable",
        f"This {name} cannot be read: it is damaged or incomplete.",
        "Open it in the program that made it, and save it again.",
    )


def _unknown_type() -> Invalid:
    return Invalid(
        "import.unknown_type",
        "This is no document that can be imported.",
        "Send Markdown, plain text, PPTX, DOCX or a web page. A PDF: save its source as one of these.",
    )


async def _run(kind: DocumentKind, path: Path, folder: Path) -> Ended:
    command = (sys.executable, "-I", read_document.__file__, kind, path, folder)
    try:
        ended = await run_program(*command, limit_s=TIME_LIMIT_S)
    except TimeoutError:
        return Ended(read_document.TOO_LARGE, b"", b"it took too long")
    # Killed by the limit on processor time.
    return ended._replace(code=read_document.TOO_LARGE) if ended.code == -signal.SIGXCPU else ended


def _picture(file: Path, name: str) -> _Picture | None:
    """None for what no video can show, such as Windows metafiles."""
    content = file.read_bytes()
    try:
        found = sniff(content[:SNIFF_BYTES])
    except Invalid:
        return None
    if found.media_type not in _SHOWABLE:
        return None
    return _Picture(file, f"sha256:{hashlib.sha256(content).hexdigest()}", found, name)


def _noun(what: str, count: int) -> str:
    return f"{what[:-1] if count == 1 and what.endswith('s') else what} {'is' if count == 1 else 'are'}"
