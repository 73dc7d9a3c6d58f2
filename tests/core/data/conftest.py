"""Makes the small-file generators beside the tests importable, and the miniature NSD tree once a session."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """A miniature NSD tree in both beta formats; tests must not change it."""
    import mini_nsd

    return mini_nsd.make(tmp_path_factory.mktemp("mini"))


@pytest.fixture(scope="session")
def prepared(tree, tmp_path_factory):
    """That tree prepared: nsd37, z-scored by session, single trials."""
    from bdk.data.nsd.options import Options
    from bdk.data.nsd.prepare import prepare

    out = tmp_path_factory.mktemp("prepared") / "subj01"
    prepare(Options(tree.root, 1, out, captions=tree.coco))
    return out
