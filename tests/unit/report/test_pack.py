import base64
import zlib

import numpy as np
import pytest

from inforeg.report.pack import pack


def unpack(text):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)


@pytest.mark.parametrize("order", ["C", "F"])
def test_images_come_back_byte_for_byte_in_c_order(order):
    images = [np.asarray(np.arange(60, dtype=np.uint8).reshape(3, 4, 5) * k, order=order) for k in (1, 2, 3)]
    texts, levels = pack(images)
    assert levels == 256
    for image, text in zip(images, texts, strict=True):
        np.testing.assert_array_equal(unpack(text).reshape(3, 4, 5), image)


def test_noise_loses_its_lowest_bits_until_it_fits():
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 32, 32), dtype=np.uint8)
    images = list(noise)
    texts, levels = pack(images, most_bytes=130_000)
    assert levels in (32, 64)
    assert sum(len(base64.b64decode(t)) for t in texts) <= 130_000
    for image, text in zip(images, texts, strict=True):
        error = unpack(text).reshape(image.shape).astype(int) - image
        assert np.abs(error).max() <= 256 // levels
        assert abs(error.mean()) < 1.0


def test_black_stays_black_when_bits_are_dropped():
    images = list(np.random.default_rng(0).integers(0, 256, (3, 64, 32, 32), dtype=np.uint8))
    images[0][:32] = 0
    texts, levels = pack(images, most_bytes=100_000)
    assert levels < 256
    assert unpack(texts[0]).reshape(images[0].shape)[:32].max() == 0
