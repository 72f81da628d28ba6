import wave

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal
from scipy.io import wavfile

from laminax.train.data import log_mel, read_wav

random = np.random.default_rng(0)


@pytest.mark.parametrize(("dtype", "one"), [(np.uint8, 128), (np.int16, 2**15), (np.int32, 2**31)])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_is_what_scipy_wrote(tmp_path, dtype, one, channels):
    bounds = np.iinfo(dtype)
    whole = random.integers(bounds.min, bounds.max, (50, channels), dtype, endpoint=True)
    wavfile.write(tmp_path / "x.wav", 8000, whole)
    sound = read_wav(tmp_path / "x.wav")
    assert sound.rate == 8000 and sound.x.dtype == np.float32 and sound.x.shape == (50, channels)
    zero = 128 if dtype == np.uint8 else 0
    np.testing.assert_allclose(sound.x, (whole.astype(float) - zero) / one, rtol=1e-6, atol=1e-9)


def test_wav_of_24_bits(tmp_path):
    whole = random.integers(-(2**23), 2**23, 40)
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(44_100)
        file.writeframes(b"".join(int(v).to_bytes(3, "little", signed=True) for v in whole))
    rate, theirs = wavfile.read(tmp_path / "x.wav")  # which fills the low byte with zeros
    sound = read_wav(tmp_path / "x.wav")
    assert sound.rate == rate
    np.testing.assert_allclose(sound.x[:, 0], theirs / 2**31, rtol=1e-6)


def test_files_that_are_no_such_wav(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"read_wav: no file at .*x.wav"):
        read_wav(tmp_path / "x.wav")
    wavfile.write(tmp_path / "x.wav", 8000, np.zeros(5, np.float32))
    with pytest.raises(
        ValueError, match=r"x.wav is no WAV file of whole numbers .*convert it to 16"
    ):
        read_wav(tmp_path / "x.wav")
    (tmp_path / "x.wav").write_bytes(b"")
    with pytest.raises(ValueError, match="no WAV file of whole numbers"):
        read_wav(tmp_path / "x.wav")


def reference(x, rate, window, hop, bands, floor):
    """The definition, one number at a time."""
    mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
    edges = 700 * (10 ** (np.linspace(0, mel(rate / 2), bands + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(window, 1 / rate)
    hann = signal.get_window("hann", window)
    rows = []
    for start in range(0, len(x) - window + 1, hop):
        power = np.abs(np.fft.rfft(x[start : start + window] * hann)) ** 2
        row = []
        for low, center, high in zip(edges, edges[1:], edges[2:], strict=False):
            triangle = np.interp(frequencies, [low, center, high], [0, 1, 0], 0, 0)
            row.append(np.log(max((triangle * power).sum(), floor)))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(
    ("rate", "window", "hop", "bands"),
    [(16_000, 400, 160, 40), (8000, 128, 128, 8), (100.5, 33, 7, 3)],
)
def test_log_mel_is_its_definition(rate, window, hop, bands):
    x = random.normal(size=(2, 1500))
    with jax.enable_x64(True):
        options = {"window": window, "hop": hop, "bands": bands}
        y = jax.jit(lambda x: log_mel(x, rate, **options))(x)
        expected = np.stack([reference(row, rate, window, hop, bands, 1e-10) for row in x])
        np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(log_mel(x[1], rate, **options), expected[1], rtol=1e-10)


def test_log_mel_of_silence_and_in_float32():
    quiet = log_mel(np.zeros(800, np.float32), 16_000, bands=10, floor=1e-5)
    np.testing.assert_allclose(quiet, np.log(1e-5), rtol=1e-6)
    x = random.normal(size=900).astype(np.float32)
    y = log_mel(x, 16_000, bands=10)
    assert y.dtype == jnp.float32 and y.shape == (4, 10)
    np.testing.assert_allclose(y, reference(x, 16_000, 400, 160, 10, 1e-10), rtol=1e-5)
    grads = jax.grad(lambda x: log_mel(x, 16_000, bands=10).sum())(jnp.zeros(800))
    assert jnp.isfinite(grads).all()


@pytest.mark.parametrize(
    ("x", "options", "error", "words"),
    [
        (np.zeros(900, np.int16), {}, TypeError, r"x must be floats \(..., time\), got int16"),
        ([0.0], {}, TypeError, "got list"),
        (
            np.zeros(399, np.float32),
            {},
            ValueError,
            r"at least one frame of 400 .*got shape \[399\]",
        ),
        (np.zeros(900, np.float32), {"hop": 0}, ValueError, "hop must be an integer of at least 1"),
        (np.zeros(900, np.float32), {"bands": 1.5}, ValueError, "bands must be an integer of at"),
        (
            np.zeros(900, np.float32),
            {"bands": 200},
            ValueError,
            "of 200 bands .* hold no frequency",
        ),
    ],
)
def test_misuse(x, options, error, words):
    with pytest.raises(error, match=f"log_mel: .*{words}"):
        log_mel(x, 16_000, **options)
