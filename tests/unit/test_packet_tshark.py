"""The judge of what the struct codecs send is tshark."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from capture import tshark_fields, write_pcap
from tools import need
from vectorfile import Vector, vectors

import lies_fmipv6.messages as fm
import lies_mipv6.messages as mm

pytestmark = pytest.mark.tshark

Fields = dict[str, list[Any]]


def bits(**flags: bool) -> Fields:
    """Flags as tshark prints them."""
    return {name.replace("__", "."): [int(value)] for name, value in flags.items()}


def present(**values: Any) -> Fields:
    """Fields of options that are there; None for those that are not."""
    return {name.replace("__", "."): [] if value is None else [value] for name, value in values.items()}


def lla(octets: bytes | None) -> str | None:
    """Octets as tshark prints them."""
    return None if octets is None else octets.hex()


def padded(octets: bytes) -> str:
    """An identifier with the padding that tshark counts to it (RFC 5568 section 6.4.3)."""
    return (octets + bytes(-(len(octets) + 3) % 8)).hex()


def badf(vector: Vector) -> Fields:
    """The BADF option; tshark 4.0 shows an authenticator two octets too short."""
    if vector.key is None:
        return {"mip6.badff.spi": []}
    return {"mip6.badff.spi": [vector.spi], "mip6.badff.auth": [vector.packet[-12:-2].hex()]}


def fbu(vector: Vector, message: fm.FastBindingUpdate) -> Fields:
    """An FBU; the lifetime field is the number on the wire, which tshark's text takes for units of 4 s."""
    return {
        "mip6.mhtype": [8],
        "mip6.fbu.seqnr": [message.sequence],
        "mip6.fbu.lifetime": [message.lifetime_s],
        "ipv6.opt.mipv6.home_address": [message.home_address],
        **present(mip6__acoa__acoa=message.alternate_coa, mip6__lla=lla(message.lla)),
        **bits(
            mip6__fbu__a_flag=message.acknowledge,
            mip6__fbu__h_flag=message.home_registration,
            mip6__fbu__l_flag=message.link_local,
            mip6__fbu__k_flag=message.key_management,
        ),
        **badf(vector),
    }


def fback(vector: Vector, message: fm.FastBindingAck) -> Fields:
    """An FBack."""
    return {
        "mip6.mhtype": [9],
        "mip6.fback.status": [message.status],
        "mip6.fback.seqnr": [message.sequence],
        "mip6.fback.lifetime": [message.lifetime_s],
        **present(mip6__acoa__acoa=message.alternate_coa),
        **bits(mip6__fback__k_flag=message.key_management),
        **badf(vector),
    }


def addresses(*pairs: tuple[int, Any]) -> Fields:
    """Options 34 as (option-code, address)."""
    there = [(code, address) for code, address in pairs if address is not None]
    return {
        "mip6.mhipv6ap.opt_code": [code for code, _ in there],
        "mip6.mhipv6ap.len": [128 for _ in there],
        "mip6.mhipv6ap.ipv6_address": [address for _, address in there],
    }


def hi(_: Vector, message: fm.HandoverInitiate) -> Fields:
    """An HI."""
    return {
        "mip6.mhtype": [14],
        "mip6.hi.seqnr": [message.sequence],
        "mip6.hi.code": [message.code],
        "mip6.lla.optcode": [2],
        "mip6.lla": [lla(message.mn_lla)],
        **bits(mip6__hi__s_flag=message.assigned_address, mip6__hi__u_flag=message.buffer),
        **addresses((1, message.pcoa), (2, message.ncoa)),
    }


def hack(_: Vector, message: fm.HandoverAcknowledge) -> Fields:
    """A HAck."""
    return {
        "mip6.mhtype": [15],
        "mip6.hack.seqnr": [message.sequence],
        "mip6.hack.code": [message.code],
        **addresses((2, message.ncoa)),
    }


def rtsolpr(_: Vector, message: fm.RtSolPr) -> Fields:
    """An RtSolPr."""
    options = [(4, padded(message.source_lla))] if message.source_lla else []
    options += [(0, padded(b""))] if message.wildcard else []
    options += [(1, padded(point)) for point in message.access_points]
    return {
        "icmpv6.type": [154],
        "icmpv6.code": [0],
        "icmpv6.fmip6.subtype": [2],
        "icmpv6.fmip6.identifier": [message.identifier],
        "icmpv6.opt.lla.option_code": [code for code, _ in options],
        "icmpv6.opt.lla.bytes": [octets for _, octets in options],
    }


