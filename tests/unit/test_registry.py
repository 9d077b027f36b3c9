"""Drivers and consumers are found by name, loaded when asked, and missing ones are explained."""

import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lies.errors import PluginUnavailable, UnknownPlugin
from lies.registry import Kind, Registry


def registry(**points: str) -> Registry:
    """A registry that knows these drivers, and no consumer."""

    def find(group: str) -> Iterable[EntryPoint]:
        return [EntryPoint(n, v, group) for n, v in points.items() if group == "lies.drivers"]

    return Registry(find)


def test_our_plugins_are_installed() -> None:
    """The installed package brings its own drivers and consumers as entry points."""
    assert {"simwifi", "replay"} <= set(Registry().names(Kind.DRIVER))
    assert {"fmipv6", "mipv6"} <= set(Registry().names(Kind.CONSUMER))


def test_unknown_name_lists_the_known() -> None:
    """An unknown driver is a usage error that names the nearest and all known ones."""
    with pytest.raises(UnknownPlugin) as caught:
        registry(simwifi="a:B", replay="a:B").driver("simwfi")
    assert str(caught.value) == (
        "unknown driver 'simwfi' (did you mean 'simwifi'?): installed are replay, simwifi"
    )
    assert caught.value.exit_code == 2
    with pytest.raises(UnknownPlugin, match="no consumer is installed"):
        registry().consumer("fmipv6")


def test_nothing_is_imported_by_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing the names imports no plugin; loading imports the one."""
    (tmp_path / "lies_lazy_probe.py").write_text(
        "from lies.driver import Driver\nclass Lazy(Driver):\n  async def start(self): ...\n"
        "  async def stop(self): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    known = registry(lazy="lies_lazy_probe:Lazy")
    assert known.names(Kind.DRIVER) == ["lazy"]
    assert "lies_lazy_probe" not in sys.modules
    assert known.driver("lazy").__name__ == "Lazy"
    assert "lies_lazy_probe" in sys.modules


def test_missing_extra_says_the_pip_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing optional dependency is PluginUnavailable with the command that brings it."""
    (tmp_path / "lies_needy_probe.py").write_text("import a_library_that_is_nowhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginUnavailable) as caught:
        registry(needy="lies_needy_probe:Needy [cellular]").driver("needy")
    assert "driver 'needy'" in str(caught.value)
    assert 'pip install "lies[cellular]"' in str(caught.value)
    assert caught.value.exit_code == 1
    assert isinstance(caught.value.__cause__, ImportError)
    with pytest.raises(PluginUnavailable, match='pip install "a_library_that_is_nowhere"'):
        registry(needy="lies_needy_probe:Needy").driver("needy")


def test_extra_of_the_same_name_is_assumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that offers an extra of the plugin's name needs no brackets in its entry point."""
    (tmp_path / "lies_third_probe.py").write_text("import a_library_that_is_nowhere\n")
    info = tmp_path / "third-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third\nVersion: 1.0\nProvides-Extra: sat\n")
    (info / "entry_points.txt").write_text("[lies.drivers]\nsat = lies_third_probe:Sat\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginUnavailable, match=r'pip install "third\[sat\]"'):
        Registry().driver("sat")


def test_what_is_no_plugin_is_refused() -> None:
    """A class that is not derived from the base class, and a name that is not in its module, are refused."""
    with pytest.raises(UnknownPlugin, match=r"not derived from lies\.driver\.Driver"):
        registry(odd="pathlib:Path").driver("odd")
    with pytest.raises(PluginUnavailable, match=r"pathlib:Nothing does not exist"):
        registry(gone="pathlib:Nothing").driver("gone")
