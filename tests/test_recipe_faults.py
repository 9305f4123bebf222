"""Recipes that are refused: each message names the file, the line and the nearest valid key."""

import contextlib
from pathlib import Path

import pytest
from conftest import Write
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hybridq.errors import BAD_INPUT, UserError
from hybridq.models.config import ReferenceConfig
from hybridq.recipe.file import load_recipe
from hybridq.recipe.schema import Recipe
from hybridq.settings.validation import keys


def message(path: str | Path, *overrides: str) -> str:
    """What a user is told about a recipe that is refused."""
    with pytest.raises(UserError) as caught:
        load_recipe(path, overrides)
    assert caught.value.exit_code == BAD_INPUT
    assert 1 <= len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


@pytest.mark.parametrize(("text", "expected"), [
    ("", ": the file is empty"),
    ("# nothing yet\n", ": the file is empty"),
    ("- a\n- b\n", ":1: must be a mapping, 'key: value' on each line (is ['a', 'b'])"),
    ("name: a\ntraining:\n  epoch: 3\n", ":3: training.epoch: unknown key; did you mean 'epochs'?"),
    ("name: a\n\nepochs: 3\n", ":3: epochs: unknown key; did you mean 'training.epochs'?"),
    ("padding: same\n", ":1: padding: unknown key; did you mean 'model.padding'?"),
    ("model: {paddin: same}\n", ":1: model.paddin: unknown key; did you mean 'padding'?"),
    ("training:\n  epochs: -3\n", ":2: training.epochs: must be at least 0 (is -3)"),
    ("training:\n  epochs: '3'\n", ":2: training.epochs: must be a whole number (is '3')"),
    ("training:\n  epochs: 3.0\n", ":2: training.epochs: must be a whole number (is 3.0)"),
    ("training:\n  seed: true\n", ":2: training.seed: must be a whole number (is true)"),
    ("training:\n  learning_rate: 0\n", ":2: training.learning_rate: must be more than 0 (is 0)"),
    ("training:\n  learning_rate: .nan\n", ":2: training.learning_rate: must be a finite number (is nan)"),
    ("training:\n  weight_decay: .inf\n", ":2: training.weight_decay: must be a finite number (is inf)"),
    ("training:\n  label_smoothing: 1\n", ":2: training.label_smoothing: must be less than 1 (is 1)"),
    ("training:\n  augment:\n    noise_probability: 2\n",
     ":3: training.augment.noise_probability: must be at most 1 (is 2)"),
    ("training:\n  augment:\n    gain_db: [6, -6]\n",
     ":3: training.augment.gain_db: the lower value comes first (is [6.0, -6.0])"),
    ("training:\n  augment:\n    vocal_tract: [1.1, 0.9]\n",
     ":3: training.augment.vocal_tract: two factors from 0.5 to 2, the lower first (is [1.1, 0.9])"),
    ("training:\n  augment:\n    pitch_semitones: [-2, 13]\n",
     ":3: training.augment.pitch_semitones: two numbers from -12 to 12, the lower first (is [-2.0, 13.0])"),
    ("training:\n  augment:\n    gain_db: [6]\n", ":3: training.augment.gain_db: must have 2 values"),
    ("training:\n  latent_clip: [3, 1]\n",
     ":2: training.latent_clip: two factors above 1, for the first and the last epoch (is [3.0, 1.0])"),
    ("training:\n  synthetic_voices: 2\n",
     ":2: training.synthetic_voices: must be 0, or 3 or more: voices are kept out for validation and test (is 2)"),
    ("training: 3\n", ":1: training: must be a mapping, 'key: value' on each line (is 3)"),
    ("training:\n  optimizer: admaw\n",
     ":2: training.optimizer: 'admaw' is not one of adam, adamw, sgd; did you mean 'adamw'?"),
    ("data:\n  balance: yes\n", ":2: data.balance: must be true or false (is 'yes')"),
    ("model:\n  padding: vald\n",
     ":2: model.padding: 'vald' is not one of valid, same; did you mean 'valid'?"),
    ("model:\n  name: referense\n",
     ":2: model.name: 'referense' is not one of reference, tc_resnet, tenet, "
     "bc_resnet, svdf, lmu, dnn, cnn, lstm, gru, crnn, ds_cnn; did you mean 'reference'?"),
    ("model:\n  filters: [1, 2]\n", ":2: model.filters: must have 6 values (has 2)"),
    ("model:\n  dense:\n    - 8\n    - x\n", ":4: model.dense[1]: must be a whole number (is 'x')"),
    ("model:\n  dense: 8\n", ":2: model.dense: must be a list (is 8)"),
    ("data:\n  words: [yes]\n", ":2: data.words: must have two words or more (has 1)"),
    ("data:\n  unknown_words: []\n", ":2: data.unknown_words: must have a word or more (has 0)"),
    ("data:\n  words: [yes, no]\n  unknown_words: [cat, no]\n",
     ":3: data.unknown_words: 'no' is one of data.words: it cannot be unknown"),
    ("data:\n  silence: true\n", ":2: data.silence: must be a number (is true)"),
    ("decision:\n  threshold: 2\n", ":2: decision.threshold: must be at most 1 (is 2)"),
    ("data:\n  words: [yes, yes]\n", ":2: data.words: 'yes' stands there twice"),
    ("data:\n  words: [1, 2]\n", ":2: data.words: a word must be text (is 1); put it in quotes"),
    ("data:\n  words: [yes, _background_noise_]\n",
     ":2: data.words: '_background_noise_' is not a word: words are names of folders"),
    ("data:\n  words: all\n", ":2: data.words: must be auto or a list of words (is 'all')"),
    ("features:\n  transform: 600\n", ":2: features.transform: must be a power of two (is 600)"),
    ("features:\n  window: 1024\n", ":2: features.window: must be at most features.transform, 512 (is 1024)"),
    ("features:\n  coefficients: 41\n",
     ":2: features.coefficients: must be at most features.mel_bands, 40 (is 41)"),
    ("features:\n  mel_bands: 20\n",
     ":2: features.coefficients: must be at most features.mel_bands, 20 (is 38)"),
    ("features:\n  high_hz: 9000\n",
     ":2: features.high_hz: must be at most features.sample_rate / 2, 8000 (is 9000)"),
    ("features:\n  low_hz: 8000\n",
     ":2: features.low_hz: must be less than features.high_hz, 8000 (is 8000)"),
    ("features:\n  frames: 62\n",
     ":2: features.frames: 62 frames need 16128 samples, (frames - 1) x hop + window,"
     " and a clip of one second has 16000"),
    ("precision:\n  'conv*': 8-bit\n  dense: binry\n",
     ":3: precision.dense: 'binry' is not a precision; did you mean 'binary'?"),
    ("precision:\n  dense:\n    weights: binary\n    biass: 8-bit\n",
     ":4: precision.dense.biass: unknown key 'biass'; did you mean 'bias'?"),
    ("precision: binary\n", ":1: precision: must be a mapping, 'key: value' on each line (is 'binary')"),
    ("published: {accuracy: 3}\n", ":1: published.label: must be given"),
    ("published: {label: x, accuracy: 101}\n", ":1: published.accuracy: must be at most 100 (is 101)"),
    ("name: a/b\n", ":1: name: must start with a letter or digit and have no slash (is 'a/b')"),
    ("name:\n", ":1: name: must be text (is null)"),
    ("target: ''\n", ":1: target: must not be empty"),
    ("training:\n  epochs: 3\n  seed: 1\n  epochs: 4\n",
     ":4: training.epochs: given twice (first on line 2)"),
    ("1: 2\n", ":1: a key must be text (is 1): put it in quotes"),
    ("training:\n  epochs: [3\n", ":3: not valid YAML: expected ',' or ']', but got '<stream end>'"),
    ("training:\n\tepochs: 3\n", ":2: not valid YAML: found character '\\t' that cannot start any token"),
    ("name: a\n---\nname: b\n", ":2: not valid YAML: but found another document"),
    ("name: !!python/object/apply:os.system [ls]\n",
     ":1: name: the tag tag:yaml.org,2002:python/object/apply:os.system is not allowed"),
    ("name: a\n&a x: *b\n", ":2: not valid YAML: found undefined alias 'b'"),
    ("name: &a [*a]\n", ":1: nested too deeply"),
    ("[" * 1000, ":1: nested too deeply"),
    (b"name: a\ndescription: \xff\n", ":2: not text in UTF-8"),
    ("name: a\ndescription: \x01\n", ":2: not valid YAML: special characters are not allowed"),
    ("x" * 300_000, ": more than 200,000 bytes; that is no recipe"),
    ("training: {epochs: " + "9" * 5000 + "}",
     ":1: training.epochs: '" + "9" * 56 + "... cannot be read as int"),
    ("extends: 3\n", ":1: extends: must be the path of a recipe (is 3)"),
    ("name: a\nstart_from: 3\n", ":2: start_from: must be the path of a recipe (is 3)"),
    ("name: a\nstart_from: [a.yaml]\n", ":2: start_from: must be the path of a recipe (is ['{}'])"),
    ("name: a\nteacher: []\n", ":2: teacher: names no recipe"),
    ("name: a\nteacher:\n  - 3\n", ":3: teacher: must be the path of a recipe (is 3)"),
    ("name: a\nteacher: {recipe: b.yaml}\n",
     ":2: teacher: several seeds of a recipe are written {recipe: FILE, seeds: [0, 1, 2]}"),
    ("name: a\nteacher: {recipe: b.yaml, seeds: 3}\n",
     ":2: teacher: several seeds of a recipe are written {recipe: FILE, seeds: [0, 1, 2]}"),
    ("data:\n  worsd: auto\nfeatures:\n  hopp: 3\nmoddel: 1\n",  # at most two lines
     ":2: data.worsd: unknown key; did you mean 'words'?\n"
     "{}:4: features.hopp: unknown key; did you mean 'hop'?"),
])  # fmt: skip
def test_refused(write: Write, text: str | bytes, expected: str) -> None:
    path = write(text)
    assert message(path) == f"{path}{expected.replace('{}', str(path))}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target: stm32l469", "'stm32l469' is not a known target; did you mean 'stm32l496'?"),
        (
            "accounting: x-cube-ai:0.9",
            "'x-cube-ai:0.9' is not an accounting; known are packed, tflm, x-cube-ai (the newest) and x-cube-ai: ",
        ),
    ],
)
def test_a_name_that_is_not_known_is_refused_before_any_training(write: Write, text: str, expected: str) -> None:
    path = write(f"name: a\n{text}\n")
    assert message(path).startswith(f"{path}:2: {text.split(':')[0]}: {expected}")


