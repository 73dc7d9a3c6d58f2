"""The paper's numbers as data, and the remarks on them that can be computed."""

from __future__ import annotations

import pytest
from bdk import registry as registries
from bdk.errors import UnknownNameError
from bdk.report.published import published_rows, slips
from bdk.spec import load

ALL = [f"I{n}" for n in range(1, 20)]


def test_every_row_of_the_four_tables_is_there():
    assert [len(published_rows(f"table{n}")) for n in (1, 2, 3, 4)] == [6, 5, 6, 4]


def test_the_full_system_has_the_same_numbers_in_three_tables():
    rows = [published_rows("table1")["brainram"], published_rows("table3")["brainram"], published_rows("table4")["ram"]]
    assert rows[0] == rows[1] == rows[2] and len(rows[0]) == 8


def test_bundled_specs_report_exactly_what_the_paper_printed():
    registry = registries.load()
    checked = 0
    for name in (f"table{n}" for n in (1, 2, 3, 4) if f"table{n}" in registry.specs):
        sweep = load(name, registry)
        printed = published_rows(name)
        for row in (row for row in (*sweep.runs, *sweep.cited) if row.reported):
            assert dict(row.reported) == printed[row.name], f"{name}, row {row.name}"
            checked += 1
    assert checked >= 10


def test_every_slip_can_be_looked_up_and_points_into_a_table():
    found = slips(ALL)
    assert [slip.id for slip in found] == ALL
    for table, row, metric in (place for slip in found for place in slip.at):
        rows = published_rows(table)
        assert not row or row in rows
        assert not metric or metric in rows[row]


def test_gains_in_clip_are_4_1_and_30_8_and_20_3():
    clip = {name: row["clip"] for name, row in published_rows("table1").items() if "clip" in row}
    gains = [round(clip["brainram"] - clip[name], 1) for name in ("mindeye", "takagi", "brain-diffuser")]
    assert gains == [4.1, 30.8, 20.3]
    assert "4.1, 30.8 and 20.3" in slips(["I1"])[0].text


def test_retrieval_gains_over_mindeye_are_3_6_and_5_0():
    rows = published_rows("table2")
    for metric, over_mindeye in (("image_retrieval", 3.6), ("brain_retrieval", 5.0)):
        assert round(rows["brainram"][metric] - rows["mindeye"][metric], 1) == over_mindeye
    assert round(rows["brainram"]["brain_retrieval"] - rows["no-ram"]["brain_retrieval"], 1) == 5.7


def test_ram_does_not_lead_every_fusion_in_pixcorr():
    rows = published_rows("table4")
    assert max(rows, key=lambda name: rows[name]["pixcorr"]) == "cross-attention"


def test_without_ram_three_of_six_columns_beat_mindeye():
    ours, theirs = published_rows("table2")["no-ram"], published_rows("table2")["mindeye"]
    better = {m for m in ours if (ours[m] > theirs[m]) != (m in ("eff", "swav"))}
    assert better == {"incep", "clip", "image_retrieval"}


def test_two_rows_of_table_3_share_three_numbers():
    rows = published_rows("table3")
    shared = {m for m, value in rows["mlp"].items() if rows["image-guide"][m] == value}
    assert shared == {"incep", "clip", "eff"} and rows["mlp"]["swav"] == rows["mamba"]["swav"]


def test_laion400m_is_worse_than_no_retrieval_in_two_columns():
    small, none = published_rows("table3")["laion400m"], published_rows("table3")["mamba"]
    worse = {m for m in small if (small[m] < none[m]) != (m in ("eff", "swav"))}
    assert worse == {"pixcorr", "alex5"}


def test_an_unknown_table_or_footnote_names_the_known_ones():
    with pytest.raises(UnknownNameError) as error:
        published_rows("table5")
    assert "table4" in str(error.value)
    with pytest.raises(UnknownNameError, match="I20"):
        slips(["I20"])
