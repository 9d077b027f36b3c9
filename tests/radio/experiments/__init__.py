"""What is done inside the machine: each `python -m radio.experiments.NAME` leaves files for the tests."""
