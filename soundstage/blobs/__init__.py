"""Files by the hash of their content, in a directory or (by URL) in a bucket."""

from soundstage.blobs.bucket import BucketAccess
from soundstage.blobs.schemas import Blob, StoredBlob, parse_sha256
from soundstage.blobs.store import BlobStore, blob_not_found

__all__ = ["Blob", "BlobStore", "BucketAccess", "StoredBlob", "blob_not_found", "parse_sha256"]
