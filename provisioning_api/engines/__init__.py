"""What this room asks of the engines that machines join: Nomad and Consul."""
