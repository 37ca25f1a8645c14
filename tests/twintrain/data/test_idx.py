from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import DATA
from twintrain.data import idx
from twintrain.errors import TwintrainError

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def test_the_bundled_mnist_is_the_published_one() -> None:
    train = idx.inspect_pair(idx.find_pair(DATA, "train"))
    test = idx.inspect_pair(idx.find_pair(DATA, "eval"))
    assert (train.count, test.count, train.shape) == (60_000, 10_000, (28, 28, 1))
    assert train.label_counts == {
        **{0: 5923, 1: 6742, 2: 5958, 3: 6131, 4: 5842},
        **{5: 5421, 6: 5918, 7: 6265, 8: 5851, 9: 5949},
    }


def test_a_range_of_images_is_what_stands_there() -> None:
    pair = idx.find_pair(DATA, "eval")
    raw = gzip.decompress(pair.images.read_bytes())[16:]
    assert list(idx.read_images(pair.images, 7, 10)) == [
        raw[i * 784 : (i + 1) * 784] for i in (7, 8, 9)
    ]


def test_plain_files_are_read_too(idx_folder: Path) -> None:
    gzipped = list(idx.read_images(idx_folder / IMAGES, 0, 60))
    plain = idx_folder / "train-images-idx3-ubyte"
    plain.write_bytes(gzip.decompress((idx_folder / IMAGES).read_bytes()))
    (idx_folder / IMAGES).unlink()
    assert list(idx.read_images(idx.find_pair(idx_folder, "train").images, 0, 60)) == gzipped


def corrupt_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def truncate_inside(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))


def wrong_magic(path: Path) -> None:
    path.write_bytes(gzip.compress(b"\x00\x00\x0d\x03" + gzip.decompress(path.read_bytes())[4:]))


def too_long(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"\x00"))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def not_gzip_inside(path: Path) -> None:
    path.write_bytes(b"\x1f\x8b" + b"nonsense" * 10)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (truncate, "truncated|corrupt"),
        (corrupt_middle, "corrupt|truncated"),
        (truncate_inside, "truncated"),
        (wrong_magic, "not an IDX file"),
        (too_long, "left over"),
        (empty, "truncated"),
        (not_gzip_inside, "corrupt"),
    ],
)
@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_damage_is_named(idx_folder: Path, damage: object, expected: str, name: str) -> None:
    damage(idx_folder / name)  # type: ignore[operator]
    with pytest.raises(TwintrainError, match=expected) as caught:
        idx.inspect_pair(idx.find_pair(idx_folder, "train"))
    assert name in str(caught.value)
    assert caught.value.remedy


def test_counts_that_differ_are_named(idx_folder: Path) -> None:
    labels = struct.pack(">BBBBI", 0, 0, 8, 1, 59) + bytes(59)
    (idx_folder / LABELS).write_bytes(gzip.compress(labels))
    with pytest.raises(TwintrainError, match=r"60 images but .* 59 labels"):
        idx.inspect_pair(idx.find_pair(idx_folder, "train"))


def test_a_wrong_checksum_is_named(idx_folder: Path) -> None:
    (idx_folder / idx.CHECKSUMS).write_text(f"{'0' * 64}  {IMAGES}\n")
    with pytest.raises(TwintrainError, match="not the file it should be"):
        idx.inspect_pair(idx.find_pair(idx_folder, "train"))
    right = idx.sha256_of(idx_folder / IMAGES)
    (idx_folder / idx.CHECKSUMS).write_text(f"{right}  {IMAGES}\n")
    assert idx.inspect_pair(idx.find_pair(idx_folder, "train")).count == 60


def test_missing_and_doubled_files_are_named(tmp_path: Path, idx_folder: Path) -> None:
    with pytest.raises(TwintrainError, match="does not exist"):
        idx.find_pair(tmp_path / "nowhere", "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TwintrainError, match="No file train-images"):
        idx.find_pair(tmp_path / "empty", "train")
    (idx_folder / "train-images-copy").write_bytes(b"")
    with pytest.raises(TwintrainError, match="Several files"):
        idx.find_pair(idx_folder, "train")


def test_an_unreadable_file_is_named(idx_folder: Path) -> None:
    pair = idx.find_pair(idx_folder, "train")
    pair.images.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root reads every file; nobody does not
    try:
        with pytest.raises(TwintrainError, match="permission denied"):
            idx.inspect_pair(pair)
    finally:
        os.seteuid(user)


def test_a_directory_in_place_of_a_file_is_named(idx_folder: Path) -> None:
    (idx_folder / IMAGES).unlink()
    (idx_folder / IMAGES).mkdir()
    with pytest.raises(TwintrainError, match="cannot be read"):
        idx.inspect_pair(idx.find_pair(idx_folder, "train"))


@pytest.mark.parametrize(("sizes", "shape"), [((5, 4), (5, 4, 1)), ((5, 4, 3), (5, 4, 3))])
def test_images_are_grey_or_in_colour(
    tmp_path: Path, sizes: tuple[int, ...], shape: tuple[int, int, int]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, *sizes), np.uint8)
    start = struct.pack(f">BBBB{1 + len(sizes)}I", 0, 0, 8, 1 + len(sizes), *pixels.shape)
    assert idx.header(pixels.shape) == start
    (tmp_path / "train-images").write_bytes(start + pixels.tobytes())
    (tmp_path / "train-labels").write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 7) + bytes(range(7)))
    pair = idx.find_pair(tmp_path, "train")
    assert (idx.inspect_pair(pair).count, idx.inspect_pair(pair).shape) == (7, shape)
    assert list(idx.read_images(pair.images, 2, 5)) == [image.tobytes() for image in pixels[2:5]]


def test_more_channels_than_an_image_has_are_named(tmp_path: Path) -> None:
    (tmp_path / "train-images").write_bytes(idx.header((1, 2, 2, 5)) + bytes(20))
    (tmp_path / "train-labels").write_bytes(idx.header((1,)) + bytes(1))
    with pytest.raises(TwintrainError, match="images of 5 channels"):
        idx.inspect_pair(idx.find_pair(tmp_path, "train"))


@given(st.binary(max_size=200))
def test_no_input_gets_past_the_parser_unnoticed(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train-labels"
        path.write_bytes(data)
        try:
            labels = idx.read_labels(path)
        except TwintrainError:
            return
        raw = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        assert raw == struct.pack(">BBBBI", 0, 0, 8, 1, len(labels)) + labels.tobytes()


def test_limits_share_out_over_the_splits() -> None:
    assert idx.split_limits(6000, {"train": 60_000, "eval": 10_000}) == {"train": 5143, "eval": 857}
    assert idx.split_limits(None, {"train": 5, "eval": 2}) == {"train": 5, "eval": 2}
