"""Scores side by side."""

from __future__ import annotations

from bdk.metrics.plugin import METRICS
from bdk.metrics.score import Score
from bdk.metrics.table import score_lines, side_by_side
from bdk.report.cells import Column
from bdk.report.published import published_rows


def test_a_fraction_is_printed_in_percent_as_the_papers_number_beside_it():
    """0.941 of ours and 94.1 of the paper are one number, in a terminal's table and in a report's."""
    paper = published_rows("table1")["brainram"] | published_rows("table2")["brainram"]
    assert {info.name for info in METRICS} == set(paper)
    for info in METRICS:
        ours = paper[info.name] / 100 if info.unit == "fraction" else paper[info.name]
        column = Column(info.name, info.label, unit=info.unit)
        assert 0 <= ours <= 1
        assert Score(ours, unit=info.unit).printed() == column.printed(ours) == column.cited(paper[info.name])


def test_two_presets_never_share_a_column():
    rows = {
        "ours": {"ssim": Score(0.3, preset="mindeye", name="ssim")},
        "theirs": {"ssim": Score(0.4, preset="brain-diffuser", name="ssim")},
    }
    columns = side_by_side(rows)
    assert [column.heading for column in columns] == ["ssim [mindeye]", "ssim [brain-diffuser]"]
    assert [list(column.scores) for column in columns] == [["ours"], ["theirs"]]


def test_two_networks_or_weights_never_share_a_column():
    def eff(network: str, sha: str) -> dict[str, Score]:
        return {"eff": Score(0.7, preset="mindeye", network=network, weights_sha256=sha, name="eff")}

    rows = {"a": eff("b1", "1"), "b": eff("lite0", "2"), "c": eff("b1", "3"), "d": eff("b1", "1")}
    assert [list(column.scores) for column in side_by_side(rows)] == [["a", "d"], ["b"], ["c"]]


def test_a_missing_value_stands_in_the_column_of_its_metric():
    rows = {
        "a": {"eff": Score(0.7, preset="mindeye", network="b1", weights_sha256="1", name="eff")},
        "b": {"eff": Score(None, preset="mindeye", name="eff", missing="no weights")},
    }
    columns = side_by_side(rows)
    assert len(columns) == 1 and list(columns[0].scores) == ["a", "b"]


def test_columns_of_one_metric_stand_together():
    rows = {
        "a": {"ssim": Score(0.1, preset="x", name="ssim"), "eff": Score(0.2, preset="x", name="eff")},
        "b": {"ssim": Score(0.1, preset="y", name="ssim"), "eff": Score(0.2, preset="y", name="eff")},
    }
    assert [column.name for column in side_by_side(rows)] == ["ssim", "ssim", "eff", "eff"]


def test_lines_show_stand_ins_stamps_and_missing_reasons():
    scores = {
        "clip": Score(
            0.937,
            0.9,
            0.95,
            0.5,
            unit="fraction",
            network="tiny-clip/embedding",
            stand_in_for="clip-vit-l14",
            name="clip",
        ).stamped("oracle"),
        "swav": Score(None, direction="down", name="swav", missing="bdk weights fetch swav-resnet50"),
        "eff": Score(0.7121, direction="down", unit="correlation_distance", name="eff"),
    }
    text = "\n".join(score_lines(scores))
    assert "93.7" in text and "90.0 to 95.0" in text and "STAND-IN for clip-vit-l14" in text and "oracle" in text
    assert "bdk weights fetch swav-resnet50" in text
    assert "0.712 (less is better)" in text