def prrtadv(_: Vector, message: fm.PrRtAdv) -> Fields:
    """A PrRtAdv."""
    links = [(4, padded(message.source_lla))] if message.source_lla else []
    ips: list[tuple[int, int, Any]] = []
    for info in message.access_points:
        links.append((info.option_code, padded(info.access_point)))
        links += [(3, padded(info.router_lla))] if info.router_lla else []
        ips += [(3, 128, info.router_address)] if info.router_address else []
        ips += [(4, info.prefix.prefixlen, info.prefix.network_address)] if info.prefix else []
        ips += [(2, 128, info.ncoa)] if info.ncoa else []
    return {
        "icmpv6.type": [154],
        "icmpv6.code": [message.code],
        "icmpv6.fmip6.subtype": [3],
        "icmpv6.fmip6.identifier": [message.identifier],
        "icmpv6.opt.lla.option_code": [code for code, _ in links],
        "icmpv6.opt.lla.bytes": [octets for _, octets in links],
        "icmpv6.opt.ipa.option_code": [code for code, _, _ in ips],
        "icmpv6.opt.ipa.prefix_len": [length for _, length, _ in ips],
        "icmpv6.opt.ipa.ipv6_address": [address for _, _, address in ips],
    }


def una(_: Vector, message: fm.UnsolicitedNeighbourAdvertisement) -> Fields:
    """A UNA."""
    return {
        "icmpv6.type": [136],
        "icmpv6.nd.na.target_address": [message.target],
        "icmpv6.opt.linkaddr": [message.lla.hex(":")],
        **bits(icmpv6__nd__na__flag__r=False, icmpv6__nd__na__flag__s=False, icmpv6__nd__na__flag__o=False),
    }


def ns(_: Vector, message: fm.NeighbourSolicitation) -> Fields:
    """A probe: a Neighbour Solicitation without a link-layer address."""
    return {
        "icmpv6.type": [135],
        "icmpv6.nd.ns.target_address": [message.target],
        "icmpv6.opt.linkaddr": [],
    }


def rs(_: Vector, message: fm.RouterSolicitation) -> Fields:
    """A Router Solicitation."""
    octets = message.source_lla
    return {"icmpv6.type": [133], "icmpv6.opt.linkaddr": [octets.hex(":")] if octets else []}


def ra(_: Vector, message: fm.RouterAdvertisement) -> Fields:
    """A Router Advertisement; tshark 4.0 reads the address of a NAACK 4 octets early, so only its status."""
    octets = message.source_lla
    return {
        "icmpv6.type": [134],
        "icmpv6.nd.ra.cur_hop_limit": [message.hop_limit],
        "icmpv6.nd.ra.router_lifetime": [message.lifetime_s],
        "icmpv6.opt.linkaddr": [octets.hex(":")] if octets else [],
        "icmpv6.opt.mtu": [message.mtu] if message.mtu else [],
        "icmpv6.opt.prefix": [info.prefix.network_address for info in message.prefixes],
        "icmpv6.opt.prefix.length": [info.prefix.prefixlen for info in message.prefixes],
        "icmpv6.opt.prefix.valid_lifetime": [info.valid_s for info in message.prefixes],
        "icmpv6.opt.prefix.preferred_lifetime": [info.preferred_s for info in message.prefixes],
        "icmpv6.opt.prefix.flag.l": [int(info.on_link) for info in message.prefixes],
        "icmpv6.opt.prefix.flag.a": [int(info.autonomous) for info in message.prefixes],
        "icmpv6.opt.naack.status": [message.naack.status] if message.naack else [],
    }


