"""Which network addresses a stranger's URL may lead to."""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class RefusedAddressError(Exception):
    """A host that leads to no address, or to one that is not public."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, also when it is wrapped in an IPv6 one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside a mapped, 6to4, Teredo or NAT64 address."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def resolve_host(host: str, port: int, seconds: float, allow_private: bool) -> str:
    """The address to connect to, checked. Every address of the host must be allowed, not only the first.

    Args:
        host: name or literal address.
        port: where to.
        seconds: bound on the look-up.
        allow_private: whether addresses that are not public are fine.

    Raises:
        RefusedAddressError: with reason ``unknown-host``, ``timeout`` or ``private-address``.
    """
    addresses = _look_up(host, port, seconds)
    if not addresses:
        raise RefusedAddressError("unknown-host")
    if not allow_private and not all(is_public(ipaddress.ip_address(a.split("%")[0])) for a in addresses):
        raise RefusedAddressError("private-address")
    return addresses[0]


def _look_up(host: str, port: int, seconds: float) -> list[str]:
    """``getaddrinfo`` has no time limit of its own, so it runs beside us and is left alone when it is late."""
    answers: queue.Queue[list[str]] = queue.Queue()
    threading.Thread(target=lambda: answers.put(_addresses(host, port)), daemon=True).start()
    try:
        return answers.get(timeout=max(seconds, 0.001))
    except queue.Empty:
        raise RefusedAddressError("timeout") from None


def _addresses(host: str, port: int) -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []
