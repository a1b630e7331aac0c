"""Makes test clips of a moving, talking head from one photo, with a camera and head model of its own.

Nothing here comes from the engines under test: depth from tracked points and a silhouette, triangles sorted
back to front, a mouth cut open in the texture. Every clip knows its own pose and mouth opening, the truth
that measurements are checked against.
"""

from clipmaker.clip import Clip, Motion, Occluder, make_clip, write_mp4
from clipmaker.damage import truncate, two_faces, variable_rate
from clipmaker.person import Person, load_person

__all__ = [
    "Clip", "Motion", "Occluder", "Person", "load_person", "make_clip", "truncate", "two_faces",
    "variable_rate", "write_mp4",
]  # fmt: skip
