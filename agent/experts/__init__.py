"""Which language models there are, how each has done, and whom to ask; used by the Brain's ModelAnswers."""

from agent.experts.candidates import Candidate, ConfiguredModels, Source
from agent.experts.consul import ConsulExperts
from agent.experts.router import ExpertLine, Router, Survey

__all__ = ["Candidate", "ConfiguredModels", "ConsulExperts", "ExpertLine", "Router", "Source", "Survey"]
