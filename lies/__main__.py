"""`python -m lies`."""

from lies.cli import main

main()
