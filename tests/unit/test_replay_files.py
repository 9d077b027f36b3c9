"""Files that cannot be played are refused before anything runs."""

import gzip
from pathlib import Path

import pytest
from radio_host import RecordingHost

from lies.errors import TraceFormatError
from lies_replay import Replay
from lies_replay.config import ReplayConfig

_HEAD = b"t_s,link_type,operator,poa,rssi_dbm,rsrp_dbm,rsrq_db,snr_db,speed_mps,state,nbr_rsrp_dbm\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x01\x02",
        b"t_s,link_type,poa\n0.0,wifi,ap1\n",
        gzip.compress(_HEAD + b"0.0,wifi,x,ap1,-60,,,,1.0,udp,\n" * 500)[:-20],
    ],
    ids=["empty", "garbage", "no signal", "truncated"],
)
def test_an_unusable_file_is_refused_when_the_driver_is_made(tmp_path: Path, content: bytes) -> None:
    """The supervisor makes every driver before it starts one, so `lies run` ends with this error's code 3."""
    path = tmp_path / "trace.csv"
    path.write_bytes(content)
    with pytest.raises(TraceFormatError) as caught:
        Replay("replay", ReplayConfig(file=path), RecordingHost())
    assert caught.value.exit_code == 3
    assert str(path) in str(caught.value)
