"""What stands for polkit on the rig's bus: everybody may do everything. `python -m modem.polkit`."""

import asyncio
from contextlib import suppress

from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.message import Message

NAME = "org.freedesktop.PolicyKit1"


def answer(message: Message) -> Message | None:
    """As polkitd answers where a rule says yes: allowed, nothing to ask, no details."""
    if message.message_type is not MessageType.METHOD_CALL:
        return None
    match message.member:
        case "CheckAuthorization":
            return Message.new_method_return(message, "(bba{ss})", [[True, False, {}]])
        case "GetAll":
            return Message.new_method_return(message, "a{sv}", [{}])
    return None


async def main() -> None:
    """Serve until killed, or until the bus ends."""
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    bus.add_message_handler(answer)
    await bus.request_name(NAME)
    with suppress(EOFError):  # how dbus-next says it
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-next says no result


if __name__ == "__main__":
    asyncio.run(main())
