from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from twintrain.training import kept_arrays, resume
from twintrain.training.checkpoints import StopperState

Damage = Callable[[Path], object]


def fresh() -> tuple[keras.Model, keras.Optimizer]:
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    return model, optimizer


def saved(path: Path, epochs: int) -> None:
    """States after each epoch, whose weights say which epoch it was."""
    model, optimizer = fresh()
    progress = resume.Progress()
    for epoch in range(epochs):
        progress.add({"loss": float(epoch)}, [epoch], 0.5, stopped=False)
        model.set_weights([np.full((2, 1), epoch + 1.0), np.zeros(1)])
        stopper = StopperState(0, 0.25, epoch, model.get_weights())
        resume.save(path, model, optimizer, progress, stopper)


def rewritten(change: Callable[[dict[str, np.ndarray]], object]) -> Damage:
    """A file that is whole, digest and all, but holds something else."""

    def damage(path: Path) -> None:
        arrays = kept_arrays.read(path)
        change(arrays)
        path.unlink()  # so that it does not become the generation before
        kept_arrays.write(path, arrays)

    return damage


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(3.0).tobytes() * 2)] ^= 1
    path.write_bytes(bytes(content))


DAMAGES: dict[str, Damage] = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-300]),
    "one bit": flipped,
    "a variable missing": rewritten(lambda arrays: arrays.pop("variable_00000")),
    "another shape": rewritten(lambda arrays: arrays.update(variable_00000=np.zeros((3, 1)))),
    "no figures": rewritten(lambda arrays: arrays.update(meta=np.array("{}"))),
    "figures of another kind": rewritten(lambda arrays: arrays.update(meta=np.array("[1"))),
    "other fields": rewritten(
        lambda arrays: arrays.update(
            meta=np.array(json.dumps(json.loads(str(arrays["meta"])) | {"stopper": {"later": 1}}))
        )
    ),
}


def test_a_training_goes_on_where_it_was(tmp_path: Path) -> None:
    saved(tmp_path / "s.npz", 3)
    model, optimizer = fresh()
    progress, stopper = resume.load(tmp_path / "s.npz", model, optimizer)
    assert progress.history == {"loss": [0.0, 1.0, 2.0]}
    assert progress.fingerprints == [[0], [1], [2]]
    assert (stopper.best, stopper.best_epoch) == (0.25, 2)
    assert (model.get_weights()[0] == 3.0).all()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_put_aside_and_the_one_before_is_taken(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "s.npz"
    saved(path, 3)
    DAMAGES[damage](path)
    model, optimizer = fresh()
    with pytest.warns(RuntimeWarning, match=r"s\.npz is damaged .* goes on after epoch 2") as told:
        progress, stopper = resume.load(path, model, optimizer)
    assert str(tmp_path / "s.npz.damaged") in str(told[0].message)
    assert (tmp_path / "s.npz.damaged").exists()
    assert not path.exists()
    assert progress.epochs == 2
    assert (model.get_weights()[0] == 2.0).all()
    assert stopper.weights is not None
    assert (stopper.weights[0] == 2.0).all()
    # What is written next stands beside the one that was taken.
    resume.save(path, model, optimizer, progress, stopper)
    assert [one.exists() for one in kept_arrays.generations(path)] == [True, True]


def test_where_both_are_damaged_nothing_of_them_is_used(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    saved(path, 3)
    for generation in kept_arrays.generations(path):
        DAMAGES["truncated"](generation)
    model, optimizer = fresh()
    before = model.get_weights()
    with pytest.warns(RuntimeWarning, match="The training starts anew"):
        progress, stopper = resume.load(path, model, optimizer)
    assert (progress.epochs, stopper) == (0, StopperState())
    assert all((now == then).all() for now, then in zip(model.get_weights(), before, strict=True))


def test_a_killed_rename_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    saved(path, 2)
    path.unlink()
    model, optimizer = fresh()
    assert resume.load(path, model, optimizer)[0].epochs == 1


def test_what_is_forgotten_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    saved(path, 3)
    DAMAGES["empty"](path)
    with pytest.warns(RuntimeWarning):
        resume.load(path, *fresh())
    resume.forget(path)
    assert list(tmp_path.iterdir()) == []
