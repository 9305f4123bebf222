"""Features are made once, noticed when stale, and never trusted when broken."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from hybridq import dataset
from hybridq.audio import open_folder
from hybridq.dataset import Dataset, Normalisation
from hybridq.errors import UserError
from hybridq.features import FrontEnd
from hybridq.settings import AugmentSettings

WORDS = ("yes", "no")


def opened(folder, tmp_path, **settings):
    return Dataset(open_folder(folder, tmp_path / "cache"), WORDS, FrontEnd(**settings), tmp_path / "cache")


def files(tmp_path, kind):
    return sorted((tmp_path / "cache" / kind).glob("*.npy"))


def test_features_are_computed_once_and_memory_mapped(folder, tmp_path):
    first = opened(folder, tmp_path).features("training")
    (made,) = files(tmp_path, "features")
    time = made.stat().st_mtime_ns
    again = opened(folder, tmp_path).features("training")
    assert isinstance(again, np.memmap)
    assert made.stat().st_mtime_ns == time
    np.testing.assert_array_equal(first, again)
    assert first.shape[1:] == (38, 55)


def test_of_several_that_want_the_same_one_computes_it(folder, tmp_path, monkeypatch):
    """Threads stand for processes: the lock is on the file, and each opens it for itself."""
    made = []
    real = dataset._decode
    monkeypatch.setattr(dataset, "_decode", lambda *given: made.append(1) or real(*given))
    opened(folder, tmp_path)  # the digests are there
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: opened(folder, tmp_path).features("training"), range(4)))
    assert len(made) == 1
    for features in found:
        np.testing.assert_array_equal(features, found[0])
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.suffix in (".lock", ".new")]


def test_a_changed_file_or_setting_gives_other_features(folder, tmp_path):
    before = np.array(opened(folder, tmp_path).features("training"))
    assert not np.array_equal(before, opened(folder, tmp_path, floor=1e-3).features("training"))
    for clip in (folder / "yes").iterdir():
        soundfile.write(clip, np.full(16000, 0.2), 16000)
    assert not np.array_equal(before, opened(folder, tmp_path).features("training"))


@pytest.mark.parametrize("kind", ["sounds", "features"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "no checksum", "empty"])
def test_a_broken_cache_is_made_again(folder, tmp_path, kind, damage):
    expected = np.array(opened(folder, tmp_path).features("training"))
    if kind == "sounds":  # otherwise nobody would read the sounds again
        files(tmp_path, "features")[0].unlink()
    (path,) = files(tmp_path, kind)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-100] ^= 0xFF
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "no checksum":
        path.with_suffix(".crc").unlink()
    else:
        path.write_bytes(b"")
    np.testing.assert_array_equal(opened(folder, tmp_path).features("training"), expected)


def test_inputs_are_standardised_with_the_training_set_alone(folder, tmp_path):
    data = opened(folder, tmp_path)
    x, labels = data.inputs("training")
    np.testing.assert_allclose(x.mean((0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(x.std((0, 2, 3)), 1, atol=1e-3)
    assert x.shape == (len(labels), 38, 55, 1)
    shifted = Normalisation((0.0,) * 38, (1.0,) * 38)
    np.testing.assert_array_equal(data.inputs("test", shifted)[0][..., 0], data.features("test"))


def test_global_normalisation_keeps_the_differences_between_coefficients(folder, tmp_path):
    data = opened(folder, tmp_path)
    data.per = "global"  # as a recipe's features.normalisation says
    x, _ = data.inputs("training")
    assert x.mean() == pytest.approx(0, abs=1e-3)
    assert x.std() == pytest.approx(1, abs=1e-3)
    assert len(set(data.normalisation.mean)) == len(set(data.normalisation.deviation)) == 1
    raw = data.features("training")
    np.testing.assert_allclose(np.diff(x[..., 0], axis=1) * x.std() * raw.std(), np.diff(raw, axis=1), atol=0.1)


def test_an_epoch_depends_on_the_seed_and_its_number_alone(folder, tmp_path):
    data, settings = opened(folder, tmp_path), AugmentSettings()
    whole = list(data.epochs(0, 3, 5, settings))
    resumed = list(data.epochs(2, 3, 5, settings))
    np.testing.assert_array_equal(whole[2][0], resumed[0][0])
    np.testing.assert_array_equal(whole[2][1], resumed[0][1])
    assert not np.array_equal(whole[0][0], whole[1][0])
    other = next(data.epochs(0, 1, 6, settings))
    assert not np.array_equal(whole[0][0], other[0])


def test_leaving_the_epochs_early_ends_their_thread(folder, tmp_path):
    import threading

    epochs = opened(folder, tmp_path).epochs(0, 1000, 0, AugmentSettings())
    next(epochs)
    epochs.close()
    assert "epochs" not in {thread.name for thread in threading.enumerate()}


def test_rare_words_weigh_more(folder, tmp_path):
    for clip in sorted((folder / "no").iterdir())[5:]:
        clip.unlink()
    weights = opened(folder, tmp_path).class_weights()
    counts = np.bincount(opened(folder, tmp_path).split("training").labels)
    assert weights[1] > weights[0]
    assert counts[0] * weights[0] == pytest.approx(counts[1] * weights[1])


def test_a_split_without_clips_is_refused_by_name(tmp_path):
    for word in WORDS:
        (tmp_path / "few" / word).mkdir(parents=True)
        soundfile.write(tmp_path / "few" / word / "00000000_nohash_0.wav", np.zeros(16000), 16000)
    data = opened(tmp_path / "few", tmp_path)
    empty = [s for s in ("training", "validation", "test") if not data.audio.select(WORDS, s)]
    assert len(empty) == 2
    with pytest.raises(UserError, match=f"no {empty[0]} clips of yes, no"):
        data.split(empty[0])
    assert len(data.split("all")) == 2
