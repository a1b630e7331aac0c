"""Finds language models, measures how they answer, and orders them; used by the Brain's ModelAnswers."""

from agent.experts.candidates import Candidate, ConfiguredModels, Source
from agent.experts.consul import ConsulExperts
from agent.experts.router import ExpertLine, Router, Survey

__all__ = ["Candidate", "ConfiguredModels", "ConsulExperts", "ExpertLine", "Router", "Source", "Survey"]
