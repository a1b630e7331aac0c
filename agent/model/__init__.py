"""Answers by a language model behind any OpenAI-compatible server; called by the Brain."""

from agent.model.answers import ModelAnswers
from agent.model.backend import TextPiece, ToolAsk, Usage
from agent.model.budget import TurnLimits
from agent.model.openai_server import OpenAiServer

__all__ = [
    "ModelAnswers",
    "OpenAiServer",
    "TextPiece",
    "ToolAsk",
    "TurnLimits",
    "Usage",
]
