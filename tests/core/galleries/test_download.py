"""Whatever a server does, a download ends within its bounds and says why. Nothing here leaves loopback."""

import socket
import threading
import time

import pytest
from bdk.galleries import addresses, download
from bdk.galleries.download import Bounds, Downloader, Failure
from bdk.galleries.pictures import Missing
from bdk.galleries.url_pictures import UrlPictures

PRIVATE = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1"),
    *("255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("64:ff9b::7f00:1", "2002:7f00:1::"),
]
BOUNDS = Bounds(bytes=100_000, seconds=0.6, redirects=3, allow_private=True)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("says-huge", "too-many-bytes"),
        ("endless", "too-many-bytes"),
        ("endless-headers", {"too-many-bytes", "bad-answer"}),
        ("drip", "timeout"),
        ("drip-headers", "timeout"),
        ("silence", "timeout"),
        ("round", "too-many-redirects"),
        ("to/ftp://127.0.0.1/x", "bad-url"),
        ("to/file:///etc/passwd", "bad-url"),
        ("zipped", "compressed"),
        ("nothing", "empty"),
        ("hangs-up", {"bad-answer", "connection-failed"}),
        ("cut", "bad-answer"),
        ("garbage", "bad-answer"),
        ("status/404", "http-404"),
        ("status/500", "http-500"),
    ],
)
def test_every_misbehaviour_is_bounded_and_named(server, path, reason):
    start = time.monotonic()
    found = download.download(server.url(path), BOUNDS)
    assert isinstance(found, Failure)
    assert found.reason in (reason if isinstance(reason, set) else {reason})
    assert time.monotonic() - start < 10 * BOUNDS.seconds


def test_a_good_answer_is_returned_whole(server, png):
    assert download.download(server.url("ok"), BOUNDS) == png(colour=(14, 30, 30))


def test_a_redirect_is_followed(server):
    assert isinstance(download.download(server.url("to//ok"), BOUNDS), bytes)
    assert isinstance(download.download(server.url(f"to/{server.url('ok')}"), BOUNDS), bytes)


def test_private_addresses_are_refused_unless_allowed(server):
    assert download.download(server.url("ok"), Bounds(seconds=2)) == Failure("private-address")
    assert server.requests.total() == 0


def test_a_redirect_to_a_private_address_is_refused(server, monkeypatch):
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == "127.0.0.1")
    bounds = Bounds(seconds=2, allow_private=False)
    assert isinstance(download.download(server.url("ok"), bounds), bytes)
    for host in ("127.0.0.2", "localhost.localdomain", "[::1]", "10.0.0.1", "169.254.169.254"):
        found = download.download(server.url(f"to/http://{host}:{server.port}/ok"), bounds)
        assert found in (Failure("private-address"), Failure("unknown-host")), host
    assert server.requests["ok"] == 1


