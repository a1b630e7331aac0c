"""Tools on the farm's nodes and jobs; all through Nomad."""
