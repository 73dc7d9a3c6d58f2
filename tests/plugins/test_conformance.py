"""Every built-in part keeps its contracts, as found through the installed entry points."""

import http.server
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from bdk import registry
from bdk.components import FAMILIES
from bdk.galleries.gallery import Gallery
from bdk.registry import OWN
from bdk.spaces import Space
from bdk.testing import conformance
from bdk.testing.tiny_gallery import KEY_MODEL, ROWS, caption, picture_path, write_tiny_gallery

SLOW = {"prior unet", "prior diffusion", "decoder demo", "encoder conv1d-resnet"}
SPACES = sorted(registry.load().spaces)
PUBLISHED = [id for id in SPACES if "weights" in registry.load().space(id).options]
"""Spaces whose backbones are published networks; they are checked where their weights are."""


def built_in(family):
    known = registry.load()
    return [name for name in known.names(family) if known.component(family, name).distribution.startswith(f"{OWN} ")]


def marked(names, family):
    return [pytest.param(name, marks=[pytest.mark.slow] if f"{family} {name}" in SLOW else []) for name in names]


def require(report, at_least):
    assert report.ok, str(report)
    assert report.ran >= at_least


@pytest.mark.parametrize("name", marked(built_in("encoder"), "encoder"))
def test_encoders_conform(name):
    require(conformance.assert_conforms("encoder", name), 20)


@pytest.mark.parametrize("name", marked(built_in("prior"), "prior"))
def test_priors_conform(name):
    require(conformance.assert_conforms("prior", name), 21)


@pytest.mark.parametrize("name", marked(built_in("fusion"), "fusion"))
def test_fusion_modules_conform(name):
    require(conformance.assert_conforms("fusion", name), 20)


class Service:
    """clip-retrieval's protocol over a gallery, and the gallery's pictures."""

    def __init__(self, root):
        stored = Gallery(root).embeddings().take(np.arange(ROWS)).astype(np.float64)
        stored /= np.linalg.norm(stored, axis=1, keepdims=True)
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/metadata":
                    return self.answer(
                        json.dumps([{"id": id, "metadata": service.row(id)} for id in body["ids"]]).encode()
                    )
                cosine = stored @ np.asarray(body["embedding_input"])
                order = np.argsort(-cosine)[: body["num_result_ids"]]
                rows = [{"id": int(id), "similarity": float(cosine[id]), **service.row(int(id))} for id in order]
                return self.answer(json.dumps(rows).encode())

            def do_GET(self):
                path = root / self.path.lstrip("/")
                self.answer(path.read_bytes() if path.is_file() else b"", 200 if path.is_file() else 404)

            def answer(self, body, status=200):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def row(self, id):
        return {"caption": caption(id), "url": f"{self.url}/{picture_path(id)}"}


@pytest.fixture
def options_of(tmp_path):
    """What retrievers without a ``root`` of their own are told of the kit's gallery."""
    services = []

    def make(name):
        gallery = tmp_path / "gallery"
        if name == "clip-retrieval":
            write_tiny_gallery(gallery)
            services.append(Service(gallery))
            return {"url": services[-1].url, "index": "x", "key_model": KEY_MODEL, "allow_private_addresses": True}
        if name == "frozen":  # replays what the kit asked of the exact scan
            write_tiny_gallery(gallery)
            live = {"root": str(gallery), "record": str(tmp_path / "record")}
            assert conformance.check("exact", "retriever", options=live).ok
            return {"folder": str(tmp_path / "record")}
        return None

    yield make
    for service in services:
        service.server.shutdown()


@pytest.mark.parametrize("name", built_in("retriever"))
def test_retrievers_conform(name, options_of):
    require(conformance.assert_conforms("retriever", name, options=options_of(name)), 18)


def tiny(**sizes):
    return {guide: Space(f"tiny/{guide}", *size, "image") for guide, size in sizes.items()}


def painter(name, folder):
    """Options and spaces of a decoder whose weights are a tiny random model, written into the folder."""
    from tests.plugins.decoders import tiny_models

    if name == "versatile-diffusion":
        from importlib import import_module

        convert = import_module(
            registry.load().component("decoder", name).target.rpartition(".")[0] + ".convert_vd"
        ).convert
        weights = convert(tiny_models.published_vd(folder / "published"), folder / "dual")
        return {"weights": str(weights), "steps": 2}, tiny(image=(257, 8), text=(77, 8), low=(64, 4))
    if name == "sd-img2img":
        weights = tiny_models.stable_diffusion(folder)
        return {"weights": str(weights), "steps": 2, "side": 64}, tiny(text=(6, 8), low=(64, 4))
    if name == "ip-adapter":
        return {"weights": str(tiny_models.ip_adapter(folder)), "steps": 2}, tiny(image=(1, 12), text=(6, 8))
    if name == "unclip":
        return {"weights": str(tiny_models.unclip(folder)), "steps": 2}, tiny(image=(1, 10))
    if name == "torchscript":
        return {"path": str(exported(folder / "generator.pt"))}, tiny(image=(1, 12))
    return None, None


