"""Tools of the machine that tests run."""

import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
from typing import NoReturn

import pytest

_SYSTEM = "/usr/local/sbin:/usr/sbin:/sbin"  # not on everybody's PATH: iw, hostapd


def need(tool: str) -> str:
    """The path of a tool; without it the test is skipped, and fails where CI=true."""
    path = shutil.which(tool) or shutil.which(tool, path=_SYSTEM)
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


def need_module(name: str, package: str) -> None:
    """Without this module the test is as without a tool."""
    if importlib.util.find_spec(name) is None:
        _missing(f"the Python package {package}")


def need_mounts() -> None:
    """Without leave to mount in a namespace of one's own the test is as without a tool."""
    words = [need("unshare"), "--mount", "--propagation", "private", "true"]
    if subprocess.run(words, check=False, capture_output=True).returncode != 0:
        _missing("leave to make a mount namespace")


_prctl = ctypes.CDLL(None).prctl  # looked up here: between fork and exec as little as possible is done
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """As `preexec_fn`: the process is killed when the one that started it has gone, however that went."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is not here, and CI=true needs every tool", pytrace=False)
    pytest.skip(f"{what} is not here")
