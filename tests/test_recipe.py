"""Recipes: what is read, what extends and starts from what, and what decides a digest."""

from pathlib import Path

import pytest
from conftest import Write
from pydantic import BaseModel

from hybridq.errors import UserError
from hybridq.formats import Format
from hybridq.models.config import ReferenceConfig
from hybridq.recipe.file import linked, load_recipe, load_variants
from hybridq.recipe.schema import Recipe
from hybridq.recipe.sections import Published, TrainingSection
from hybridq.settings.yamlfile import to_yaml
from hybridq.speech.settings import AugmentSettings, DataSettings, FeatureSettings

RECIPES = Path(__file__).resolve().parent.parent / "recipes"


# ------------------------------------------------------------------------------ the files


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.yaml")), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_recipe_of_the_project_loads(path: Path) -> None:
    assert load_recipe(path).path == path


def test_the_hybrid_recipe() -> None:
    recipe = load_recipe(RECIPES / "paper" / "hybrid.yaml")
    assert recipe.name == "hybrid"
    assert recipe.plan.of("conv2d_3").weights is Format.INT8
    assert recipe.plan.of("dense_1").weights is Format.BINARY
    assert recipe.plan.of("dense_2").weights is Format.INT8
    assert recipe.plan.of("batch_normalization").weights is Format.FLOAT32
    assert recipe.parent is not None
    assert recipe.parent.name == "fp32"
    assert recipe.parent.parent is None
    assert recipe.published is not None
    assert recipe.published.accuracy == 90
    assert recipe.features == recipe.parent.features
    assert recipe.training.epochs < recipe.parent.training.epochs


def test_the_default_front_end_is_a_crop_of_a_second() -> None:
    features = FeatureSettings()
    assert (features.frames - 1) * features.hop + features.window == 14_336


def test_every_key_is_described() -> None:
    for section in (
        Recipe,
        DataSettings,
        FeatureSettings,
        AugmentSettings,
        TrainingSection,
        Published,
        ReferenceConfig,
    ):
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"


# ------------------------------------------------------------------------------ extends, start_from


def test_in_a_sweep_the_start_recipe_is_the_listed_one_with_its_settings(write: Write) -> None:
    paths = [write("training: {epochs: 9}\n", "a.yaml"), write("start_from: a.yaml\n", "b.yaml")]
    first, second = linked([load_recipe(path, ["training.epochs=2"]) for path in paths])
    assert second.parent is first
    assert second.parent.training.epochs == 2
    alone = load_recipe(paths[1], ["training.epochs=2"])
    assert alone.parent
    assert alone.parent.training.epochs == 9
    assert alone.digest() != second.digest()


def test_in_a_sweep_a_start_recipe_that_stands_in_the_file_itself_stays_what_it_is(write: Write) -> None:
    write("training: {epochs: 9}\n", "a.yaml")
    recipe = load_recipe(write("start_from: a.yaml\n", "b.yaml"))
    whole = write(to_yaml(recipe.resolved()), "whole.yaml")
    (run,) = linked([load_recipe(whole)])
    assert run.parent
    assert run.parent.training.epochs == 9
    assert run.digest() == recipe.digest()


@pytest.mark.parametrize("sweep", ["[{teacher: big.yaml}, {start_from: big.yaml}]", "{teacher: [big.yaml]}"])
def test_recipes_named_in_a_sweep_are_beside_its_file(write: Write, sweep: str) -> None:
    big = write("training: {epochs: 9}\n", "big.yaml")
    runs = load_variants(write(f"sweep: {sweep}\n", "small.yaml"))
    assert {other.path for run in runs for several in run.references.values() for other in several} == {big}
    assert all(run.references for run in runs)


def test_extends_merges_mappings_and_replaces_lists_and_the_plan(write: Write) -> None:
    write(
        "name: base\ndescription: base\npublished: {label: base, accuracy: 90}\ntarget: stm32f411\n"
        "precision: {dense: binary, conv2d: 8-bit}\n"
        "data: {words: [yes, no, up], voices: 7}\ntraining: {epochs: 9, augment: {shift_ms: 5}}\n",
        "base.yaml",
    )
    recipe = load_recipe(
        write(
            "extends: base.yaml\nprecision: {dense_2: ternary}\ndata: {words: [on, off]}\n"
            "training: {augment: {time_mask: 3}}\n",
            "child.yaml",
        )
    )
    assert (recipe.name, recipe.description, recipe.target) == ("child", None, "stm32f411")
    assert recipe.published
    assert recipe.published.accuracy == 90
    own = load_recipe(write("extends: base.yaml\npublished: {label: own}\n", "own.yaml"))
    assert own.published
    assert (own.published.label, own.published.accuracy) == ("own", None)  # replaced whole
    assert recipe.plan.to_data() == {"dense_2": {"weights": "ternary"}}
    assert (recipe.data.words, recipe.data.voices) == (("on", "off"), 7)
    assert (recipe.training.epochs, recipe.training.augment.shift_ms) == (9, 5.0)
    assert recipe.training.augment.time_mask == 3


