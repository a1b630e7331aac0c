"""Commands that talk to the agent."""
