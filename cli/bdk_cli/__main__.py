"""``python -m bdk_cli``."""

from bdk_cli.main import main

main()
