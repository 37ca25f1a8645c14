from __future__ import annotations

import numpy as np
import pytest

from twintrain.data.augmentation import apply_transforms, draw_transforms
from twintrain.recipe.sections import Augmentation

SIZE = (28, 28)


def blob() -> np.ndarray:
    """One image with a bright square left of the centre."""
    image = np.zeros((1, 28, 28, 1), np.float32)
    image[0, 12:16, 6:10, 0] = 1.0
    return image


def test_nothing_asked_changes_nothing() -> None:
    transforms = draw_transforms(Augmentation(), 3, SIZE, 0, 0)
    np.testing.assert_array_equal(apply_transforms(blob(), transforms[:1], "nearest"), blob())


def test_draws_belong_to_seed_epoch_and_example() -> None:
    wild = Augmentation(rotation=40, shift=0.2, shear=0.2, zoom=0.2, flip=True)
    first = draw_transforms(wild, 10, SIZE, 0, 0)
    np.testing.assert_array_equal(first, draw_transforms(wild, 10, SIZE, 0, 0))
    assert len(np.unique(first, axis=0)) == 10
    for other in (draw_transforms(wild, 10, SIZE, 1, 0), draw_transforms(wild, 10, SIZE, 0, 1)):
        assert not np.isclose(other, first).all(axis=1).any()


def test_flip_mirrors_about_half_of_the_images() -> None:
    transforms = draw_transforms(Augmentation(flip=True), 1000, SIZE, 0, 0)
    mirrored = transforms[:, 0] < 0
    assert 0.4 < mirrored.mean() < 0.6
    flipped = apply_transforms(blob(), transforms[mirrored][:1], "nearest")
    np.testing.assert_allclose(flipped, blob()[:, :, ::-1], atol=1e-5)


@pytest.mark.parametrize("degrees", [10.0, 40.0])
def test_rotation_stays_within_its_range_and_about_the_centre(degrees: float) -> None:
    transforms = draw_transforms(Augmentation(rotation=degrees), 500, SIZE, 0, 0)
    angles = np.degrees(np.arctan2(transforms[:, 3], transforms[:, 0]))
    assert np.abs(angles).max() <= degrees
    assert np.abs(angles).max() > 0.9 * degrees
    centre = np.array([13.5, 13.5, 1.0])
    np.testing.assert_allclose(transforms[:, :3] @ centre, 13.5, atol=1e-4)
    np.testing.assert_allclose(transforms[:, 3:6] @ centre, 13.5, atol=1e-4)


def test_shift_moves_by_at_most_its_share() -> None:
    transforms = draw_transforms(Augmentation(shift=0.25), 500, SIZE, 0, 0)
    assert np.abs(transforms[:, [2, 5]]).max() <= 7.0
    assert np.abs(transforms[:, [2, 5]]).max() > 6.5
