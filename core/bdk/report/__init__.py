"""What a run or a sweep leaves for people: tables, pictures, one page that opens anywhere, the last lines printed."""

from bdk.report.summary import claim_facts, summary_lines
from bdk.report.writing import write_run, write_sweep

__all__ = ["claim_facts", "summary_lines", "write_run", "write_sweep"]