def test_an_alias_bomb_is_refused(write: Write) -> None:
    bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "more than 10,000 values; that is no recipe" in message(write(bomb))


def test_files_that_are_not_there(write: Write, tmp_path: Path) -> None:
    base = write("name: base\n", "hybrid.yaml")
    assert message(base.with_name("hybird.yaml")).endswith("hybird.yaml: no such file; did you mean 'hybrid.yaml'?")
    assert message(tmp_path) == f"{tmp_path} is a folder, not a YAML file"
    for key in ("extends", "start_from", "teacher"):
        path = write(f"name: a\n{key}: hybird.yaml\n")
        assert message(path) == (
            f"{path}:2: {key}: {base.with_name('hybird.yaml')}: no such file; did you mean 'hybrid.yaml'?"
        )


@pytest.mark.parametrize("key", ["extends", "start_from", "teacher"])
def test_circles(write: Write, key: str) -> None:
    first, second = write(f"{key}: b.yaml\n", "a.yaml"), write(f"name: b\n{key}: a.yaml\n", "b.yaml")
    assert message(first) == f"{second}:2: {key}: goes in a circle: {first} -> {second} -> {first}"
    itself = write(f"{key}: c.yaml\n", "c.yaml")
    assert message(itself) == f"{itself}:1: {key}: goes in a circle: {itself} -> {itself}"


