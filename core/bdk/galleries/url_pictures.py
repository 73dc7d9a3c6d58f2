"""Pictures behind URLs: downloaded once, kept by URL, every failure kept with its reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bdk.galleries.download import Downloader, Failure
from bdk.galleries.pictures import Missing, Row, decode_picture

_PASSING = ("timeout", "connection-failed", "unknown-host", "http-429", "http-500", "http-502", "http-503", "http-504")
"""Failures that may pass: tried again by the next run, though not twice in one."""


class UrlPictures:
    """Pictures by URL.

    What came is written as it came, under the sha256 of the URL; it counts as a picture only once it decodes.

    Args:
        folder: where downloads and failures are kept.
        downloader: fetches what is not there; None works offline.
        max_pixels: bound on width x height.
    """

    def __init__(self, folder: Path, downloader: Downloader | None, max_pixels: int) -> None:
        self.folder, self.downloader, self.max_pixels = folder, downloader, max_pixels
        self._failed: dict[str, str] = {}

    def contents(self, rows: Sequence[Row]) -> list[str | Missing]:
        """The checksum of each row's picture file; what is not here yet is downloaded."""
        urls = [str(row.get("url") or "") for row in rows]
        self._bring([url for url in urls if url and not self._file(url).is_file() and not self._known_failure(url)])
        return [self._content(url) for url in urls]

    def load(self, row: Row) -> np.ndarray | Missing:
        """The picture of one row."""
        url = str(row.get("url") or "")
        content = self.contents([row])[0]
        if isinstance(content, Missing):
            return content
        picture = decode_picture(self._file(url).read_bytes(), self.max_pixels)
        if isinstance(picture, Missing):
            self._note(url, picture.reason)
        return picture

    def _content(self, url: str) -> str | Missing:
        if not url:
            return Missing("no-url")
        failure = self._known_failure(url)
        if failure:
            return Missing(failure)
        path = self._file(url)
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else Missing("not-downloaded")

    def _bring(self, urls: list[str]) -> None:
        if self.downloader is None or not urls:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for url, found in self.downloader.fetch(urls):
            if isinstance(found, Failure):
                self._note(url, found.reason)
                continue
            path = self._file(url)
            path.parent.mkdir(exist_ok=True)
            aside = path.with_suffix(".new")
            aside.write_bytes(found)
            aside.replace(path)

    def _file(self, url: str) -> Path:
        name = hashlib.sha256(url.encode()).hexdigest()
        return self.folder / name[:2] / name

    def _note(self, url: str, reason: str) -> None:
        """Remember a failure: on disk if it will not pass, else until the process ends."""
        self._failed[url] = reason
        if reason in _PASSING:
            return
        path = self._file(url).with_suffix(".failed")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"url": url, "reason": reason}))

    def _known_failure(self, url: str) -> str:
        if url not in self._failed:
            path = self._file(url).with_suffix(".failed")
            if path.is_file():
                self._failed[url] = str(json.loads(path.read_text())["reason"])
        return self._failed.get(url, "")
