"""Losses as TensorBoard reads them: one event file per training step, written as they come. Needs no TensorBoard.

The format is that of TensorFlow's ``events.proto`` in its record file: length, its checksum, the event, its checksum.
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from bdk_cli.progress import Tell

_POLYNOMIAL = 0x82F63B78
"""CRC-32C, bits reversed."""


class Scalars:
    """Takes progress events and writes the rows of losses among them; passes everything on.

    Args:
        folder: one sub-folder a training step, named by its label and the first digits of its key.
        tell: who else takes the events.
    """

    def __init__(self, folder: Path, tell: Tell) -> None:
        self.folder, self.tell = folder, tell
        self._labels: dict[str, str] = {}
        self._files: dict[str, BinaryIO] = {}

    def __call__(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "start":
            self._labels[event["key"]] = event["label"]
        elif event["event"] == "row":
            step = int(event["row"]["step"])
            values = {name: float(value) for name, value in event["row"].items() if name != "step"}
            stream = self._file(event["key"])
            stream.write(record(scalar_event(time.time(), step, values)))
            stream.flush()
        elif event["event"] in ("done", "failed") and event["key"] in self._files:
            self._files.pop(event["key"]).close()
        self.tell(event)

    def _file(self, key: str) -> BinaryIO:
        if key not in self._files:
            name = re.sub(r"[^A-Za-z0-9]+", "-", self._labels.get(key, "step")).strip("-")
            folder = self.folder / f"{name}-{key[:8]}"
            folder.mkdir(parents=True, exist_ok=True)
            now = time.time()
            self._files[key] = (folder / f"events.out.tfevents.{int(now)}.bdk").open("ab")
            self._files[key].write(record(_double(1, now) + _text(3, b"brain.Event:2")))
        return self._files[key]


def scalar_event(now: float, step: int, values: Mapping[str, float]) -> bytes:
    """One event with some scalars, encoded.

    Args:
        now: seconds since 1970.
        step: optimiser step.
        values: numbers by tag.
    """
    summary = b"".join(_text(1, _text(1, tag.encode()) + _float(2, value)) for tag, value in values.items())
    return _double(1, now) + b"\x10" + _varint(step) + _text(5, summary)


def record(data: bytes) -> bytes:
    """An event with length and checksums around it."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def masked(data: bytes) -> int:
    """CRC-32C, rotated and shifted as record files want it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _entry(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = [_entry(byte) for byte in range(256)]


def _varint(value: int) -> bytes:
    """A whole number, seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _text(field: int, data: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _double(field: int, value: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return bytes([field << 3 | 5]) + struct.pack("<f", value)
