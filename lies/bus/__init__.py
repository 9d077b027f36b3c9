"""The bus: registration, delivery, requests and snapshots over ZeroMQ."""
