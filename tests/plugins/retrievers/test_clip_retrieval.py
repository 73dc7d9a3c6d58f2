"""The client against a local server that speaks clip-retrieval's protocol, well and badly."""

import contextlib
import http.server
import json
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from bdk.errors import ComponentError, RetrieverUnavailableError, SpaceMismatchError
from bdk.galleries.gallery import Gallery


class Service:
    """``/knn-service`` and ``/metadata`` over the rows of a gallery; ``fault`` makes it misbehave."""

    def __init__(self, root):
        gallery = Gallery(root)
        self.stored = gallery.embeddings().take(np.arange(len(gallery))).astype(np.float64)
        self.stored /= np.linalg.norm(self.stored, axis=1, keepdims=True)
        self.requests: list[tuple[str, dict]] = []
        self.fault, self.keep = "", 10**6
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.requests.append((self.path, body))
                if service.fault.startswith("drip"):
                    return self.drip(service.fault == "drip-headers")
                status, answer = service.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(answer)

            def drip(self, headers):
                """A byte now and then, for as long as the other side listens."""
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: " if headers else b"HTTP/1.1 200 OK\r\n\r\n[")
                with contextlib.suppress(OSError):
                    for _ in range(400):
                        self.wfile.write(b" ")
                        time.sleep(0.05)

            def do_GET(self):
                path = root / self.path.lstrip("/")
                self.send_response(200 if path.is_file() else 404)
                self.end_headers()
                self.wfile.write(path.read_bytes() if path.is_file() else b"")

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path, body):
        if self.fault:
            return {
                "500": (500, b'{"message": "boom"}'),
                "html": (200, b"<html>"),
                "dict": (200, b"{}"),
                "ids": (200, b'[{"similarity": 1}]'),
                "huge": (200, b"[" + b" " * 200_000),
            }[self.fault]
        if path == "/metadata":
            return 200, json.dumps([{"id": id, "metadata": self.row(id)} for id in body["ids"]]).encode()
        for required in ("modality", "num_images", "indice_name"):
            assert required in body
        cosine = self.stored @ np.asarray(body["embedding_input"])
        order = np.argsort(-cosine)[: min(body["num_result_ids"], self.keep)]
        return 200, json.dumps(
            [{"id": int(i), "similarity": float(cosine[i]), **self.row(int(i))} for i in order]
        ).encode()

    @staticmethod
    def row(id):
        return {"caption": f"caption {id}", "url": f"http://127.0.0.1:1/{id}.png", "NSFW": None}


@pytest.fixture
def service(gallery):
    service = Service(gallery)
    yield service
    service.server.shutdown()


@pytest.fixture
def client(build, service):
    def make(**options):
        return build("clip-retrieval", url=service.url, index="toy", key_model="toy/pooled", **options)

    return make


def test_the_service_agrees_with_the_exact_scan(build, client, gallery, keys):
    found, exact = client().search(keys(), 7), build("exact", root=gallery).search(keys(), 7)
    assert torch.equal(found.ids, exact.ids) and torch.allclose(found.scores, exact.scores, atol=1e-6)


def test_exclusion_asks_for_more_and_drops(build, client, gallery, keys):
    exact = build("exact", root=gallery).search(keys(), 7).ids
    assert torch.equal(client().search(keys(), 4, exact[:, :3]).ids, exact[:, 3:])


def test_nothing_that_bends_the_ranking_is_asked_for(client, service, keys):
    retriever = client()
    retriever.search(keys(1), 3)
    ((path, body),) = service.requests
    assert path == "/knn-service"
    flags = {
        name: body[name]
        for name in ("deduplicate", "use_safety_model", "use_violence_detector", "aesthetic_score", "use_mclip")
    }
    assert flags == {
        "deduplicate": False,
        "use_safety_model": False,
        "use_violence_detector": False,
        "aesthetic_score": "",
        "use_mclip": False,
    }
    assert (body["num_images"], body["num_result_ids"], body["indice_name"], body["modality"]) == (3, 3, "toy", "image")
    assert retriever.stamps()["service_flags"]["aesthetic_score"] == "" and retriever.stamps()["dedup"] is False


def test_fewer_answers_than_asked_for_are_padded_and_stamped(client, service, keys):
    service.keep = 2
    retriever = client()
    found = retriever.search(keys(5), 4)
    assert (found.ids[:, 2:] == -1).all() and torch.isinf(found.scores[:, 2:]).all()
    assert retriever.stamps()["unfilled_neighbours"] == 10


def test_captions_are_encoded_and_dead_pictures_counted(client, keys):
    retriever = client(allow_private_addresses=True, max_seconds=1)
    ids = retriever.search(keys(2), 3).ids
    assert retriever.fetch(ids, "text").isfinite().all()
    assert retriever.fetch(ids, "image").isnan().all()
    assert sum(retriever.stamps()["missing_items"]["image"].values()) == len(torch.unique(ids))


def test_items_that_no_search_brought_are_asked_for_by_id(client, service):
    assert client().describe([4, 250])[1] == {"id": 250, "caption": "caption 250", "url": "http://127.0.0.1:1/250.png"}
    assert service.requests == [("/metadata", {"ids": [4, 250], "indice_name": "toy"})]


@pytest.mark.parametrize("fault", ["500", "html", "dict", "huge"])
def test_an_unusable_answer_is_a_typed_error_that_names_the_service(client, service, keys, fault):
    service.fault = fault
    with pytest.raises(RetrieverUnavailableError, match="gave no usable answer") as caught:
        client(max_answer_bytes=100_000).search(keys(1), 3)
    assert service.url in caught.value.what and "bdk index import" in caught.value.mend


@pytest.mark.parametrize("fault", ["drip", "drip-headers"])
def test_a_service_that_drips_is_left_after_the_time_that_the_options_allow(client, service, keys, fault):
    service.fault = fault
    start = time.monotonic()
    with pytest.raises(RetrieverUnavailableError, match="timeout"):
        client(timeout=0.5).search(keys(1), 3)
    assert time.monotonic() - start < 5


def test_an_item_without_an_id_is_refused(client, service, keys):
    service.fault = "ids"
    with pytest.raises(ComponentError, match="no id"):
        client().search(keys(1), 3)


def test_a_service_that_is_not_there_is_a_typed_error(build, keys):
    with pytest.raises(RetrieverUnavailableError):
        build("clip-retrieval", url="http://127.0.0.1:9", key_model="toy/pooled").search(keys(1), 3)


def test_queries_of_another_model_are_refused(build, service, context):
    with pytest.raises(SpaceMismatchError):
        build("clip-retrieval", replace(context, key_model="toy/other"), url=service.url, key_model="toy/pooled")


def test_a_recorded_service_can_be_replayed_without_it(build, client, service, keys, tmp_path):
    found = client(record=str(tmp_path / "record")).search(keys(), 4)
    service.server.shutdown()
    replayed = build("frozen", folder=tmp_path / "record").search(keys(), 4)
    assert torch.equal(replayed.ids, found.ids)


def test_the_client_conforms(tmp_path):
    """The kit's own checks, over a service that serves the kit's gallery, pictures included."""
    from bdk.testing import conformance
    from bdk.testing.tiny_gallery import KEY_MODEL, caption, picture_path, write_tiny_gallery

    service = Service(write_tiny_gallery(tmp_path / "served").root)
    service.row = lambda id: {"caption": caption(id), "url": f"{service.url}/{picture_path(id)}"}
    options = {"url": service.url, "index": "check", "key_model": KEY_MODEL, "allow_private_addresses": True}
    conformance.assert_conforms("retriever", "clip-retrieval", options=options)
    service.server.shutdown()
