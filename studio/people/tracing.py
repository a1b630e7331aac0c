"""Finds all that was made from a person's face or voice, through any number of steps; used before it is
erased.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from studio.references.repository import References

SHOWS_THE_PERSON = frozenset(
    {"face", "portrait", "file", "segment", "audio", "output:video", "output:poster", "output:still"}
)
"""Roles of blobs in which the person is seen or heard; whatever holds such a blob goes too.

Not among them: subtitles, word times and specs. Two people who say the same text share those files.
"""


@dataclass(slots=True)
class Traces:
    """`owners` hold or derive from the person; `sensitive` are blobs that show them; `held` is all that
    owners hold.
    """

    sources: set[str]
    owners: set[str] = field(default_factory=set)
    sensitive: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)

    def of(self, kind: str) -> list[str]:
        """Ids of the owners of one kind ("render", "segment", …)."""
        prefix = f"{kind}:"
        return sorted(owner.removeprefix(prefix) for owner in self.owners if owner.startswith(prefix))


async def trace_person(session: AsyncSession, sources: set[str], owners: set[str]) -> Traces:
    """Follows holds and derivations from `sources` (hashes and consents) and `owners` until nothing new is
    found.

    A version or scene of a project only keeps blobs alive: it lets go of these, but what else it keeps is not
    the person's.
    """
    references = References(session)
    traces = Traces(sources=set(sources), owners=set(owners))
    traces.sensitive = {source for source in sources if source.startswith("sha256:")}
    looked: set[str] = set()
    while True:
        known = (len(traces.owners), len(traces.sensitive))
        traces.owners |= await references.find_derived(traces.sources | traces.sensitive)
        traces.owners |= await references.holders(traces.sensitive)
        for owner in traces.owners - looked:
            looked.add(owner)
            await _look_into(references, traces, owner)
        if known == (len(traces.owners), len(traces.sensitive)):
            return traces


async def _look_into(references: References, traces: Traces, owner: str) -> None:
    if owner.startswith(("version:", "scene:")):
        return
    for role, sha256 in await references.holds_of_owner(owner):
        if role.startswith("input:"):
            continue
        traces.held.add(sha256)
        if role in SHOWS_THE_PERSON:
            traces.sensitive.add(sha256)
