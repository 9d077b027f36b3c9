"""The kernel of this host: addresses, routes, rules, tunnels and neighbour entries."""