def test_an_inherited_fault_is_reported_where_it_stands(write: Write) -> None:
    base = write("name: base\ntraining:\n  batch: 0\n", "base.yaml")
    child = write("extends: base.yaml\ntraining:\n  epochs: 3\n", "child.yaml")
    assert message(child) == f"{base}:3: training.batch: must be at least 1 (is 0)"
    assert load_recipe(child, ["training.batch=8"]).training.batch == 8


@pytest.mark.parametrize(("setting", "expected"), [
    ("training.epochs=x", "training.epochs: must be a whole number (is 'x')"),
    ("training.epoch=3", "training.epoch: unknown key; did you mean 'epochs'?"),
    ("trainign.epochs=3", "trainign: unknown key; did you mean 'training'?"),
    ("epochs=3", "epochs: unknown key; did you mean 'training.epochs'?"),
    ("precision.dense=bin", "precision.dense: 'bin' is not a precision; did you mean 'binary'?"),
    ("features.window=1024", "features.window: must be at most features.transform, 512 (is 1024)"),
    ("training.epochs=[", "not valid YAML: expected the node content, but found '<stream end>'"),
    ("training.epochs=", "training.epochs: must be a whole number (is null)"),
    ("training.epochs", "write KEY=VALUE, for example --set training.epochs=3"),
    ("=3", "write KEY=VALUE, for example --set training.epochs=3"),
    ("training..epochs=3", "write KEY=VALUE, for example --set training.epochs=3"),
    ("extends=a.yaml", "extends: cannot be set here"),
    ("start_from.training.epochs=3", "start_from: must be the path of a recipe, or null"),
    ("start_from=nowhere.yaml", "start_from: nowhere.yaml: no such file"),
])  # fmt: skip
def test_a_bad_setting_is_named(write: Write, setting: str, expected: str) -> None:
    assert message(write("name: a\n"), setting) == f"--set {setting}: {expected}"


