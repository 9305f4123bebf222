"""From Keras to integers: what fits and what is refused; scales; the file, damaged and hostile."""

import json
import zipfile

import numpy as np
import pytest
from conftest import answers
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridq.errors import UserError
from hybridq.integer import scaling
from hybridq.integer.arithmetic import classes, normalised, quantized, requantized
from hybridq.integer.artefact import DESCRIPTION, digest, load_network, save_network
from hybridq.integer.convert import on_grids, settle
from hybridq.integer.description import Description
from hybridq.integer.figures import chains_of
from hybridq.integer.lowering import integer_network
from hybridq.precision import PrecisionPlan
from hybridq.quantization.model import calibrated, quantize

GRIDS = PrecisionPlan.from_data({"*": {"weights": "8-bit", "outputs": "8-bit"}})


def clips(count=64, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 8, 10, 1)).astype(np.float32)


def network(*middle, last=("softmax",), shape=(8, 10, 1)):
    """A float network of these layers, between an input and a dense layer of three outputs."""
    import keras

    keras.utils.set_random_seed(1)
    inputs = x = keras.Input(shape, name="mfcc")
    for layer in middle:
        x = layer(x)
    x = keras.layers.Dense(3, activation=last[0], name="last")(keras.layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, x, name="small")


def gridded(model, plan=GRIDS):
    return quantize(model, plan, calibrated(model, plan, clips()))


def small():
    from keras import layers

    return network(layers.Conv2D(4, 3, activation="elu", name="conv"), layers.BatchNormalization(name="norm"))


@given(
    scale=st.floats(2.0**-20, 0.49999),
    sums=st.lists(st.integers(-(2**24), 2**24), min_size=1, max_size=20),
    offset=st.floats(-200, 200),
)
def test_a_requantization_is_a_product_rounded_once(scale, sums, offset):
    """What the bias cannot say is left: at most half a step of the sums, in units of results."""
    scale = float(np.float32(scale))  # what it is rounded to
    real = np.array([scale])
    by = scaling.requantization("layer", real, -(2**40), 2**40)
    added = scaling.bias(np.array([offset]), real)
    found = requantized(np.array(sums)[:, None] + added, by)[:, 0]
    assert (np.abs(found - (np.array(sums) * scale + offset)) <= 0.5 + 0.5 * scale + 2.0**-20).all()


@given(scale=st.lists(st.floats(-300, 300), min_size=1, max_size=4), offset=st.floats(-1000, 1000))
def test_a_batch_norm_in_integers_stays_within_32_bits_and_is_near(scale, offset):
    by = scaling.affine("layer", np.array(scale), np.full(len(scale), offset))
    inexact = (127 * 128 + np.abs(by.multiplier) / 2) * 2.0**-by.shift  # of the multiplier, of the bias
    for q in (-128, -1, 0, 127):
        assert (np.abs(q * by.scale + by.offset) + 2.0 ** (by.shift - 1) < 2**31).all()
        real = np.clip(np.array(scale) * q + offset, -128, 127)
        assert (np.abs(normalised(np.array(q), by) - real) <= 0.5 + inexact).all()


def test_a_float_network_is_put_on_grids_and_hears_the_same():
    model = small()
    found = on_grids(model, clips())
    integers = integer_network(found)
    x = clips(200, seed=1)
    heard = answers(found, x).argmax(1)
    assert (classes(integers, quantized(x, integers.input_fraction)) == heard).mean() >= 0.995
    assert (heard == answers(model, x).argmax(1)).mean() >= 0.9


def test_a_settled_batch_norm_is_that_of_the_integers():
    model = gridded(small())
    norm = model.get_layer("norm")
    given = [0.7, -1.3, 2.0, 0.0], [0.1, 9.0, -0.4, 0.3], [0.0, 0.2, 1.0, -1.0], [1.0, 0.3, 2.0, 1e-3]
    norm.set_weights(list(np.array(given)))
    settle(model)
    by, (before, found, after) = integer_network(model).layers[0].affine, chains_of(model)[1].parts[-3:]
    np.testing.assert_allclose(found.value[0] * 2.0 ** (after.value - before.value + by.shift), by.scale, rtol=1e-5)
    np.testing.assert_allclose(found.value[1] * 2.0 ** (after.value + by.shift), by.offset, rtol=1e-5)
    settled = norm.get_weights()
    settle(model)
    np.testing.assert_allclose(np.array(norm.get_weights()), np.array(settled), rtol=1e-5)


def test_what_is_between_layers_but_not_on_a_grid_is_named():
    with pytest.raises(UserError, match="mfcc: its result is not on a grid of 8 bits; name it in the precision plan"):
        integer_network(quantize(small(), PrecisionPlan.from_data({"conv": "8-bit"})))
    with pytest.raises(UserError, match="norm: its result is not on a grid"):
        integer_network(gridded(small(), PrecisionPlan.from_data({"[mc]*": {"outputs": "8-bit"}})))
    narrow = PrecisionPlan.from_data({"*": {"outputs": "8-bit"}, "conv": {"weights": "8-bit", "outputs": "4-bit"}})
    with pytest.raises(UserError, match="conv_outputs: its results have fewer than 8 bits"):
        integer_network(gridded(small(), narrow))


