"""Tables of the memory: memories, their collections by owner and persona, and the turns they come from."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, UtcDateTime


class MemoryCollection(Base):
    """The memories of one owner (`subject`, a principal of a tenant) for one persona, or none (`""`).

    `last_number` only grows: an index with a lower one lacks rows. `epoch` changes with each deletion: an
    index of an earlier epoch may hold deleted rows, and is void.
    """

    __tablename__ = "memory_shelves"
    __table_args__ = (UniqueConstraint("tenant", "subject", "persona_id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(80))
    subject: Mapped[str] = mapped_column(String(80))
    persona_id: Mapped[str] = mapped_column(String(80))
    last_number: Mapped[int] = mapped_column(default=0)
    epoch: Mapped[str] = mapped_column(String(40))


class Memory(Base):
    """One memory. `number` counts from 1 in its collection and is never reused.

    `vector` is the embedding of the text by `model`: float32, little-endian; None while there was no model.
    """

    __tablename__ = "memories"
    __table_args__ = (UniqueConstraint("shelf_id", "number"), UniqueConstraint("shelf_id", "text_sha256"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    collection_id: Mapped[str] = mapped_column(
        "shelf_id", ForeignKey("memory_shelves.id", ondelete="CASCADE")
    )
    number: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    text_sha256: Mapped[str] = mapped_column(String(64))
    vector: Mapped[bytes | None] = mapped_column(LargeBinary)
    model: Mapped[str | None] = mapped_column(String(60))
    session_id: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MemorySource(Base):
    """A turn whose utterance asked for this memory; also one that asked for it again."""

    __tablename__ = "memory_tellings"

    memory_id: Mapped[str] = mapped_column(ForeignKey("memories.id", ondelete="CASCADE"), primary_key=True)
    session_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    turn: Mapped[int] = mapped_column(primary_key=True)
