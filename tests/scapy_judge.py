"""The vectors' messages built and read with scapy: a second judge beside the struct codec.

Nothing of the struct codec is used here. The authenticator is computed over the octets that scapy built.
"""

import hashlib
import hmac
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from scapy.layers.inet6 import HAO, MIP6OptAltCoA
from scapy.packet import Packet
from vectorfile import Vector

import lies_fmipv6.messages as fm
import lies_fmipv6.scapy_layers as fl
import lies_mipv6.messages as mm
import lies_mipv6.scapy_layers as ml


def _source(lla: bytes | None) -> list[Packet]:
    """The option with the sender's link-layer address."""
    return [fl.NDLinkLayerAddress(optcode=4, lla=lla)] if lla else []


def build(vector: Vector) -> bytes:
    """The packet of a vector's message."""
    message = vector.message
    if vector.protocol == "mipv6":
        return _build_mipv6(vector, message)
    ipv6 = fl.FastIPv6(src=str(vector.source), dst=str(vector.destination))
    if isinstance(message, fm.FastBindingUpdate | fm.FastBindingAck):
        return _build_binding(vector, message, ipv6)
    if isinstance(message, fm.HandoverInitiate | fm.HandoverAcknowledge):
        return bytes(ipv6 / _handover(message))
    return bytes(ipv6 / _discovery(message))


