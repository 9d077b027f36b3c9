"""Where endpoints and configuration are looked for."""

from pathlib import Path

from lies.paths import client_runtime_dir, daemon_runtime_dir, default_config


def test_daemon_directory(tmp_path: Path) -> None:
    """Explicit wins over the variable, the variable over the user's default."""
    env = {"LIES_RUNTIME_DIR": "/v", "XDG_RUNTIME_DIR": "/x"}
    assert daemon_runtime_dir(tmp_path, env, 0) == tmp_path
    assert daemon_runtime_dir(None, env, 0) == Path("/v")
    assert daemon_runtime_dir(None, {}, 0) == Path("/run/lies")
    assert daemon_runtime_dir(None, {"XDG_RUNTIME_DIR": "/x"}, 1000) == Path("/x/lies")
    assert daemon_runtime_dir(None, {}, 1000) == Path("/tmp/lies-1000")


def test_client_falls_back_to_the_system_daemon(tmp_path: Path) -> None:
    """A user without a daemon of his own is a client of the system's."""
    own, system = tmp_path / "own", tmp_path / "system"
    env = {"XDG_RUNTIME_DIR": str(own)}
    assert client_runtime_dir(None, env, 1000, system) == own / "lies"
    system.mkdir()
    assert client_runtime_dir(None, env, 1000, system) == system
    (own / "lies").mkdir(parents=True)
    assert client_runtime_dir(None, env, 1000, system) == own / "lies"
    assert client_runtime_dir(None, {"LIES_RUNTIME_DIR": "/v"}, 1000, system) == Path("/v")


def test_default_configuration() -> None:
    """Root reads /etc, anyone else XDG_CONFIG_HOME or ~/.config."""
    assert default_config({}, 0) == Path("/etc/lies/lies.toml")
    assert default_config({"XDG_CONFIG_HOME": "/c"}, 1000) == Path("/c/lies/lies.toml")
    assert default_config({"HOME": "/h"}, 1000) == Path("/h/.config/lies/lies.toml")
