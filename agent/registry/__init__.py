"""The registry of agents at `/api/agents`: each persona is one, its YAML file is its definition."""
