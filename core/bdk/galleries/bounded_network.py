"""The network layer of downloads and services: checked addresses only, within a budget of time and bytes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore

from bdk.galleries.addresses import resolve_host


@dataclass(frozen=True)
class Bounds:
    """Limits of one download.

    Args:
        bytes: of the body, and of everything received including headers and redirects.
        seconds: from name look-up to last byte, all redirects included.
        redirects: hops followed.
        allow_private: whether private, loopback and link-local addresses may be connected to.
    """

    bytes: int = 20_000_000
    seconds: float = 20.0
    redirects: int = 4
    allow_private: bool = False


class BoundError(Exception):
    """A bound was reached; the reason is one countable word."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Budget:
    """What is left of a download's time and bytes."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._end = time.monotonic() + bounds.seconds
        self._bytes = bounds.bytes + (64 << 10)

    def seconds(self) -> float:
        """What is left of the time."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise BoundError("timeout")
        return left

    def spend(self, count: int) -> None:
        """Take bytes that came in."""
        self._bytes -= count
        if self._bytes < 0:
            raise BoundError("too-many-bytes")


class Stream(httpcore.NetworkStream):
    """A connection whose every operation draws on the budget."""

    def __init__(self, inner: httpcore.NetworkStream, budget: Budget) -> None:
        self._inner, self._budget = inner, budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._inner.read(max_bytes, self._budget.seconds())
        self._budget.spend(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._budget.seconds())

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Stream:
        return Stream(self._inner.start_tls(ssl_context, server_hostname, self._budget.seconds()), self._budget)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Network(httpcore.NetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self, budget: Budget) -> None:
        self._budget, self._plain = budget, httpcore.SyncBackend()

    def connect_tcp(self, host: str, port: int, timeout=None, local_address=None, socket_options=None) -> Stream:
        bounds = self._budget.bounds
        address = resolve_host(host, port, self._budget.seconds(), bounds.allow_private)
        return Stream(self._plain.connect_tcp(address, port, self._budget.seconds()), self._budget)

    def connect_unix_socket(self, path: str, timeout=None, socket_options=None) -> httpcore.NetworkStream:
        raise BoundError("bad-url")

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, self._budget.seconds()))


def post(url: str, body: bytes, bounds: Bounds) -> tuple[int, bytes]:
    """Status and body of the answer to a JSON request; no redirect is followed.

    Args:
        url: a service that the user named.
        body: the request.
        bounds: of the whole exchange, name look-up and a dripping server included.

    Raises:
        BoundError, RefusedAddressError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol:
            there is no whole answer within the bounds.
    """
    headers = [(b"Host", urlsplit(url).netloc.encode()), (b"Content-Type", b"application/json")]
    try:
        with (
            httpcore.ConnectionPool(network_backend=Network(Budget(bounds))) as pool,
            pool.stream("POST", url, headers=headers, content=body) as response,
        ):
            return response.status, b"".join(response.iter_stream())
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise BoundError("timeout") from error
