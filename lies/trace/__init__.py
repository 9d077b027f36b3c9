"""Recordings and traces: reading and writing."""
