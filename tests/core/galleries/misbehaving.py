"""A loopback server that misbehaves in every way a stranger's can."""

from __future__ import annotations

import gzip
import io
import socket
import struct
import threading
import time
import zlib
from collections import Counter

from PIL import Image


def png(side: int = 24, colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(stream, "PNG")
    return stream.getvalue()


def pixel_bomb(side: int = 40_000) -> bytes:
    """A few kilobytes that say they are 1.6 billion pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1 + side) * 64, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def broken_jpeg() -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((200, 200), 90).convert("RGB").save(stream, "JPEG", quality=95)
    return stream.getvalue()[:3000]


class MisbehavingServer:
    """Answers by path and counts requests."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.requests: Counter[str] = Counter()
        self._lock, self._stop = threading.Lock(), threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    def close(self) -> None:
        self._stop.set()
        self._socket.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                path = connection.recv(65536).split(b" ")[1].decode().lstrip("/")
                with self._lock:
                    self.requests[path] += 1
                getattr(self, f"_{path.split('/')[0].replace('-', '_')}")(connection, path)
            except (OSError, IndexError):
                return

    @staticmethod
    def _answer(connection: socket.socket, body: bytes, status: str = "200 OK", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def _ok(self, connection, path):
        self._answer(connection, png(colour=(len(path) * 7 % 255, 30, 30)))

    def _says_huge(self, connection, path):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + bytes(1000))

    def _endless(self, connection, path):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not self._stop.is_set():
            connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    def _drip(self, connection, path):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        self._dripping(connection)

    def _drip_headers(self, connection, path):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        self._dripping(connection)

    def _dripping(self, connection):
        while not self._stop.is_set():
            connection.sendall(b"a")
            time.sleep(0.05)

    def _endless_headers(self, connection, path):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not self._stop.is_set():
            connection.sendall(b"X-More: " + bytes(1000).replace(b"\0", b"a") + b"\r\n")

    def _silence(self, connection, path):
        self._stop.wait(30)

    def _to(self, connection, path):
        self._answer(connection, b"", "302 Found", f"Location: {path.split('/', 1)[1]}")

    def _round(self, connection, path):
        self._answer(connection, b"", "301 Moved", f"Location: /round/{self.requests.total()}")

    def _pixels(self, connection, path):
        self._answer(connection, pixel_bomb())

    def _zipped(self, connection, path):
        self._answer(connection, gzip.compress(bytes(10_000_000)), "200 OK", "Content-Encoding: gzip")

    def _broken(self, connection, path):
        self._answer(connection, broken_jpeg())

    def _page(self, connection, path):
        self._answer(connection, b"<html>Sorry, moved</html>")

    def _nothing(self, connection, path):
        self._answer(connection, b"")

    def _hangs_up(self, connection, path):
        connection.shutdown(socket.SHUT_RDWR)

    def _cut(self, connection, path):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + bytes(100))

    def _garbage(self, connection, path):
        connection.sendall(b"220 smtp.example.test ready\r\n\r\n")

    def _status(self, connection, path):
        self._answer(connection, b"no", f"{path.split('/')[1]} No")
