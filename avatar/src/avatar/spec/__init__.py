"""The wire types of the pipeline (pydantic only), shared by the control side and the worker."""

from avatar.spec.base import SpecModel, canonical_json, content_hash
from avatar.spec.media import MediaRef
from avatar.spec.persona import (
    Consent,
    EspeakVoice,
    Face,
    OpenAIVoice,
    PhotoFace,
    QwenVoice,
    RigFace,
    VideoFace,
    Voice,
)
from avatar.spec.progress import (
    Failed,
    Finished,
    FrameProgress,
    Notice,
    OutputFile,
    ProgressLine,
    Stage,
    StageStarted,
    parse_progress,
)
from avatar.spec.render import (
    AudioCodec,
    Canvas,
    Captions,
    LipsyncSpec,
    Output,
    RenderSpec,
    VideoCodec,
    json_schema,
)
from avatar.spec.scene import (
    Anchor,
    AvatarLayout,
    Background,
    Box,
    Colour,
    ColourBackground,
    ImageBackground,
    ImageOverlay,
    Overlay,
    Scene,
    SourceBackground,
    TextOverlay,
    TimeAnchor,
    VideoBackground,
    VideoOverlay,
    WordAnchor,
)

__all__ = [
    "Anchor", "AudioCodec", "AvatarLayout", "Background", "Box", "Canvas", "Captions", "Colour", "ColourBackground",
    "Consent", "EspeakVoice", "Face", "Failed", "Finished", "FrameProgress", "ImageBackground", "ImageOverlay",
    "LipsyncSpec", "MediaRef", "Notice", "OpenAIVoice", "Output", "OutputFile", "Overlay", "PhotoFace", "ProgressLine",
    "QwenVoice", "RenderSpec", "RigFace", "Scene", "SourceBackground", "SpecModel", "Stage", "StageStarted",
    "TextOverlay", "TimeAnchor", "VideoBackground", "VideoCodec", "VideoFace", "VideoOverlay", "Voice", "WordAnchor",
    "canonical_json", "content_hash", "json_schema", "parse_progress",
]  # fmt: skip
