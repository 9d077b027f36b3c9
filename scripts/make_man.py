"""Write packaging/man/*.1 from the command line's own help.

`python scripts/make_man.py` writes one page for `lies` and one for each command; test_man.py compares what is
committed with what this makes.
"""

import enum
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from lies.cli._app import COMMANDS, app, load

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "packaging" / "man"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
_OF_TYPER = {"--install-completion", "--show-completion"}  # their help changes with typer's version

_COMPLETION = """\
`lies --install-completion` makes the shell that runs it (bash, zsh, fish) complete commands, options, kinds
of events, and the names of links and points of attachment that the running daemon knows;
`lies --show-completion` prints the script instead. A package makes the script of any of them with
`_LIES_COMPLETE=source_bash lies` (or `source_zsh`, `source_fish`).
"""
_ENVIRONMENT = {
    "LIES_RUNTIME_DIR": "Where the daemon's endpoints are; `--runtime-dir` outweighs it.",
    "LIES_CONNECT": "A daemon on another host, `tcp://HOST:PORT`; `--connect` outweighs it.",
    "LIES_SERVER_KEY": "Public key of that daemon; `--server-key` outweighs it.",
    "LIES_KEY": "Name of the key pair to show there; `--key` outweighs it.",
    "LIES_PUBLISH": "That daemon's endpoint for drivers; `--publish` outweighs it.",
    "LIES_KEYS_DIR": "Where key pairs lie; else in the folder `keys` beside the configuration.",
    "LIES_TRACES": "A folder of recorded traces, for `lies bench`.",
    "LIES_LOG_LEVEL": "How much `lies run` logs; `--log-level` outweighs it, and it the configuration.",
    "LIES_LOG_FORMAT": "How a line of that log looks, `console` or `json`; `--log-format` outweighs it.",
    "XDG_RUNTIME_DIR": "Its folder `lies` is the place for a user's own daemon.",
    "XDG_CONFIG_HOME": "Its file `lies/lies.toml` is what a user's own daemon reads.",
    "NO_COLOR": "If it is set and not empty, nothing is coloured.",
}
_FILES = {
    "/etc/lies/lies.toml": "Configuration of the system's daemon.",
    "/etc/lies/keys": "Key pairs and handover keys of the system's daemon.",
    "/run/lies": "Endpoints of the system's daemon.",
}


def pages() -> dict[Path, str]:
    """Every page and what belongs in it."""
    made = {FOLDER / "lies.1": _root_page()}
    for name in COMMANDS:
        made[FOLDER / f"lies-{name}.1"] = _command_page(name, command(name))
    return made


def command(name: str) -> Any:  # noqa: ANN401 - typer's command class is not public
    """The command of that name."""
    return load(name)


