"""Parameters of the Mobile IPv6 engines: the RFC's (RFC 6275 sections 12 and 13), and ours."""

from ipaddress import IPv6Address, IPv6Network

from attrs import frozen

_MAX_LIFETIME_S = 262140  # 65535 units of 4 s (RFC 6275 section 6.1.7)


@frozen
class Parameters:
    """Timers and limits of the protocol; times in s."""

    initial_bindack_timeout_s: float = 1.0  # INITIAL_BINDACK_TIMEOUT, RFC 6275 section 12
    first_bindack_timeout_s: float = 1.5  # InitialBindackTimeoutFirstReg, section 13
    max_bindack_timeout_s: float = 32.0  # MAX_BINDACK_TIMEOUT, section 12
    max_update_rate: int = 3  # MAX_UPDATE_RATE, Binding Updates a second, section 12
    max_delete_bce_timeout_s: float = 10.0  # MAX_DELETE_BCE_TIMEOUT, section 12
    lifetime_s: int = 600  # asked for; the RFC has no default
    max_lifetime_s: int = 3600  # granted at most
    refresh_fraction: float = 0.75  # of the lifetime, then the binding is renewed: "well before", 11.7.1
    grace_s: float = 2.0  # how long earlier care-of addresses are accepted after the BA; spec/decisions.md

    def __attrs_post_init__(self) -> None:
        for name in ("lifetime_s", "max_lifetime_s"):
            if not 0 < getattr(self, name) <= _MAX_LIFETIME_S or getattr(self, name) % 4:
                raise ValueError(f"{name} must be a multiple of 4 up to {_MAX_LIFETIME_S} (RFC 6275, 6.1.7)")
        for name in ("initial_bindack_timeout_s", "first_bindack_timeout_s", "max_bindack_timeout_s"):
            if not 0 < getattr(self, name) <= _MAX_LIFETIME_S:
                raise ValueError(f"{name} must be greater than 0")
        if self.max_update_rate < 1:
            raise ValueError("max_update_rate must be at least 1")
        if not 0 < self.refresh_fraction < 1:
            raise ValueError("refresh_fraction must lie between 0 and 1")
        for name in ("grace_s", "max_delete_bce_timeout_s"):
            if not 0 <= getattr(self, name) <= _MAX_LIFETIME_S:
                raise ValueError(f"{name} must not be negative")


@frozen
class MobileNodeConfig:
    """A mobile node with one home address.

    insecure: Binding Acknowledgements without IPsec are believed, in a test network; first_sequence: at
    random best (RFC 6275 section 11.7.2); link_local: the link-local address has the home address's interface
    identifier (L, section 11.7.1).
    """

    home_address: IPv6Address
    home_agent: IPv6Address
    insecure: bool = False
    first_sequence: int = 1
    link_local: bool = False


@frozen
class HomeAgentConfig:
    """A home agent. address: its own; home_prefix: of the home link.

    home_addresses: whom it serves, None for everybody of the prefix; grace_s: how long the previous care-of
    address may still tunnel after the BU that replaced it, 0 for strict RFC 6275 section 10.4.5; serving
    False: not a home agent (status 131); max_bindings, max_previous: limits of state, max_previous of earlier
    care-of addresses per home address.
    """

    address: IPv6Address
    home_prefix: IPv6Network
    home_addresses: tuple[IPv6Address, ...] | None = None
    grace_s: float = 2.0
    insecure: bool = False
    serving: bool = True
    max_bindings: int = 4096
    max_previous: int = 4


def newer(sequence: int, than: int) -> bool:
    """Whether a sequence number is after another, modulo 65536 (RFC 6275 section 9.5.1)."""
    return 0 < ((sequence - than) & 0xFFFF) < 0x8000