def test_start_from_is_inherited_from_where_it_stands_and_null_clears_it(write: Write, tmp_path: Path) -> None:
    write("name: first\n", "first.yaml")
    base = write("start_from: first.yaml\n", "second.yaml")
    child = tmp_path / "child.yaml"
    child.write_text(f"extends: {base}\n")
    inherited = load_recipe(child).parent
    assert inherited is not None
    assert inherited.name == "first"
    child.write_text(f"extends: {base}\nstart_from:\n")
    assert load_recipe(child).parent is None
    assert load_recipe(base, ["start_from=null"]).parent is None


def test_a_section_with_every_line_commented_out_says_nothing(write: Write) -> None:
    write("training: {epochs: 9}\n", "base.yaml")
    assert load_recipe(write("extends: base.yaml\ntraining:\n  # epochs: 3\n")).training.epochs == 9


def test_a_folder_of_clips_is_relative_to_its_recipe(write: Write) -> None:
    path = write("data: {source: clips}\n")
    recipe = load_recipe(path)
    assert Path(recipe.data.source) == path.parent / "clips"
    assert load_recipe(path, ["data.source=clips"]).data.source == "clips"  # as typed: from the current folder
    assert load_recipe(path, ["data.source=v0.02"]).data.source == "v0.02"


def test_settings_that_decide_the_weights_reach_the_start_recipe(write: Write) -> None:
    write("name: first\n", "first.yaml")
    path = write("start_from: first.yaml\n", "second.yaml")
    recipe = load_recipe(
        path,
        [
            "data.source=v0.02",
            "features.coefficients=20",
            "model.padding=same",
            "training.seed=3",
            "training.epochs=2",
            "target=stm32f411",
            "precision={dense: binary}",
        ],
    )
    parent = recipe.parent
    assert parent is not None
    assert (parent.data, parent.features, parent.model) == (recipe.data, recipe.features, recipe.model)
    assert parent.training.seed == 3
    assert parent.training.epochs == 40
    assert parent.target == "stm32l496"
    assert parent.plan.rules == ()
    whole = load_recipe(path, ["training={seed: 3, epochs: 2}"]).parent
    assert whole is not None
    assert (whole.training.seed, whole.training.epochs) == (3, 40)


def test_a_teacher_may_be_another_network_and_is_listened_to_with_the_same_ears(write: Write) -> None:
    write("model: {name: tc_resnet}\ntraining: {epochs: 7}\n", "teacher.yaml")
    path = write("teacher: teacher.yaml\n", "pupil.yaml")
    pupil = load_recipe(path, ["model.padding=same", "features.coefficients=20", "training={seed: 3, epochs: 2}"])
    (tutor,) = pupil.tutors
    assert tutor.model.name == "tc_resnet"
    assert tutor.features == pupil.features
    assert (tutor.training.seed, tutor.training.epochs) == (3, 7)
    assert pupil.parent is None
    alone = load_recipe(path, ["teacher=null"])
    assert alone.tutors == ()
    assert alone.digest() != load_recipe(path).digest()
    both = (path.with_name("teacher.yaml"), path)
    teacher, taught = linked([load_recipe(one, ["training.epochs=2"]) for one in both])
    assert taught.tutors[0] is teacher


