"""Everything LIES raises on purpose.

LiesError
 +-- ConfigError             names file, table and key (exit 2)
 +-- UnknownPlugin           no driver or consumer of that name is installed (exit 2)
 +-- PluginUnavailable       the plugin's extra is missing; ImportError is its cause (exit 1)
 +-- LinkError               a request that a link cannot follow; `reason` says why (exit 2)
 +-- TraceFormatError        a recording or trace that cannot be read: file and record (exit 3)
 +-- NoDaemon                nothing answers at the endpoint (exit 4); also a ConnectionError
 +-- NotPermitted            missing right or privilege (exit 5); also a PermissionError
 +-- EndpointInUse           another daemon has the endpoint (exit 1)
 +-- TimedOut                also a TimeoutError (exit 27)
 +-- NoDBus                  D-Bus, or the connection to it, is not there (exit 1); also a ConnectionError
 +-- DBusRefused             a service on D-Bus said no; `name` is the error's on D-Bus (exit 1)
 +-- ProtocolViolation       local: our misuse of an API
 +-- MalformedMessage        remote: bytes that do not decode; a daemon counts, logs and drops them
"""

from enum import StrEnum


class LinkErrorReason(StrEnum):
    """Why a link refused a request (RFC 5184 section 6.5, Error)."""

    UNKNOWN_LINK = "unknown_link"
    UNKNOWN_POA = "unknown_poa"
    UNSUPPORTED = "unsupported"  # the driver cannot do it on this technology
    NOT_PERMITTED = "not_permitted"
    INVALID = "invalid"  # the request contradicts itself


class LiesError(Exception):
    """Base of all errors of LIES; `exit_code` is what the command line ends with."""

    exit_code = 1


class ConfigError(LiesError):
    """A configuration that cannot be used.

    file: where it was read, table: TOML table, key: the key at fault or "" for the whole table.
    """

    exit_code = 2

    def __init__(self, problem: str, *, file: str = "", table: str = "", key: str = "") -> None:
        where = ": ".join(p for p in (file, f"[{table}]" if table else "", key) if p)
        super().__init__(f"{where}: {problem}" if where else problem)
        self.problem = problem
        self.file = file
        self.table = table
        self.key = key


class UnknownPlugin(LiesError):
    """No driver or consumer of that name is installed."""

    exit_code = 2


class PluginUnavailable(LiesError):
    """A plugin whose optional dependency is not installed."""

    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(f"{name} needs a library that is not installed: {remedy}")
        self.name = name
        self.remedy = remedy


class LinkError(LiesError):
    """A request that a link cannot follow (RFC 5184 section 6.5, Error)."""

    exit_code = 2

    def __init__(self, reason: LinkErrorReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class TraceFormatError(LiesError):
    """A recording or trace that cannot be read; record counts from 1, 0 is the file as a whole."""

    exit_code = 3

    def __init__(self, problem: str, *, file: str, record: int = 0) -> None:
        super().__init__(f"{file}: record {record}: {problem}" if record else f"{file}: {problem}")
        self.file = file
        self.record = record


class NoDaemon(LiesError, ConnectionError):
    """Nothing answers at the daemon's endpoint."""

    exit_code = 4


class NotPermitted(LiesError, PermissionError):
    """A right or a privilege is missing."""

    exit_code = 5


class EndpointInUse(LiesError):
    """Another daemon has the endpoint."""


class TimedOut(LiesError, TimeoutError):
    """A wait that ended without its event."""

    exit_code = 27


class NoDBus(LiesError, ConnectionError):
    """D-Bus, or the connection to it, is not there."""


class DBusRefused(LiesError):
    """A service on D-Bus answered with an error, or there is no such service; name: of the error on D-Bus."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name


class ProtocolViolation(LiesError):
    """Our own misuse of a protocol or API."""


class MalformedMessage(LiesError):
    """Bytes from elsewhere that do not decode; counted, logged once per cause, dropped."""
