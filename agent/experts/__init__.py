"""Finds language models, measures how they answer, and orders them; used by the Brain's ModelAnswers."""

from agent.experts.candidates import Candidate, ConfiguredModels
from agent.experts.consul import ConsulExperts
from agent.experts.router import Router

__all__ = ["Candidate", "ConfiguredModels", "ConsulExperts", "Router"]
