"""Offloads of an interface, through the ethtool ioctl."""

import ctypes
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17


def complete_checksums(interface: str) -> None:
    """Have the kernel finish checksums before a packet leaves by this interface.

    A veth pair otherwise leaves them to hardware that is not there, which packet sockets on the way show.
    """
    value = ctypes.create_string_buffer(struct.pack("=II", _ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCETHTOOL, request)
