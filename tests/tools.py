"""Tools of the machine that tests run."""

import os
import shutil

import pytest


def need(tool: str) -> str:
    """The path of a tool; without it the test is skipped, and fails where CI=true."""
    path = shutil.which(tool)
    if path is not None:
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{tool} is not installed, and CI=true needs every tool", pytrace=False)
    pytest.skip(f"{tool} is not installed")