def bu(vector: Vector, message: mm.BindingUpdate) -> Fields:
    """A Binding Update."""
    away = message.home_address != vector.source
    return {
        "mip6.mhtype": [5],
        "mip6.bu.seqnr": [message.sequence],
        "mip6.bu.lifetime": [message.lifetime_s // 4],
        "ipv6.opt.mipv6.home_address": [message.home_address] if away else [],
        **present(mip6__acoa__acoa=message.alternate_coa),
        **bits(
            mip6__bu__a_flag=message.acknowledge,
            mip6__bu__h_flag=message.home_registration,
            mip6__bu__l_flag=message.link_local,
            mip6__bu__k_flag=message.key_management,
        ),
    }


def ba(_: Vector, message: mm.BindingAcknowledgement) -> Fields:
    """A Binding Acknowledgement."""
    return {
        "mip6.mhtype": [6],
        "mip6.ba.status": [message.status],
        "mip6.ba.seqnr": [message.sequence],
        "mip6.ba.lifetime": [message.lifetime_s // 4],
        **present(ipv6__routing__mipv6__home_address=message.home_address),
        **bits(mip6__ba__k_flag=message.key_management),
    }


def be(_: Vector, message: mm.BindingError) -> Fields:
    """A Binding Error."""
    return {"mip6.mhtype": [7], "mip6.be.status": [message.status], "mip6.be.haddr": [message.home_address]}


def na(_: Vector, message: mm.NeighbourAdvertisement | fm.NeighbourAdvertisement) -> Fields:
    """A Neighbour Advertisement."""
    return {
        "icmpv6.type": [136],
        "icmpv6.nd.na.target_address": [message.target],
        "icmpv6.opt.linkaddr": [message.lla.hex(":")] if message.lla else [],
        **bits(
            icmpv6__nd__na__flag__r=message.router,
            icmpv6__nd__na__flag__s=message.solicited,
            icmpv6__nd__na__flag__o=message.override,
        ),
    }


EXPECTED: dict[type[Any], Callable[[Vector, Any], Fields]] = {
    fm.FastBindingUpdate: fbu,
    fm.FastBindingAck: fback,
    fm.HandoverInitiate: hi,
    fm.HandoverAcknowledge: hack,
    fm.RtSolPr: rtsolpr,
    fm.PrRtAdv: prrtadv,
    fm.UnsolicitedNeighbourAdvertisement: una,
    fm.NeighbourSolicitation: ns,
    fm.NeighbourAdvertisement: na,
    fm.RouterSolicitation: rs,
    fm.RouterAdvertisement: ra,
    mm.BindingUpdate: bu,
    mm.BindingAcknowledgement: ba,
    mm.BindingError: be,
    mm.NeighbourAdvertisement: na,
}


def misread_by_tshark(message: Any) -> bool:
    """Whether tshark 4.0 is known to be wrong: it takes a NAACK's Reserved field for the address's begin."""
    return isinstance(message, fm.RouterAdvertisement) and bool(message.naack and message.naack.ncoa)


def plain(name: str, value: Any) -> str:
    """A value in one form, whether it is ours or tshark's text: numbers in decimal, octets without colons."""
    text = str(value)
    if name in {"mip6.lla", "icmpv6.opt.lla.bytes", "mip6.badff.auth"}:
        return text.replace(":", "")
    return str(int(text, 16)) if text.startswith("0x") else text


def test_tshark_reads_the_vectors(tmp_path: Path) -> None:
    """Every field that we set is read by tshark, nothing is malformed and no ICMPv6 checksum wrong."""
    tshark = need("tshark")
    every = [*vectors("fmipv6"), *vectors("mipv6")]
    capture = tmp_path / "vectors.pcap"
    write_pcap(capture, [vector.encode() for vector in every])
    expected = [EXPECTED[type(vector.message)](vector, vector.message) for vector in every]
    general = ["_ws.malformed", "_ws.expert.message", "icmpv6.checksum.status", "ipv6.src", "ipv6.dst"]
    names = [*general, *sorted({name for fields in expected for name in fields})]
    rows = tshark_fields(tshark, capture, names)
    assert len(rows) == len(every)
    for vector, fields, row in zip(every, expected, rows, strict=True):
        complaints = row.get("_ws.malformed", []) + row.get("_ws.expert.message", [])
        assert not complaints or misread_by_tshark(vector.message), (vector.name, complaints)
        assert row["ipv6.src"][0] == str(vector.source)
        assert str(vector.destination) in row["ipv6.dst"]
        if "icmpv6.type" in fields:
            assert row["icmpv6.checksum.status"] == ["1"], vector.name
        for name, values in fields.items():
            wanted = [plain(name, value) for value in values]
            assert [plain(name, value) for value in row.get(name, [])] == wanted, (vector.name, name)


def test_tshark_would_tell(tmp_path: Path) -> None:
    """A message whose option runs over its end is reported, so that the judge's silence means something."""
    tshark = need("tshark")
    vector = next(
        vector for vector in vectors("fmipv6") if vector.name == "fmipv6_fbu: predictive, from PCoA"
    )
    octets = bytearray(vector.packet)
    octets[-17] += 8
    write_pcap(tmp_path / "bad.pcap", [bytes(octets)])
    (row,) = tshark_fields(tshark, tmp_path / "bad.pcap", ["_ws.malformed", "_ws.expert.message"])
    assert row