def every_key() -> list[tuple[str, ...]]:
    network = [("model", str(key[0])) for key in keys(ReferenceConfig) if key != ("name",)]
    return [tuple(str(part) for part in key) for key in keys(Recipe)] + network


def slips(word: str, at: int) -> dict[str, str]:
    """What is typed instead of a word where the finger slips at that letter."""
    return {
        "drop": word[:at] + word[at + 1 :],
        "double": word[:at] + word[at] + word[at:],
        "swap": word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :],
    }


@settings(deadline=None, max_examples=80)
@given(data=st.data(), key=st.sampled_from(every_key()), above=st.integers(0, 5))
def test_a_misspelt_key_is_reported_with_its_line_and_the_right_one(
    write: Write, data: st.DataObject, key: tuple[str, ...], above: int
) -> None:
    word = key[-1]
    at = data.draw(st.integers(1, len(word) - 1))
    wrong = slips(word, at)[data.draw(st.sampled_from(["drop", "double", "swap"]))]
    assume(wrong not in {k[-1] for k in every_key()})
    others = {k[-1] for k in every_key() if k[:-1] == key[:-1]} - {word}
    # frequency_maks may be frequency_mask or frequency_masks: either is a right answer
    assume(not any(wrong in slips(other, i).values() for other in others for i in range(1, len(other))))
    sections = "".join(f"{'  ' * depth}{section}:\n" for depth, section in enumerate(key[:-1]))
    path = write("# a line\n" * above + sections + f"{'  ' * (len(key) - 1)}{wrong}: 3\n")
    told = message(path).splitlines()
    line = above + len(key)
    dotted = ".".join([*key[:-1], wrong])
    assert f"{path}:{line}: {dotted}: unknown key; did you mean '{word}'?" in told


@settings(deadline=None, max_examples=60)
@given(text=st.text(max_size=60) | st.binary(max_size=60))
def test_no_file_brings_the_reader_down(write: Write, text: str | bytes) -> None:
    with contextlib.suppress(UserError):  # and no other exception
        load_recipe(write(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")))
