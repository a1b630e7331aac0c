"""Durable triggers: tool calls that wait for a time or an event; set by a tool, run by a worker."""