def _root_page() -> str:
    root = typer.main.get_command(app)
    first, *rest = _paragraphs(root.help or "")
    parts = [_heading("lies"), ".SH NAME", f"lies \\- {_inline(_short(first))}"]
    parts += [".SH SYNOPSIS", ".B lies", "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGS\\fR]"]
    parts += [".SH DESCRIPTION", *_prose([first, *rest])]
    parts += [".SH COMMANDS"]
    for name, short_help in COMMANDS.items():
        parts += [".TP", f"\\fBlies\\-{name}\\fR(1)", _inline(short_help)]
    parts += [".SH OPTIONS", *_options(root)]
    parts += [".SH COMPLETION", *_prose(_paragraphs(_COMPLETION))]
    for title, entries in (("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES)):
        parts.append(f".SH {title}")
        for term, text in entries.items():
            parts += [".TP", _bold(term), _inline(text)]
    parts += [".SH SEE ALSO", _others([f"lies-{name}" for name in COMMANDS])]
    return "\n".join(parts) + "\n"


def _command_page(name: str, of: Any) -> str:  # noqa: ANN401 - as above
    parts = [_heading(f"lies-{name}"), ".SH NAME", f"lies\\-{name} \\- {_inline(_short(COMMANDS[name]))}"]
    parts.append(".SH SYNOPSIS")
    inner: dict[str, Any] = getattr(of, "commands", None) or {}
    if inner:
        for word, sub in inner.items():
            parts += [_synopsis(f"lies {name} {word}", sub), ".br"]
        parts.pop()
    else:
        parts.append(_synopsis(f"lies {name}", of))
    parts += [".SH DESCRIPTION", *_prose(_paragraphs(of.help))]
    for word, sub in inner.items():
        parts += [f".SS {_escape(f'lies {name} {word}')}", *_prose(_paragraphs(sub.help)), *_body(sub, ".PP")]
    if not inner:
        parts += [*_body(of, ".SH")]
    parts += [".SH SEE ALSO", _others(["lies"])]
    return "\n".join(parts) + "\n"


def _body(of: Any, level: str) -> Iterator[str]:  # noqa: ANN401 - as above
    arguments = list(_arguments(of))
    if arguments:
        yield from [".SH ARGUMENTS"] if level == ".SH" else []
        yield from arguments
    yield from [".SH OPTIONS"] if level == ".SH" else []
    yield from _options(of)


def _heading(page: str) -> str:
    made = '.\\" Made by scripts/make_man.py from the help of the command line.'
    return f'{made}\n.TH {page.upper()} 1 "" "lies {VERSION}" LIES'


def _synopsis(words: str, of: Any) -> str:  # noqa: ANN401 - as above
    arguments = []
    for parameter in of.params:
        if parameter.param_type_name == "argument":
            shown = f"\\fI{_escape(_name(parameter))}\\fR" + ("..." if parameter.nargs == -1 else "")
            arguments.append(shown if parameter.required else f"[{shown}]")
    needed = [
        f"{_bold(max(p.opts, key=len))} \\fI{_escape(_name(p))}\\fR"
        for p in of.params
        if p.param_type_name == "option" and p.required
    ]
    return " ".join([_bold(words), "[\\fIOPTIONS\\fR]", *needed, *arguments])


def _arguments(of: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    for parameter in of.params:
        if parameter.param_type_name == "argument":
            yield from (".TP", f"\\fI{_escape(_name(parameter))}\\fR", _inline(parameter.help or ""))


def _options(of: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    for parameter in of.params:
        if parameter.param_type_name != "option" or _OF_TYPER & set(parameter.opts):
            continue
        term = ", ".join(_bold(word) for word in sorted(parameter.opts, key=len))
        text = parameter.help or ""
        if not parameter.is_flag:
            term += f" \\fI{_escape(_name(parameter))}\\fR"
            default = parameter.default
            if default is not None and parameter.show_default:
                text += f" Default: {default.value if isinstance(default, enum.Enum) else default}."
        yield from (".TP", term, _inline(text))
    yield from (".TP", f"{_bold('-h')}, {_bold('--help')}", "Show the help and exit.")


def _name(parameter: Any) -> str:  # noqa: ANN401 - as above
    """What stands for a parameter's value."""
    if parameter.metavar:
        return str(parameter.metavar).strip("[]").removesuffix("...")
    if isinstance(parameter.default, enum.Enum):
        return "|".join(member.value for member in type(parameter.default))
    return str(parameter.name).rpartition("_")[2].upper()


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", textwrap.dedent(text).strip())]


def _prose(paragraphs: list[str]) -> Iterator[str]:
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ".PP"
        yield _inline(paragraph)


def _short(text: str) -> str:
    """A sentence as it stands in NAME: without its full stop."""
    return text.removeprefix("LIES: ").rstrip(".")


def _others(names: list[str]) -> str:
    return ", ".join(f"{_bold(name)}(1)" for name in names)


def _bold(text: str) -> str:
    return f"\\fB{_escape(text)}\\fR"


def _inline(text: str) -> str:
    """A paragraph; what stands in backquotes is bold."""
    parts = text.split("`")
    shown = "".join(_bold(part) if i % 2 else _escape(part) for i, part in enumerate(parts))
    wrapped = textwrap.wrap(shown, 78, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"\\&{line}" if line[0] in ".'" else line for line in wrapped)


def _escape(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")


def main() -> None:
    """Write them, and remove pages of commands that are no more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = pages()
    for stale in set(FOLDER.glob("*.1")) - set(made):
        stale.unlink()
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
