"""The evaluator: questions in, `allow | deny | approve` with reasons out, by the Rego in `policy/rego`."""

from policy.decisions.decider import Decider
from policy.decisions.question import Action
from policy.decisions.verdict import Decision, Verdict

__all__ = ["Action", "Decider", "Decision", "Verdict"]
