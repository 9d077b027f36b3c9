"""LIES, the Inter-Layer Information Exchange System: RFC 5184's link primitives on a bus."""