def test_the_address_that_was_checked_is_the_one_connected_to(server, monkeypatch):
    """A name that answers differently the second time gets nothing from it: it is looked up once a hop."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    monkeypatch.setattr(addresses, "_addresses", lambda host, port: next(answers))
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == "127.0.0.1")
    found = download.download(server.url("ok", "pictures.test"), Bounds(seconds=2))
    assert isinstance(found, bytes)


def test_a_name_with_one_private_address_is_refused(monkeypatch):
    monkeypatch.setattr(addresses, "_addresses", lambda host, port: ["93.184.215.14", "192.168.0.1"])
    assert download.download("http://pictures.test/x", Bounds(seconds=1)) == Failure("private-address")


def test_a_name_look_up_that_hangs_is_left_alone(monkeypatch):
    monkeypatch.setattr(addresses, "_addresses", lambda host, port: time.sleep(5) or [])
    start = time.monotonic()
    assert download.download("http://slow.test/x", Bounds(seconds=0.2)) == Failure("timeout")
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pictures/x.png",
        "ftp://host/x",
        "http://",
        "http://user:word@host/x",
        "http://[::1",
        "http://host:99999/x",
        "gopher://x",
    ],
)
def test_what_is_no_url_is_a_bad_url(url):
    assert download.download(url, BOUNDS).reason in ("bad-url", "unknown-host")


@pytest.mark.parametrize(
    "address",
    PRIVATE,
)
def test_addresses_that_are_not_public(address):
    import ipaddress

    assert not addresses.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d70e"])
def test_addresses_that_are_public(address):
    import ipaddress

    assert addresses.is_public(ipaddress.ip_address(address))


def test_letters_that_http_does_not_allow_are_escaped(server):
    assert isinstance(download.download(server.url("ok/größe und mehr.png?q=ä b"), BOUNDS), bytes)
    assert list(server.requests) == ["ok/gr%C3%B6%C3%9Fe%20und%20mehr.png?q=%C3%A4%20b"]


def test_one_host_gets_at_most_two_requests_at_once(monkeypatch):
    running, most, lock = [], [], threading.Lock()

    def counted(url, bounds):
        with lock:
            running.append(url)
            most.append(len(running))
        time.sleep(0.02)
        with lock:
            running.remove(url)
        return b"x"

    monkeypatch.setattr(download, "download", counted)
    urls = [f"http://one.test/{number}" for number in range(8)]
    assert len(dict(Downloader(BOUNDS, at_once=8).fetch(urls))) == 8
    assert max(most) == download.PER_HOST


def test_each_distinct_url_is_asked_for_once_and_progress_is_told(server):
    told = []
    urls = [server.url("ok/1"), server.url("ok/2"), server.url("ok/1")]
    list(Downloader(BOUNDS, progress=lambda done, total: told.append((done, total))).fetch(urls))
    assert server.requests == {"ok/1": 1, "ok/2": 1}
    assert told == [(1, 2), (2, 2)]


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(capsys):
    bar = download.Bar(every=0.0)
    for done in range(1, 4):
        bar(done, 4)
    assert capsys.readouterr().err.splitlines()[-1] == "pictures [######################........] 3/4"
    quiet = download.Bar()
    quiet(4, 4)
    assert capsys.readouterr().err == ""


def test_a_bad_host_does_not_hold_up_the_others(server):
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    urls = [server.url("silence"), f"http://127.0.0.1:{port}/x", server.url("ok")]
    found = dict(Downloader(BOUNDS).fetch(urls))
    assert found[urls[0]] == Failure("timeout") and found[urls[1]] == Failure("connection-failed")
    assert isinstance(found[urls[2]], bytes)


def pictures(tmp_path, downloader=True, **bounds):
    made = Downloader(Bounds(bytes=200_000, seconds=0.6, allow_private=True)) if downloader else None
    return UrlPictures(tmp_path / "pictures", made, max_pixels=10**6)


def test_pictures_are_downloaded_once_and_failures_counted_by_reason(server, tmp_path):
    rows = [{"url": server.url(path)} for path in ("ok", "pixels", "broken", "page", "status/404", "ok")] + [{}]
    source = pictures(tmp_path)
    loaded = [source.load(row) for row in rows]
    words = [found.reason if isinstance(found, Missing) else found.shape for found in loaded]
    assert words == [
        (512, 512, 3),
        "too-many-pixels",
        "broken-image",
        "not-an-image",
        "http-404",
        (512, 512, 3),
        "no-url",
    ]
    again = [pictures(tmp_path).load(row) for row in rows]
    assert [found.reason for found in again if isinstance(found, Missing)] == [w for w in words if isinstance(w, str)]
    assert server.requests == {"ok": 1, "pixels": 1, "broken": 1, "page": 1, "status/404": 1}


def test_a_failure_that_may_pass_is_tried_again_by_the_next_run_only(server, tmp_path):
    source = pictures(tmp_path)
    row = {"url": server.url("status/503")}
    assert [source.load(row).reason, source.load(row).reason] == ["http-503", "http-503"]
    assert server.requests["status/503"] == 1
    pictures(tmp_path).load(row)
    assert server.requests["status/503"] == 2


def test_offline_nothing_is_asked_for(server, tmp_path):
    assert pictures(tmp_path, downloader=False).load({"url": server.url("ok")}) == Missing("not-downloaded")
    pictures(tmp_path).load({"url": server.url("ok")})
    assert pictures(tmp_path, downloader=False).load({"url": server.url("ok")}).shape == (512, 512, 3)
    assert server.requests.total() == 1


def test_the_content_name_is_the_pictures_checksum(server, tmp_path, png):
    import hashlib

    names = pictures(tmp_path).contents([{"url": server.url("ok")}, {"url": server.url("status/404")}])
    assert names == [hashlib.sha256(png(colour=(14, 30, 30))).hexdigest(), Missing("http-404")]
