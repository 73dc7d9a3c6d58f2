import io

import numpy as np
import pytest
from bdk.galleries.pictures import FilePictures, Missing, NoPictures, ScenePictures, decode_picture
from PIL import Image


def encoded(pixels, kind):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_the_middle_square_is_cut_out(kind):
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = (250, 10, 10)
    square = decode_picture(encoded(pixels, kind), 10**6, side=50)
    assert square.shape == (50, 50, 3) and square.dtype == np.uint8
    assert np.abs(square[10:40, 10:40].astype(int) - (250, 10, 10)).max() < 12


def test_a_small_file_of_many_pixels_is_refused_before_decoding(pixel_bomb):
    bomb = pixel_bomb()
    assert len(bomb) < 20_000
    assert decode_picture(bomb, 10**9) == Missing("too-many-pixels")
    assert decode_picture(bomb, 10**6) == Missing("too-many-pixels")


def test_broken_files_have_their_own_words(broken_jpeg):
    assert decode_picture(b"", 10**6) == Missing("not-an-image")
    assert decode_picture(b"<svg/>", 10**6) == Missing("not-an-image")
    assert decode_picture(broken_jpeg(), 10**6) == Missing("broken-image")


def test_files_are_named_by_their_bytes(tmp_path, png):
    (tmp_path / "a.png").write_bytes(png())
    source = FilePictures(tmp_path, 10**6)
    rows = [{"path": "a.png"}, {"path": str(tmp_path / "a.png")}, {"path": "b.png"}, {}]
    names = source.contents(rows)
    assert names[0] == names[1] and names[2:] == [Missing("file-not-found"), Missing("no-path")]
    assert source.load(rows[0]).shape == (512, 512, 3) and source.load(rows[3]) == Missing("no-path")


def test_a_scene_is_drawn_again_alike():
    source = ScenePictures(seed=0, size=64)
    assert np.array_equal(source.load({"scene": 40_000_003}), source.load({"scene": 40_000_003}))
    assert source.contents([{"scene": 5}, {}]) == ["scene:0:64:5", Missing("no-scene")]


def test_a_gallery_without_pictures_says_so():
    assert NoPictures().contents([{}]) == [Missing("gallery-has-no-pictures")] == [NoPictures().load({})]