def _build_binding(vector: Vector, message: Any, ipv6: Packet) -> bytes:
    options: list[Packet] = []
    if message.alternate_coa is not None:
        options.append(MIP6OptAltCoA(acoa=str(message.alternate_coa)))
    if isinstance(message, fm.FastBindingUpdate):
        if message.lla is not None:
            options.append(fl.MHLinkLayerAddress(lla=message.lla))
        bits = zip(
            (message.acknowledge, message.home_registration, message.link_local, message.key_management),
            "AHLK",
            strict=True,
        )
        header: Packet = fl.FBU(
            seq=message.sequence,
            lifetime=message.lifetime_s,
            flags="".join(name for bit, name in bits if bit),
        )
        below = ipv6 / fl.DestinationOptions(options=[HAO(hoa=str(message.home_address))])
        coa = message.home_address if message.lifetime_s == 0 else message.alternate_coa or vector.source
        par = vector.destination
    else:
        header = fl.FBack(
            status=message.status,
            K=int(message.key_management),
            seq=message.sequence,
            lifetime=message.lifetime_s,
        )
        below = ipv6
        coa = message.alternate_coa or vector.destination
        par = vector.source
    if vector.key is not None:
        badf = fl.BADF(spi=vector.spi)
        options.append(badf)
        header.options = options
        header.cksum = 0
        covered = bytes(below / header)[-(8 * (len(bytes(header)) // 8)) : -12]
        mac = hmac.new(vector.key, coa.packed + par.packed + covered, hashlib.sha1).digest()
        badf.authenticator = mac[:12]
        header.cksum = None
    header.options = options
    return bytes(below / header)


def _handover(message: Any) -> Packet:
    options: list[Packet] = []
    if isinstance(message, fm.HandoverInitiate):
        options.append(fl.MHLinkLayerAddress(lla=message.mn_lla))
        if message.pcoa is not None:
            options.append(fl.MHAddress(ocode=1, addr=str(message.pcoa)))
    if message.ncoa is not None:
        options.append(fl.MHAddress(ocode=2, addr=str(message.ncoa)))
    if isinstance(message, fm.HandoverAcknowledge):
        return fl.HAck(seq=message.sequence, code=message.code, options=options)
    return fl.HI(
        seq=message.sequence,
        code=message.code,
        S=int(message.assigned_address),
        U=int(message.buffer),
        options=options,
    )


def _discovery(message: Any) -> Packet:
    match message:
        case fm.RtSolPr():
            options = _source(message.source_lla)
            if message.wildcard:
                options.append(fl.NDLinkLayerAddress(optcode=0))
            options += [fl.NDLinkLayerAddress(optcode=1, lla=point) for point in message.access_points]
            return fl.RtSolPr(id=message.identifier, options=options)
        case fm.PrRtAdv():
            options = _source(message.source_lla)
            for info in message.access_points:
                options += _tuple(info)
            return fl.PrRtAdv(code=message.code, id=message.identifier, options=options)
        case fm.RouterSolicitation():
            own = [fl.SourceLinkLayerAddress(lla=message.source_lla)] if message.source_lla else []
            return fl.RouterSolicitation(options=own)
        case fm.RouterAdvertisement():
            return _router_advertisement(message)
        case _:
            return _neighbour(message)


def _neighbour(message: Any) -> Packet:
    if isinstance(message, fm.NeighbourSolicitation):
        return fl.NeighbourSolicitation(tgt=str(message.target), options=[])
    flags: dict[str, Any] = {}
    if isinstance(message, fm.NeighbourAdvertisement):
        flags = {"R": int(message.router), "S": int(message.solicited), "O": int(message.override)}
    target = fl.TargetLinkLayerAddress(lla=message.lla)
    return fl.NeighbourAdvertisement(tgt=str(message.target), options=[target], **flags)


def _tuple(info: fm.AccessPointInfo) -> list[Packet]:
    options: list[Packet] = [fl.NDLinkLayerAddress(optcode=int(info.option_code), lla=info.access_point)]
    if info.router_lla is not None:
        options.append(fl.NDLinkLayerAddress(optcode=3, lla=info.router_lla))
    if info.router_address is not None:
        options.append(fl.NDAddress(optcode=3, addr=str(info.router_address)))
    if info.prefix is not None:
        network = info.prefix
        options.append(fl.NDAddress(optcode=4, plen=network.prefixlen, addr=str(network.network_address)))
    if info.ncoa is not None:
        options.append(fl.NDAddress(optcode=2, addr=str(info.ncoa)))
    return options


def _router_advertisement(message: fm.RouterAdvertisement) -> Packet:
    options: list[Packet] = []
    if message.source_lla is not None:
        options.append(fl.SourceLinkLayerAddress(lla=message.source_lla))
    if message.mtu is not None:
        options.append(fl.MTU(mtu=message.mtu))
    options += [
        fl.Prefix(
            prefixlen=info.prefix.prefixlen,
            L=int(info.on_link),
            A=int(info.autonomous),
            validlifetime=info.valid_s,
            preferredlifetime=info.preferred_s,
            prefix=str(info.prefix.network_address),
        )
        for info in message.prefixes
    ]
    naack = message.naack
    if naack is not None and naack.ncoa is None:
        options.append(fl.NAACK(status=naack.status))
    elif naack is not None:
        options.append(fl.NAACK(len=3, status=naack.status, ncoa=str(naack.ncoa)))
    return fl.RouterAdvertisement(chlim=message.hop_limit, routerlifetime=message.lifetime_s, options=options)


def _build_mipv6(vector: Vector, message: Any) -> bytes:
    ipv6 = ml.MobileIPv6(src=str(vector.source), dst=str(vector.destination))
    match message:
        case mm.BindingUpdate():
            if message.home_address != vector.source:
                ipv6 /= ml.DestinationOptions(options=[HAO(hoa=str(message.home_address))])
            options = []
            if message.alternate_coa is not None:
                options.append(MIP6OptAltCoA(acoa=str(message.alternate_coa)))
            bits = zip(
                (message.acknowledge, message.home_registration, message.link_local, message.key_management),
                "AHLK",
                strict=True,
            )
            flags = "".join(name for bit, name in bits if bit)
            header: Packet = ml.BU(
                seq=message.sequence, mhtime=message.lifetime_s // 4, flags=flags, options=options
            )
        case mm.BindingAcknowledgement():
            if message.home_address is not None:
                ipv6 /= ml.Routing(type=2, addresses=[str(message.home_address)])
            header = ml.BA(
                status=message.status,
                flags="K" if message.key_management else 0,
                seq=message.sequence,
                mhtime=message.lifetime_s // 4,
            )
        case mm.BindingError():
            header = ml.BE(status=message.status, ha=str(message.home_address))
        case _:
            header = ml.ICMPv6ND_NA(
                R=int(message.router),
                S=int(message.solicited),
                O=int(message.override),
                tgt=str(message.target),
            )
            if message.lla is not None:
                header /= ml.ICMPv6NDOptDstLLAddr(lladdr=message.lla.hex(":"))
            ipv6.hlim = 255
    return bytes(ipv6 / header)


def read(vector: Vector) -> Any:
    """The message that scapy's dissection of a vector's packet amounts to."""
    packet = (fl.FastIPv6 if vector.protocol == "fmipv6" else ml.MobileIPv6)(vector.packet)
    upper = packet.lastlayer()
    if vector.protocol == "mipv6" and packet.haslayer(ml.ICMPv6ND_NA):
        upper = packet[ml.ICMPv6ND_NA]
    return _READERS[type(upper)](packet, upper)


def rebuilt(vector: Vector) -> bytes:
    """The packet dissected by scapy and built anew from its fields, checksum included."""
    packet = (fl.FastIPv6 if vector.protocol == "fmipv6" else ml.MobileIPv6)(vector.packet)
    layer: Packet = packet
    while layer:
        for name in ("cksum", "plen", "len"):
            if name in layer.fields:
                del layer.fields[name]
        layer.raw_packet_cache = None
        layer = layer.payload
    return bytes(packet)


def _address(text: str | None) -> IPv6Address | None:
    return None if text is None else IPv6Address(text)


def _option(upper: Packet, kind: type[Packet], attribute: str, **wanted: int) -> Any:
    """An attribute of the first option of a kind whose other attributes are as wanted."""
    for option in upper.options:
        if isinstance(option, kind) and all(getattr(option, key) == value for key, value in wanted.items()):
            return getattr(option, attribute)
    return None


def _home_address(packet: Packet) -> IPv6Address | None:
    for kind in (fl.DestinationOptions, ml.DestinationOptions):
        if packet.haslayer(kind):
            return IPv6Address(packet[kind].options[0].hoa)
    return None


def _read_fbu(packet: Packet, fbu: Packet) -> fm.FastBindingUpdate:
    home_address = _home_address(packet)
    assert home_address is not None
    return fm.FastBindingUpdate(
        fbu.seq,
        fbu.lifetime,
        home_address,
        _address(_option(fbu, MIP6OptAltCoA, "acoa")),
        _option(fbu, fl.MHLinkLayerAddress, "lla", ocode=2),
        bool(fbu.flags.A),
        bool(fbu.flags.H),
        bool(fbu.flags.L),
        bool(fbu.flags.K),
    )


def _read_fback(_: Packet, fback: Packet) -> fm.FastBindingAck:
    coa = _address(_option(fback, MIP6OptAltCoA, "acoa"))
    return fm.FastBindingAck(fback.status, fback.seq, fback.lifetime, coa, bool(fback.K))


def _read_hi(_: Packet, hi: Packet) -> fm.HandoverInitiate:
    return fm.HandoverInitiate(
        hi.seq,
        hi.code,
        bool(hi.S),
        bool(hi.U),
        _option(hi, fl.MHLinkLayerAddress, "lla", ocode=2),
        _address(_option(hi, fl.MHAddress, "addr", ocode=1, plen=128)),
        _address(_option(hi, fl.MHAddress, "addr", ocode=2, plen=128)),
    )


def _read_hack(_: Packet, hack: Packet) -> fm.HandoverAcknowledge:
    return fm.HandoverAcknowledge(
        hack.seq, hack.code, _address(_option(hack, fl.MHAddress, "addr", ocode=2, plen=128))
    )


def _read_rtsolpr(_: Packet, message: Packet) -> fm.RtSolPr:
    points = tuple(option.lla for option in message.options if option.optcode == 1)
    wildcard = any(option.optcode == 0 for option in message.options)
    return fm.RtSolPr(message.id, _option(message, fl.NDLinkLayerAddress, "lla", optcode=4), points, wildcard)


def _read_prrtadv(_: Packet, message: Packet) -> fm.PrRtAdv:
    infos: list[dict[str, Any]] = []
    for option in message.options:
        if isinstance(option, fl.NDLinkLayerAddress):
            if option.optcode in {1, 5, 6, 7}:
                infos.append({"access_point": option.lla, "option_code": option.optcode})
            elif option.optcode == 3:
                infos[-1]["router_lla"] = option.lla
        elif option.optcode == 4:
            infos[-1]["prefix"] = IPv6Network((option.addr, option.plen))
        else:
            infos[-1]["router_address" if option.optcode == 3 else "ncoa"] = IPv6Address(option.addr)
    source_lla = _option(message, fl.NDLinkLayerAddress, "lla", optcode=4)
    return fm.PrRtAdv(
        message.code, message.id, source_lla, tuple(fm.AccessPointInfo(**info) for info in infos)
    )


def _read_fast_na(_: Packet, na: Packet) -> fm.UnsolicitedNeighbourAdvertisement | fm.NeighbourAdvertisement:
    target, lla = IPv6Address(na.tgt), _option(na, fl.TargetLinkLayerAddress, "lla")
    if (na.R, na.S, na.O) == (0, 0, 0):
        return fm.UnsolicitedNeighbourAdvertisement(target, lla)
    return fm.NeighbourAdvertisement(target, lla, bool(na.R), bool(na.S), bool(na.O))


def _read_ns(packet: Packet, ns: Packet) -> fm.NeighbourSolicitation:
    assert (packet.src, ns.options) == ("::", [])
    return fm.NeighbourSolicitation(IPv6Address(ns.tgt))


def _read_rs(_: Packet, rs: Packet) -> fm.RouterSolicitation:
    return fm.RouterSolicitation(_option(rs, fl.SourceLinkLayerAddress, "lla"))


def _read_ra(_: Packet, ra: Packet) -> fm.RouterAdvertisement:
    prefixes = tuple(
        fm.PrefixInformation(
            IPv6Network((option.prefix, option.prefixlen)),
            option.validlifetime,
            option.preferredlifetime,
            bool(option.L),
            bool(option.A),
        )
        for option in ra.options
        if isinstance(option, fl.Prefix)
    )
    status = _option(ra, fl.NAACK, "status")
    naack = None if status is None else fm.Naack(status, _address(_option(ra, fl.NAACK, "ncoa")))
    source_lla = _option(ra, fl.SourceLinkLayerAddress, "lla")
    mtu = _option(ra, fl.MTU, "mtu")
    return fm.RouterAdvertisement(ra.chlim, ra.routerlifetime, source_lla, prefixes, naack, mtu)


def _read_bu(packet: Packet, bu: Packet) -> mm.BindingUpdate:
    return mm.BindingUpdate(
        bu.seq,
        4 * bu.mhtime,
        _home_address(packet) or IPv6Address(packet.src),
        _address(_option(bu, MIP6OptAltCoA, "acoa")),
        bool(bu.flags.A),
        bool(bu.flags.H),
        bool(bu.flags.L),
        bool(bu.flags.K),
    )


def _read_ba(packet: Packet, ba: Packet) -> mm.BindingAcknowledgement:
    routed = IPv6Address(packet[ml.Routing].addresses[0]) if packet.haslayer(ml.Routing) else None
    return mm.BindingAcknowledgement(ba.status, ba.seq, 4 * ba.mhtime, routed, bool(ba.flags.K))


def _read_be(_: Packet, be: Packet) -> mm.BindingError:
    return mm.BindingError(be.status, IPv6Address(be.ha))


def _read_na(_: Packet, na: Packet) -> mm.NeighbourAdvertisement:
    has_lla = na.haslayer(ml.ICMPv6NDOptDstLLAddr)
    lla = bytes.fromhex(na[ml.ICMPv6NDOptDstLLAddr].lladdr.replace(":", "")) if has_lla else None
    return mm.NeighbourAdvertisement(IPv6Address(na.tgt), lla, bool(na.R), bool(na.S), bool(na.O))


_READERS: dict[type[Packet], Callable[[Packet, Packet], Any]] = {
    fl.FBU: _read_fbu,
    fl.FBack: _read_fback,
    fl.HI: _read_hi,
    fl.HAck: _read_hack,
    fl.RtSolPr: _read_rtsolpr,
    fl.PrRtAdv: _read_prrtadv,
    fl.NeighbourAdvertisement: _read_fast_na,
    fl.NeighbourSolicitation: _read_ns,
    fl.RouterSolicitation: _read_rs,
    fl.RouterAdvertisement: _read_ra,
    ml.BU: _read_bu,
    ml.BA: _read_ba,
    ml.BE: _read_be,
    ml.ICMPv6ND_NA: _read_na,
}
