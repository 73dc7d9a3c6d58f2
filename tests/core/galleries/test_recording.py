import pytest
import torch
from bdk.errors import DataError
from bdk.galleries.recording import Recorder, read_record
from bdk.interfaces import Neighbours


class Source:
    def describe(self, ids):
        return [{"id": id, "caption": f"c{id}"} for id in ids]


def search(seed, k=3):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 50, (4, k), generator=generator)
    ids[0, -1] = -1
    return torch.nn.functional.normalize(torch.randn(4, 8, generator=generator), dim=1), Neighbours(
        ids, torch.rand(4, k, generator=generator)
    )


def test_searches_of_different_width_are_joined(tmp_path):
    recorder = Recorder(tmp_path / "r")
    for seed, k in ((0, 3), (1, 5)):
        keys, found = search(seed, k)
        recorder.add(keys, found, None, Source(), {"fingerprint": "f", "name": "g"})
    record = read_record(tmp_path / "r")
    assert record.ids.shape == (8, 5) and sorted(record.widths.tolist()) == [3] * 4 + [5] * 4
    assert record.header["name"] == "g" and -1 not in record.items
    assert record.items[int(found.ids[1, 0])]["caption"] == f"c{int(found.ids[1, 0])}"


def test_recording_a_search_twice_changes_nothing(tmp_path):
    for _ in range(2):
        keys, found = search(0)
        Recorder(tmp_path / "r").add(keys, found, None, Source(), {"fingerprint": "f"})
    assert len(list((tmp_path / "r").iterdir())) == 1


def test_searches_of_two_galleries_do_not_mix(tmp_path):
    keys, found = search(0)
    Recorder(tmp_path / "r").add(keys, found, None, Source(), {"fingerprint": "f"})
    with pytest.raises(DataError, match="another gallery"):
        Recorder(tmp_path / "r").add(keys, found, None, Source(), {"fingerprint": "g"})


def test_a_damaged_record_is_refused_by_name(tmp_path):
    keys, found = search(0)
    Recorder(tmp_path / "r").add(keys, found, None, Source(), {"fingerprint": "f"})
    (path,) = (tmp_path / "r").iterdir()
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="damaged") as caught:
        read_record(tmp_path / "r")
    assert caught.value.where == str(path)


def test_an_empty_folder_holds_no_record(tmp_path):
    with pytest.raises(DataError, match="Nothing is recorded"):
        read_record(tmp_path)
