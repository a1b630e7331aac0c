"""The stores that each hold every blob: one folder or bucket, or a bucket on each of several S3 servers.

With several, a server that does not answer is left out for a while: writes go to the others, reads come from
them, and `copy_missing` gives it what it has missed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from soundstage.blobs.bucket import is_unreachable, names_no_object, upload
from soundstage.blobs.schemas import is_key
from soundstage.blobs.staging import StagedFile, create_staged_file
from soundstage.telemetry import get_logger

if TYPE_CHECKING:
    # Types alone: they do not exist when the program runs.
    from obstore import GetResult, ObjectMeta

AWAY_S = 30.0
"""So long a server that did not answer is asked only when no other one answers."""

DELETED = "deleted/"
"""Before the name of a blob that was deleted while a server was away, which has it still."""

READ_BYTES = 1 << 20

log = get_logger(__name__)
T = TypeVar("T")


class Replicas:
    """Thread-safe, and blocking. Raises what obstore raises."""

    def __init__(self, openers: Sequence[Callable[[], ObjectStore]], staging: Path) -> None:
        """`openers`: each returns the store of one server, called before each use. `staging`: a folder for
        files on their way from one server to another.
        """
        self._staging = staging
        self._openers = tuple(openers)
        self._away_until_s = [0.0] * len(openers)
        # What earlier processes have left is not known.
        self.may_differ = self.are_several

    @property
    def are_several(self) -> bool:
        return len(self._openers) > 1

    @property
    def stores(self) -> tuple[ObjectStore, ...]:
        return tuple(open_store() for open_store in self._openers)

    def check(self) -> None:
        """Lists a little on each; raises when a bucket is not there, refuses us, or no server answers."""
        self._on_all(lambda store: next(iter(obstore.list(store, chunk_size=1)), None))

    def put(self, key: str, path: Path) -> None:
        """Puts a file on all servers that answer, of which there must be one."""
        took = self._on_all(lambda store: upload(store, key, path))
        self.may_differ = self.may_differ or len(took) < len(self._openers)

    def head(self, key: str) -> ObjectMeta:
        """Raises FileNotFoundError when no server that answers has it."""
        return self._on_first(lambda store: obstore.head(store, key))

    def get(self, key: str) -> GetResult:
        """Raises FileNotFoundError when no server has it, and the error of one that does not answer where no
        other has it.
        """
        return self._on_first(lambda store: obstore.get(store, key), thorough=True)

    def newest(self, key: str) -> ObjectMeta:
        """Returns what a server that answers was given last. Raises FileNotFoundError."""

        def look(store: ObjectStore) -> ObjectMeta | None:
            try:
                return obstore.head(store, key)
            except FileNotFoundError:
                return None

        found = [one for one in self._on_all(look) if one is not None]
        if not found:
            raise FileNotFoundError(key)
        return max(found, key=lambda one: one["last_modified"])

    def pages(self) -> Iterator[Sequence[ObjectMeta]]:
        """Yields what one server has."""

        def begin(store: ObjectStore) -> tuple[Iterator[Sequence[ObjectMeta]], Sequence[ObjectMeta]]:
            # Asked when the first page is read.
            listing = iter(obstore.list(store))
            return listing, next(listing, ())

        listing, first = self._on_first(begin)
        yield first
        yield from listing

    def delete(self, key: str, *, strictly: bool) -> None:
        """Deletes it on all servers that answer, of which there must be one, and leaves a mark there by which
        `copy_missing` of any process deletes it on the others. `strictly`: all must answer.
        """
        if strictly:
            for store in self.stores:
                _delete(store, key)
        elif len(self._on_all(lambda store: _delete(store, key))) < len(self._openers):
            self.may_differ = True
            self._on_all(lambda store: obstore.put(store, DELETED + key, b""))
            with suppress(FileNotFoundError):
                self.head(key)
                # Put again before the mark was there, which is therefore newer than what is wanted.
                self._on_all(lambda store: _delete(store, DELETED + key))

    def require_all(self) -> None:
        """Raises the error of the first of several servers that does not answer; else none is away."""
        if self.are_several:
            for store in self.stores:
                next(iter(obstore.list(store, chunk_size=1)), None)
            self._away_until_s = [0.0] * len(self._openers)

    def holder_of(self, key: str) -> int:
        """Returns the index of a server that answers and has it; of the first where none has."""
        if not self.are_several:
            return 0

        try:
            number, _ = self._on_first_numbered(lambda store: obstore.head(store, key))
            return number
        except FileNotFoundError:
            return self.first()

    def first(self) -> int:
        """Returns the index of the server that is asked first."""
        return self._in_order()[0]

    def mend(self, key: str) -> bool:
        """Puts a whole copy of a blob over those that are missing or damaged, on the servers that answer.

        Returns False where all answer and none has it whole; raises the error of one that does not answer
        where no other has.
        """
        with ExitStack() as stack:

            def read(store: ObjectStore) -> tuple[ObjectStore, StagedFile | None]:
                staged = stack.enter_context(create_staged_file(self._staging))
                try:
                    for chunk in obstore.get(store, key).stream(min_chunk_size=READ_BYTES):
                        staged.write(bytes(chunk))
                except FileNotFoundError:
                    return store, None
                return store, staged if staged.finish() == key[3:] else None

            found = self._on_all(read)
            if not any(staged for _, staged in found):
                answered = [store for store, _ in found]
                found += [read(store) for store in self.stores if store not in answered]
            whole = next((staged for _, staged in found if staged is not None), None)
            if whole is not None:
                for store, staged in found:
                    if staged is None:
                        upload(store, key, whole.path)
            self.may_differ = self.may_differ or len(found) < len(self._openers)
            return whole is not None

    def copy_missing(self) -> int:
        """Copies what one server has and another lacks; returns how many blobs. What is whole on none is left
        as it is. All must answer.
        """
        self.may_differ = False
        copied = 0
        try:
            for key in filter(is_key, self._differing_keys()):
                copied += self.mend(key)
                if self.may_differ:
                    self.require_all()
        except BaseException:
            self.may_differ = True
            raise
        return copied

    def _differing_keys(self) -> list[str]:
        """Returns what one server has and another has not, or in another size. All must answer."""
        listings = [
            {one["path"]: one for page in obstore.list(store) for one in page} for store in self.stores
        ]
        self._away_until_s = [0.0] * len(self._openers)
        self._delete_marked(listings)
        everything = set[str]().union(*listings)
        sizes = {
            key: {found[key]["size"] if key in found else None for found in listings} for key in everything
        }
        return sorted(key for key, different in sizes.items() if len(different) > 1)

    def _delete_marked(self, listings: Sequence[dict[str, ObjectMeta]]) -> None:
        """Deletes what was deleted while a server was away, there and in the listings."""
        marks: dict[str, datetime] = {}
        for found in listings:
            for name in filter(lambda name: name.startswith(DELETED), found):
                key, at = name.removeprefix(DELETED), found[name]["last_modified"]
                marks[key] = max(at, marks.get(key, at))
        for key, at in marks.items():
            holders = [one for one in zip(self.stores, listings, strict=True) if key in one[1]]
            # Whoever has put it again since then wants it. S3 may tell whole seconds.
            if all(found[key]["last_modified"] < at for _, found in holders):
                for store, found in holders:
                    _delete(store, key)
                    del found[key]
            for store in self.stores:
                _delete(store, DELETED + key)

    def _on_all(self, action: Callable[[ObjectStore], T]) -> list[T]:
        """Returns the results of the servers that answer, of which there must be one."""
        results: list[T] = []
        failure: BaseError | None = None
        for number in self._not_away():
            try:
                results.append(action(self._openers[number]()))
            except BaseError as error:
                self._note_away(number, error)
                failure = error
        if failure is not None and not results:
            raise failure
        return results

    def _on_first(self, action: Callable[[ObjectStore], T], *, thorough: bool = False) -> T:
        """Returns the result of the first server that answers and has it. `thorough`: one that was away is
        asked as well before it counts as missing.
        """
        return self._on_first_numbered(action, thorough=thorough)[1]

    def _on_first_numbered(
        self, action: Callable[[ObjectStore], T], *, thorough: bool = False
    ) -> tuple[int, T]:
        missing: FileNotFoundError | None = None
        failure: BaseError | None = None
        for number in self._in_order():
            if missing is not None and self._is_away(number) and not thorough:
                break
            try:
                result = action(self._openers[number]())
            except FileNotFoundError as error:
                missing = error
            except BaseError as error:
                self._note_away(number, error)
                failure = error
            else:
                self.may_differ = self.may_differ or missing is not None
                return number, result
        first, second = (failure, missing) if thorough else (missing, failure)
        raise first or second or ValueError("no store")

    def _not_away(self) -> list[int]:
        """Returns all servers where all are away."""
        return [one for one in self._in_order() if not self._is_away(one)] or self._in_order()

    def _in_order(self) -> list[int]:
        return sorted(range(len(self._openers)), key=self._is_away)

    def _is_away(self, number: int) -> bool:
        return time.monotonic() < self._away_until_s[number]

    def _note_away(self, number: int, error: BaseError) -> None:
        """Raises the error where it is no server of several that does not answer."""
        if not self.are_several or not is_unreachable(error):
            raise error
        log.warning("blobs.server_away", server=number + 1, of=len(self._openers), retry_s=AWAY_S)
        self._away_until_s[number] = time.monotonic() + AWAY_S
        self.may_differ = True


def _delete(store: ObjectStore, key: str) -> None:
    try:
        obstore.delete(store, key)
    except FileNotFoundError as error:
        if not names_no_object(error):
            raise
