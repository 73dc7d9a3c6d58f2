"""Downloads from strangers' URLs: bounded in bytes, time and redirects, and never to a private address unasked.

The bounds hold where the bytes come in: our network layer looks the host up, checks its addresses, connects to the
checked one, and gives every read what is left of the download's time. So neither a redirect, nor a name that changes
its address between check and use, nor a server that drips its headers gets around them.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

import httpcore

from bdk.galleries.addresses import RefusedAddressError
from bdk.galleries.bounded_network import BoundError, Bounds, Budget, Network

PER_HOST = 2
"""Downloads at once from one host."""
_AGENT = b"brain-decoding-kit (research; one request per picture)"
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Failure:
    """Why a download gave nothing, in one countable word."""

    reason: str


def download(url: str, bounds: Bounds) -> bytes | Failure:
    """The body behind a URL, or why there is none.

    Reasons: ``bad-url``, ``unknown-host``, ``private-address``, ``connection-failed``, ``timeout``,
    ``too-many-bytes``, ``too-many-redirects``, ``compressed``, ``bad-answer``, ``empty``, ``http-<status>``.
    """
    budget = Budget(bounds)
    try:
        body = _follow(url, budget)
    except (BoundError, RefusedAddressError) as error:
        return Failure(error.reason)
    except (httpcore.ConnectError, httpcore.ReadError, httpcore.WriteError):
        return Failure("connection-failed")
    except (httpcore.TimeoutException, TimeoutError):
        return Failure("timeout")
    except (httpcore.ProtocolError, httpcore.UnsupportedProtocol):
        return Failure("bad-answer")
    except (ValueError, OSError):
        return Failure("bad-url")
    return body or Failure("empty")


def _follow(url: str, budget: Budget) -> bytes:
    for _ in range(budget.bounds.redirects + 1):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise BoundError("bad-url")
        with httpcore.ConnectionPool(network_backend=Network(budget)) as pool:
            target, body = _hop(pool, _ascii(url), budget)
        if target is None:
            return body
        url = urljoin(url, target)
    raise BoundError("too-many-redirects")


def _ascii(url: str) -> str:
    """A URL with the letters that HTTP does not allow written as escapes."""
    parts = urlsplit(url)
    host = parts.netloc
    if not host.isascii():
        host = (parts.hostname or "").encode("idna").decode() + (f":{parts.port}" if parts.port else "")
    safe = "%/:=&?~#+!$,;'@()*[]"
    return parts._replace(
        netloc=host, path=quote(parts.path, safe), query=quote(parts.query, safe), fragment=""
    ).geturl()


def _hop(pool: httpcore.ConnectionPool, url: str, budget: Budget) -> tuple[str | None, bytes]:
    """One request: where it redirects to, or the body."""
    headers = {
        b"Host": urlsplit(url).netloc.encode(),
        b"User-Agent": _AGENT,
        b"Accept": b"image/*",
        b"Accept-Encoding": b"identity",
    }
    with pool.stream("GET", url, headers=list(headers.items())) as response:
        told = {name.lower(): value for name, value in response.headers}
        if response.status in _REDIRECTS and b"location" in told:
            return told[b"location"].decode("latin-1"), b""
        if response.status != 200:
            raise BoundError(f"http-{response.status}")
        _check_headers(told, budget.bounds)
        return None, _body(response, budget.bounds)


def _check_headers(told: dict[bytes, bytes], bounds: Bounds) -> None:
    length = told.get(b"content-length", b"0")
    if length.isdigit() and int(length) > bounds.bytes:
        raise BoundError("too-many-bytes")
    if told.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
        raise BoundError("compressed")


def _body(response: httpcore.Response, bounds: Bounds) -> bytes:
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > bounds.bytes:
            raise BoundError("too-many-bytes")
    return bytes(body)


class Downloader:
    """Many downloads at once, few from any one host.

    Args:
        bounds: of each download.
        at_once: downloads at the same time.
        progress: told (done, total) after each.
    """

    def __init__(self, bounds: Bounds, at_once: int = 16, progress: Callable[[int, int], None] | None = None) -> None:
        self.bounds, self.at_once, self.progress = bounds, at_once, progress
        self._hosts: dict[str, threading.Semaphore] = {}
        self._lock = threading.Lock()

    def fetch(self, urls: Iterable[str]) -> Iterator[tuple[str, bytes | Failure]]:
        """(url, bytes or failure) of each distinct URL, as they come in."""
        distinct = _spread(list(dict.fromkeys(urls)))
        with ThreadPoolExecutor(max_workers=self.at_once, thread_name_prefix="bdk-download") as pool:
            jobs = {pool.submit(self._one, url): url for url in distinct}
            for done, job in enumerate(as_completed(jobs), start=1):
                if self.progress is not None:
                    self.progress(done, len(distinct))
                yield jobs.pop(job), job.result()

    def _one(self, url: str) -> bytes | Failure:
        with self._turn(_host(url)):
            return download(url, self.bounds)

    def _turn(self, host: str) -> threading.Semaphore:
        with self._lock:
            return self._hosts.setdefault(host, threading.Semaphore(PER_HOST))


class Bar:
    """Says how far the downloads are, as a bar on the error stream: at once on a terminal, now and then elsewhere."""

    def __init__(self, every: float = 10.0) -> None:
        self._terminal = sys.stderr.isatty()
        self._every = 0.2 if self._terminal else every
        self._next = time.monotonic() + self._every

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() < self._next and not (self._terminal and done == total):
            return
        self._next = time.monotonic() + self._every
        filled = 30 * done // max(1, total)
        start, end = ("\r", "\n" if done == total else "") if self._terminal else ("", "\n")
        print(
            f"{start}pictures [{'#' * filled}{'.' * (30 - filled)}] {done}/{total}",
            end=end,
            file=sys.stderr,
            flush=True,
        )


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _spread(urls: list[str]) -> list[str]:
    """The URLs in turn by host, so that workers do not all wait for the same one."""
    by_host: dict[str, list[str]] = {}
    for url in urls:
        by_host.setdefault(_host(url), []).append(url)
    order = [(turn, url) for members in by_host.values() for turn, url in enumerate(members)]
    return [url for _, url in sorted(order, key=lambda pair: pair[0])]
