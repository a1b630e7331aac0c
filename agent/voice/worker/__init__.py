"""The voice worker: hears persons and speaks to them, in pipecat pipelines; needs the extra `voice`."""
