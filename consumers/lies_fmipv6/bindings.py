"""What an access router keeps of a node that leaves or left its link."""

from ipaddress import IPv6Address

from attrs import define, field

from lies.timers import Backoff
from lies_fmipv6.messages import HandoverInitiate
from lies_fmipv6.parameters import Neighbour
from lies_fmipv6.states import BINDING, BindingEvent, BindingState


@define(eq=False)
class Pending:
    """An HI without its HAck; proposed: the NCoA of the FBU."""

    proposed: IPv6Address
    neighbour: Neighbour
    hi: HandoverInitiate
    backoff: Backoff
    lifetime_s: int


@define(eq=False)
class Binding:
    """One PCoA.

    on_link: its last FBU came from PCoA on this router's link; lla: the node's link-layer address at the NAR,
    of another link of its own perhaps; here: that on this link; proposed: NCoA as the FBU had it; endpoint:
    where the tunnel ends; supplied: what the NAR gave instead of the proposed NCoA, which is PCoA itself
    where that stays in use (HAck code 3); held: packets to it wait.
    """

    pcoa: IPv6Address
    state: BindingState = BindingState.ENDED
    sequence: int = 0
    lla: bytes = b""
    here: bytes = b""
    reply_to: IPv6Address = field(default=IPv6Address("::"))
    on_link: bool = False
    proposed: IPv6Address | None = None
    endpoint: IPv6Address | None = None
    supplied: IPv6Address | None = None
    pending: Pending | None = None
    held: bool = False

    def go(self, event: BindingEvent) -> None:
        """Change state by the table."""
        self.state = BINDING[self.state, event]