def test_layers_without_a_form_in_integers_are_named():
    from keras import layers

    refused = {
        "center: CenterCrop layers have no form in integers; there are": [layers.CenterCrop(4, 4, name="center")],
        "turn: no layer of the integer network changes shapes": [layers.Permute((2, 1, 3), name="turn")],
        "soft: softmax has no form in integers": [layers.Activation("softmax", name="soft")],
    }
    for message, middle in refused.items():
        with pytest.raises(UserError, match=message):
            integer_network(gridded(network(*middle)))


def test_sums_that_could_overflow_are_refused():
    weights = np.full((200_000, 1), 127, np.int64)
    with pytest.raises(UserError, match=r"dense: its sums can reach 3,251,\d+,\d+, more than 32 bits hold"):
        scaling.check_sums("dense", weights, np.zeros(1, np.int64))


def test_a_channel_of_hardly_any_weight_keeps_its_offset():
    model = gridded(small())
    layer = model.get_layer("conv")
    kernel, bias = layer.get_weights()
    kernel[..., 0], bias[0] = kernel[..., 0] * 1e-9, 0.7
    layer.set_weights([kernel, bias])
    integers = integer_network(model)
    x = clips(50, seed=2)
    heard = answers(model, x).argmax(1)
    assert not integers.layers[0].weights[..., 0].any()
    assert (classes(integers, quantized(x, integers.input_fraction)) == heard).mean() >= 0.98


def test_outputs_of_fewer_bits_are_refused():
    plan = PrecisionPlan.from_data({"conv": {"weights": "8-bit", "outputs": "4-bit"}})
    with pytest.raises(UserError, match="conv_outputs: its results have fewer than 8 bits"):
        on_grids(quantize(small(), plan), clips())


# ----------------------------------------------------------------------------------------------- the file


@pytest.fixture(scope="module")
def integers():
    return integer_network(gridded(small()), Description(labels=("a", "b", "c")))


def test_equal_networks_give_equal_files(integers, tmp_path):
    one, other = tmp_path / "a" / "network.hqn", tmp_path / "b.hqn"
    assert save_network(integers, one) == save_network(load_network(one), other) == digest(integers)
    assert one.read_bytes() == other.read_bytes()
    assert load_network(one).description == Description(labels=("a", "b", "c"))


def rewritten(path, change):
    """The file with one member changed by name: `change` maps names to functions of the content."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, edit in change.items():
        members[name] = edit(members[name])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def described(edit):
    def change(content):
        said = json.loads(content)
        edit(said)
        return json.dumps(said).encode()

    return {DESCRIPTION: change}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"000.weights": lambda content: content[:-1]}, "bytes are no int8 of shape"),
        ({"000.out.multiplier": lambda content: bytes(len(content) - 4) + b"\1\0\0\0"}, "a multiplier below"),
        ({"000.out.shift": lambda content: b"\x40" * len(content)}, "a shift beyond 0 to 31"),
        ({"000.bias": lambda content: b"\xff\xff\xff\x7f" * (len(content) // 4)}, "beyond 32 bits"),
        (described(lambda said: said["layers"][0].update(inputs=["later"])), "not all made before it"),
        (described(lambda said: said["layers"][0].update(shape=[9, 9, 4])), "weights of shape"),
        (described(lambda said: said["layers"][0].update(strides=[0, 1])), "a bad window"),
        (described(lambda said: said["layers"][0].update(kind="System")), "damaged, or not an integer network"),
        (described(lambda said: said["layers"][0].update(width="INT4")), "weights beyond INT4"),
        (described(lambda said: said["input"].update(shape=[2**20, 2**20, 1])), "the shape"),
        (described(lambda said: said.update(layers=[])), "no layers"),
        ({"000.affine.multiplier": lambda content: bytes(len(content))}, "a multiplier of 0"),
        (described(lambda said: said.update(schema=1)), "schema 1, not 2: `hybridq export` its trained model again"),
        ({DESCRIPTION: lambda content: b"[" * 100_000}, "damaged"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(integers, tmp_path, change, message):
    path = tmp_path / "network.hqn"
    save_network(integers, path)
    with pytest.raises(UserError, match=message):
        load_network(rewritten(path, change))


@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_file_is_read_whole_or_refused(integers, tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "network.hqn"
    save_network(integers, path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
    try:
        found = load_network(path)
    except UserError:
        return
    assert digest(found) == digest(integers)


@pytest.mark.parametrize("weights", ["8-bit", "float32"])
def test_a_channel_that_has_died_is_one_of_zeros(weights):
    """Weight decay has left it no more than float32's smallest numbers."""
    import keras
    from keras import layers

    inputs = keras.Input((6,), name="input")
    x = layers.Dense(4, activation="relu", name="dense")(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="last")(x))
    kernel, bias = model.get_layer("dense").get_weights()
    kernel[:, 1] *= 1e-32
    model.get_layer("dense").set_weights([kernel, bias])
    values = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    plan = PrecisionPlan.from_data({"*": {"weights": weights, "outputs": "8-bit"}})
    network = integer_network(quantize(model, plan, calibrated(model, plan, values)))
    dense = network.layers[0]
    assert not dense.weights[:, 1].any()
    assert np.abs(dense.weights[:, [0, 2, 3]]).max() == 127