class Generator(torch.nn.Module):
    def forward(self, vector: torch.Tensor) -> torch.Tensor:
        return torch.tanh(vector).reshape(-1, 3, 2, 2).repeat(1, 1, 8, 8)


def exported(path: Path) -> Path:
    torch.jit.script(Generator()).save(str(path))
    return path


@pytest.mark.parametrize("name", marked(built_in("decoder"), "decoder"))
def test_decoders_conform(name, tmp_path):
    options, spaces = painter(name, tmp_path)
    require(conformance.assert_conforms("decoder", name, options=options, spaces=spaces), 16)


def test_every_family_was_checked_above():
    assert set(FAMILIES) == {"encoder", "prior", "retriever", "fusion", "decoder"}


def data_options(name, folder):
    """Options of a data set over files that are written into the folder."""
    from tests.core.data import mini_exports, mini_nsd

    draw = np.random.default_rng(0)
    if name == "arrays":
        np.save(folder / "betas.npy", draw.normal(size=(12, 5)).astype(np.float32))
        np.save(folder / "trials.npy", np.arange(12) % 6)
        np.save(folder / "pictures.npy", draw.integers(0, 255, (6, 16, 16, 3), dtype=np.uint8))
        lines = ['name = "mine"', 'betas = "betas.npy"', 'trial_stimulus = "trials.npy"', 'images = "pictures.npy"']
        (folder / "mine.toml").write_text("\n".join([*lines, "test = [4, 5]"]))
        return {"path": str(folder / "mine.toml")}
    if name == "nifti":
        return nifti(folder, draw)
    if name == "bids":
        return bids(folder, draw)
    if name == "nsd":
        from bdk.data.nsd.options import Options
        from bdk.data.nsd.prepare import prepare

        tree = mini_nsd.make(folder / "mini")
        prepare(Options(tree.root, 1, folder / "prepared", captions=tree.coco))
        return {"path": str(folder / "prepared")}
    if name == "mindeye-webdataset":
        mini_exports.mindeye(folder / "webdataset", draw)
        return {"path": str(folder / "webdataset"), "image_size": 32}
    if name == "mindeye2-hdf5":
        mini_exports.mindeye2(folder / "export", draw)
        return {"path": str(folder / "export"), "sessions": 2}
    return None


def volume(path, numbers):
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(numbers, np.eye(4)), path)
    return str(path)


def nifti(folder, draw):
    labels = (["rest"] * 2 + ["face"] * 4 + ["rest"] * 3 + ["house"] * 4 + ["rest"] * 7) * 3
    (folder / "events.txt").write_text("\n".join(f"{label} {row // 20}" for row, label in enumerate(labels)))
    bold = volume(folder / "bold.nii.gz", draw.normal(100, 5, (3, 4, 2, 60)).astype(np.float32))
    mask = volume(folder / "mask.nii.gz", np.ones((3, 4, 2), np.int16))
    return {"bold": bold, "mask": mask, "events": str(folder / "events.txt")}


def bids(folder, draw):
    mask = volume(folder / "mask.nii.gz", np.ones((3, 3, 2), np.int16))
    for run, names in enumerate(["abc", "bde"]):
        stem = f"sub-01/func/sub-01_task-look_run-{run}"
        volume(folder / f"{stem}_betas.nii.gz", draw.normal(size=(3, 3, 2, 3)).astype(np.float32))
        rows = [f"{i}\t1\t{n}.png\tthe letter {n}\t{'test' if n in 'de' else 'train'}" for i, n in enumerate(names)]
        head = "onset\tduration\tstim_file\tcaption\tside"
        (folder / f"{stem}_events.tsv").write_text("\n".join([head, *rows]) + "\n")
    columns = {"captions_column": "caption", "split_column": "side"}
    return {"root": str(folder), "mask": mask, "normalise": "none", **columns}


@pytest.mark.parametrize("name", sorted(registry.load().datasets))
def test_data_sets_conform(name, tmp_path):
    require(conformance.assert_conforms("data", name, options=data_options(name, tmp_path)), 9)


@pytest.mark.parametrize("id", [id for id in SPACES if id not in PUBLISHED])
def test_spaces_that_need_no_published_weights_conform(id):
    require(conformance.assert_conforms("space", id), 6)


@pytest.mark.parametrize("id", PUBLISHED)
def test_spaces_that_need_published_weights_say_how_to_get_them(id):
    report = conformance.check(id, "space")
    assert "declaration-is-whole" in report.named("passed")
    assert report.ok or "bdk weights" in str(report)


@pytest.mark.parametrize("name", sorted(registry.load().metrics))
@pytest.mark.slow
def test_metrics_conform(name):
    require(conformance.assert_conforms("metric", name), 5)


def test_the_package_itself_has_a_light_quiet_door():
    from bdk.testing import door
    from bdk.testing.checking import run_checks
    from bdk.testing.report import Report

    require(run_checks(door.find(registry.load(), OWN), door.CHECKS, Report("the built-in parts")), 8)
