"""Named copies of a conversation's state: saved, listed, compared, deleted, and gone on from."""
