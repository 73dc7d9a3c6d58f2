"""What is written for TensorBoard is what its format says, bit by bit."""

from __future__ import annotations

import struct

import pytest
from bdk_cli.main import main
from bdk_cli.scalars import Scalars, masked, record

from tests.tiny import spec


def events(path) -> list[bytes]:
    """The events of a record file; every checksum is compared."""
    rest, found = path.read_bytes(), []
    while rest:
        (length,) = struct.unpack("<Q", rest[:8])
        assert struct.unpack("<I", rest[8:12])[0] == masked(rest[:8])
        data, sum_ = rest[12 : 12 + length], rest[12 + length : 16 + length]
        assert struct.unpack("<I", sum_)[0] == masked(data)
        found.append(data)
        rest = rest[16 + length :]
    return found


def test_the_checksum_is_crc32c_masked():
    crc = 0xE3069283  # of the check string of every CRC catalogue
    assert masked(b"123456789") == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def test_a_record_begins_as_every_event_file_of_tensorflow_does():
    assert record(bytes(24))[:12].hex() == "1800000000000000a37f4b22"


def test_rows_of_losses_become_scalars_and_every_event_is_passed_on(tmp_path):
    seen = []
    scalars = Scalars(tmp_path, seen.append)
    told = [
        {"event": "start", "key": "abcdefgh01", "label": "estimate image (mamba + diffusion)"},
        {"event": "row", "key": "abcdefgh01", "row": {"step": 300, "loss": 0.5}},
        {"event": "done", "key": "abcdefgh01"},
    ]
    for event in told:
        scalars(event)
    assert seen == told
    (path,) = tmp_path.glob("estimate-image-mamba-diffusion-abcdefgh/events.out.tfevents.*")
    version, row = events(path)
    assert version.endswith(b"brain.Event:2")
    # field 1: a double; field 2: 300 as varint; field 5: summary { value { tag "loss", float .5 } }
    assert row[0] == 0x09 and row[9:12] == b"\x10\xac\x02"
    assert row[12:] == b"\x2a\x0d\x0a\x0b\x0a\x04loss\x15" + struct.pack("<f", 0.5)


def test_a_run_writes_one_file_a_training_step(tmp_path):
    folder = tmp_path / "losses"
    arguments = ["run", spec(tmp_path), "--decoder", "none", "--out", str(tmp_path / "run"), "--tensorboard"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, str(folder)])
    assert not ended.value.code
    files = sorted(folder.glob("*/events.out.tfevents.*"))
    assert [path.parent.name.rpartition("-")[0] for path in files] == [
        "estimate-image-mamba-diffusion",
        "estimate-text-mamba-diffusion",
        "refine-image-ram",
        "refine-text-ram",
    ]
    assert [len(events(path)) for path in files] == [5, 5, 4, 4]
