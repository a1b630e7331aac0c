"""The same request sent twice is carried out once (draft-ietf-httpapi-idempotency-key-header)."""
