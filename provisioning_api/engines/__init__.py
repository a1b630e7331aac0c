"""Clients of the engines that machines join: Nomad and Consul."""
