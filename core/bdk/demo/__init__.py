"""The embedded demo world: scenes drawn by our own code, a simulated brain, tiny networks, stand-in galleries.

Importing this package loads neither torch nor Pillow; take what you need from its modules.
"""

STAMP = "synthetic demo world; galleries are stand-ins, not LAION"
"""Stands on everything that comes out of the demo world."""