@pytest.mark.parametrize("how", ["file", "setting"])
def test_several_teachers_by_file_and_by_seed(write: Write, how: str) -> None:
    big = write("model: {name: tc_resnet}\n", "big.yaml")
    wide = write("model: {filters: [9, 9, 9, 9, 9, 9]}\n", "wide.yaml")
    if how == "file":
        pupil = load_recipe(write("teacher: [wide.yaml, {recipe: big.yaml, seeds: [4, 5]}]\n"), ["training.seed=3"])
    else:
        several = f"teacher=[{wide}, {{recipe: {big}, seeds: [4, 5]}}]"
        pupil = load_recipe(write("name: a\n"), [several, "training.seed=3"])
    assert [(tutor.name, tutor.training.seed) for tutor in pupil.tutors] == [("wide", 3), ("big", 4), ("big", 5)]
    assert pupil.flat()["teacher"] == "wide, big (seeds 4, 5)"
    again = load_recipe(write(to_yaml(pupil.resolved()), "again.yaml"))
    assert again.digest() == pupil.digest()
    assert again.flat() == pupil.flat() | {"name": "a"}
    fewer = load_recipe(write(f"teacher: {{recipe: {big}, seeds: [4]}}\n"), ["training.seed=3"])
    assert [tutor.training.seed for tutor in fewer.tutors] == [4]
    assert fewer.digest() != pupil.digest()


def test_one_rule_of_the_plan_can_be_set(write: Write) -> None:
    path = write('precision:\n  "conv2d*": 8-bit\n  dense: binary\n')
    plan = load_recipe(path, ["precision.dense=ternary", "precision.conv2d*.outputs=8-bit"]).plan
    assert plan.to_data() == {
        "conv2d*": {"weights": "8-bit", "outputs": "8-bit"},
        "dense": {"weights": "ternary"},
    }
    assert load_recipe(path, ['precision={"conv*": 4-bit}']).plan.to_data() == {"conv*": {"weights": "4-bit"}}


def test_digest_covers_what_decides_the_result(write: Write) -> None:
    write("name: first\n", "first.yaml")
    path = write("start_from: first.yaml\nprecision: {'dense*': binary, dense_2: 8-bit}\n", "second.yaml")
    digest = load_recipe(path).digest()
    for same in (
        "name=other",
        "description=x",
        "target=stm32f411",
        "data.source=v0.01",
        "published={label: x}",
        "decision.threshold=0.5",
    ):
        assert load_recipe(path, [same]).digest() == digest
    for other in (
        "data.voices=9",
        "data.silence=0.1",
        "data.unknown=0.1",
        "features.low_hz=30",
        "model.dropout=0",
        "training.average=0.5",
        "training.synthetic_voices=9",
        "training.augment.hiss_db=null",
        "start_from=null",
        "precision={dense_2: 8-bit, 'dense*': binary}",
    ):
        assert load_recipe(path, [other]).digest() != digest, other
    write("name: first\ntraining: {epochs: 2}\n", "first.yaml")
    assert load_recipe(path).digest() != digest


def test_a_network_starts_from_one_with_the_same_classes(write: Write) -> None:
    write("name: first\n", "first.yaml")
    path = write("start_from: first.yaml\ndata: {unknown: 0.1}\n", "second.yaml")
    with pytest.raises(UserError, match=r"needs the same data\.silence and data\.unknown as first"):
        load_recipe(path).check_references()
    load_recipe(path, ["data.unknown=0.2"]).check_references()  # a setting reaches both


def test_a_default_that_is_spelt_out_changes_no_digest(write: Write) -> None:
    silent = load_recipe(write("name: silent\n"))
    spelt = load_recipe(write("name: spelt\nmodel: {name: reference}\ndata: {voices: 240}\ntraining: {seed: 0}\n"))
    other = load_recipe(write("name: other\nmodel: {name: tc_resnet}\n"))
    assert silent.digest() == spelt.digest() != other.digest()


def test_flat_is_text_under_dotted_keys() -> None:
    flat = load_recipe(RECIPES / "paper" / "hybrid.yaml", ["training.augment.noise_snr_db=[5, 40]"]).flat()
    assert flat["model.filters"] == "16, 16, 32, 32, 64, 64"
    assert flat["precision"] == "binary, 8-bit: conv2d* 8-bit, dense* binary, dense_2 8-bit"
    assert flat["start_from"] == "fp32"
    assert flat["data.balance"] == "true"
    assert flat["training.augment.noise_snr_db"] == "5.0, 40.0"
    assert not [key for key in flat if not key.replace(".", "").replace("_", "").isalnum()]
    assert load_recipe(RECIPES / "paper" / "fp32.yaml").flat()["precision"] == "float32"


def test_models_are_pydantic_and_frozen() -> None:
    recipe = load_recipe(RECIPES / "paper" / "fp32.yaml")
    assert isinstance(recipe, BaseModel)
    with pytest.raises(ValueError, match="frozen"):
        recipe.training.epochs = 3  # type: ignore[misc]
