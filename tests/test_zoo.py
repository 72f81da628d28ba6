"""Every model is timed in the zoo, or is left out by name here."""

import runpy
from pathlib import Path
from types import ModuleType

import pytest

from laminax import nn

CASES = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "_zoo_cases.py"))["CASES"]

LEFT_OUT = {
    # No networks of layers trained by gradients: neurons, their rules, fits in closed form.
    *("adaline", "adaline_rule", "mcculloch_pitts", "perceptron", "perceptron_fit"),
    *("perceptron_rule", "xor_net", "xor_solution", "least_squares", "logistic_fit"),
    *("softmax_fit", "polynomial_features"),
    # One dense layer.
    *("linear_regression", "logistic_regression", "polynomial_regression", "softmax_regression"),
    # Parts of a transformer; BERT without its read-out; a residual network without its shortcuts.
    *("decoder", "decoder_block", "encoder", "encoder_block", "bert", "plain"),
    # What is done with a model.
    "forecast",
    # Timed by the MNIST benchmark; convolutions as those of the U-Net.
    *("cnn", "conv_autoencoder"),
}


def test_every_model_is_in_the_zoo():
    models = {
        name
        for name, value in vars(nn.models).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    timed = {case.factory for case in CASES.values()}
    missing = models - timed - LEFT_OUT
    assert not missing, f"give {sorted(missing)} a case in benchmarks/_zoo_cases.py"
    assert not LEFT_OUT & timed
    assert models >= LEFT_OUT


@pytest.mark.parametrize("name", CASES)
def test_every_case_names_a_factory(name):
    assert callable(getattr(nn, CASES[name].factory))
