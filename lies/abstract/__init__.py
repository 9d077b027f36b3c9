"""The abstract entity: raw measurements in, primitives out (RFC 5184 section 7)."""
