"""Tables of references to blobs and of blobs made from people; every room of the studio writes them with its
own rows.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base
from soundstage.database.tenants import TenantOwned, require_tenant


class BlobReference(TenantOwned, Base):
    """`owner` ("asset:…", "render:…", "segment:…") keeps the blob alive. A blob without a row may be
    collected.
    """

    __tablename__ = "blob_references"

    # Two tenants may each have a persona of one name, made of one photo.
    tenant: Mapped[str] = mapped_column(String(80), primary_key=True, default=require_tenant)
    sha256: Mapped[str] = mapped_column(String(71), primary_key=True)
    owner: Mapped[str] = mapped_column(String(200), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(String(40), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)


class Derivation(TenantOwned, Base):
    """`owner` was made from `source` (a blob's hash or "consent:…"). It holds nothing alive; it finds what
    must go.
    """

    __tablename__ = "derivations"

    tenant: Mapped[str] = mapped_column(String(80), primary_key=True, default=require_tenant)
    owner: Mapped[str] = mapped_column(String(200), primary_key=True)
    source: Mapped[str] = mapped_column(String(200), primary_key=True, index=True)
