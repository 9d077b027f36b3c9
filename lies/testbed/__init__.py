"""The testbed: namespaces, traffic and the judge of packets behind `lies demo`."""
