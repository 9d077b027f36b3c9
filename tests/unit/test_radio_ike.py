"""What the radio tests read out of strongSwan's list of associations."""

from radio.ike import Association, associations

LISTED = """\
neighbour: #4, ESTABLISHED, IKEv2, 4f0305c5314f33e2_i 5501dfe9458c3b36_r*
  local  '2001:db8:1::1' @ 2001:db8:1::1[500]
  remote '2001:db8:2::1' @ 2001:db8:2::1[500]
  AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_3072
  established 5s ago, rekeying in 14050s
  mobility: #4, reqid 1, DELETED, TRANSPORT, ESP:AES_GCM_16-128
    installed 9s ago
    in  c3748462,      0 bytes,     0 packets
    out c512c212,      0 bytes,     0 packets
  mobility: #5, reqid 1, INSTALLED, TRANSPORT, ESP:AES_GCM_16-128
    installed 5s ago, rekeying in 3378s, expires in 3955s
    in  cdff7833,     80 bytes,     2 packets
    out ce138721,     40 bytes,     1 packets,     2s ago
    local  2001:db8:1::1/128[mobility-header]
    remote 2001:db8:2::1/128[mobility-header]
"""


def test_the_installed_associations_are_read() -> None:
    """Way, SPI and packets of the pair in use; a renewed pair that is about to go is none."""
    assert associations(LISTED) == [
        Association("in", bytes.fromhex("cdff7833"), 2),
        Association("out", bytes.fromhex("ce138721"), 1),
    ]
    assert associations("") == []
