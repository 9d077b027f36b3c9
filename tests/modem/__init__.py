"""A modem that ModemManager takes for a real one, and ModemManager itself on a bus of its own."""
