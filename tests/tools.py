"""Tools of the machine that tests run."""

import os
import shutil
import subprocess
from typing import NoReturn

import pytest


def need(tool: str) -> str:
    """The path of a tool; without it the test is skipped, and fails where CI=true."""
    path = shutil.which(tool)
    if path is not None:
        return path
    return _missing(tool)


def need_library(*names: str) -> str:
    """The first of these names that pkg-config knows; without any it is as with `need`."""
    config = need("pkg-config")
    for name in names:
        if subprocess.run([config, "--exists", name], check=False).returncode == 0:
            return name
    return _missing(f"the C library {' or '.join(names)}")


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is not installed, and CI=true needs every tool", pytrace=False)
    pytest.skip(f"{what} is not installed")
