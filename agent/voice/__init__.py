"""The agent inside a pipecat pipeline; needs the extra `voice`, so nothing else of the agent imports this."""
