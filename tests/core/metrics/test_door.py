"""What is on offer, and that looking at it loads no torch."""

from __future__ import annotations

import subprocess
import sys

from bdk.metrics.plugin import CITATIONS, METRICS


def test_the_ten_metrics_of_the_design_are_on_offer():
    assert [info.name for info in METRICS] == [
        *("pixcorr", "ssim", "alex2", "alex5", "incep", "clip", "eff", "swav"),
        *("image_retrieval", "brain_retrieval"),
    ]


def test_looking_at_metrics_weights_and_commands_loads_no_torch():
    code = (
        "import sys, bdk.metrics, bdk.metrics.plugin, bdk.metrics.table, bdk.weights, bdk.statistics,"
        "bdk.noise_ceiling, bdk.leakage, bdk_cli.evaluate, bdk_cli.weights;"
        "print([m for m in ('torch', 'timm', 'open_clip', 'torchmetrics', 'torchvision') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_scores_and_tables_need_no_torchmetrics():
    code = (
        "import sys, numpy as np; from bdk.metrics import retrieval_scores;"
        "retrieval_scores(np.eye(4), np.eye(4)); print('torchmetrics' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_own_citations_are_defined():
    own = {key for info in METRICS for key in info.cite if not key.startswith("scotti")}
    assert own == set(CITATIONS)
