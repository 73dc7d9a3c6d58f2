"""The example package with a vector database, found through an entry point as an installed one is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "examples/plugins/bdk-vector-db"


@pytest.mark.slow
def test_the_example_packages_own_tests_pass(tmp_path):
    pytest.importorskip("lancedb")
    info = tmp_path / "bdk_vector_db-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bdk-vector-db\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[bdk]\nvector-db = bdk_vector_db\n")
    path = os.pathsep.join([str(tmp_path), str(PACKAGE / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(PACKAGE / "tests")]
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=env, cwd=PACKAGE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "6 passed" in done.stdout
