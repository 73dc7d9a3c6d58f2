"""For authors of plugins: the conformance kit. ``from bdk.testing import conformance`` in a test is all it takes.

Reading order: `conformance` (what to call), `report` (what comes back), `checking` (what a check is), `subject` (the
part under test), then one file of checks for each family. Nothing is imported here.
"""
