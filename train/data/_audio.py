"""Sounds from WAV files, and their log-mel spectrogram, computed in the program.

With frames x_t of `window` samples, `hop` apart, under a Hann window h, and triangles M_b evenly
spaced on the mel scale, m(f) = 2595 log₁₀(1 + f / 700):

    S_t(k) = |Σ_n h(n) x_t(n) e^(-2πi kn / window)|²,    y_t(b) = log max(Σ_k M_b(k) S_t(k), ε)
"""

import wave
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray


class Sound(NamedTuple):
    """A sound: `x` float32 (time, channels) in [-1, 1], at `rate` samples a second."""

    x: NDArray[np.float32]
    rate: int


def read_wav(path: str | PathLike[str]) -> Sound:
    """Sound of a WAV file of whole numbers (PCM) in 8, 16, 24 or 32 bits.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no such WAV file.

    >>> read_wav("speech.wav").rate  # doctest: +SKIP
    16000
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"read_wav: no file at {path}; give the path of a WAV file")
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(
            f"read_wav: {path} is no WAV file of whole numbers ({error}); convert it to 16-bit PCM"
        ) from error
    return Sound(_samples(raw, width).reshape(-1, channels), rate)


def log_mel(
    x: jax.Array,
    rate: float,
    *,
    window: int = 400,
    hop: int = 160,
    bands: int = 80,
    floor: float = 1e-10,
) -> jax.Array:
    """Log-mel spectrogram: the logarithm of the power in each band of pitch, frame by frame.

    Frames lie wholly inside the sound: there are 1 + (time - window) // hop. The defaults are
    frames of 25 ms every 10 ms at 16,000 samples a second.

    Args:
        x: (..., time), floats.
        rate: samples a second.
        window: samples a frame.
        hop: samples from one frame to the next.
        bands: on the mel scale, from 0 to half the rate.
        floor: the least power, so that silence has a logarithm.

    Returns:
        (..., frames, bands), natural logarithms.

    Raises:
        TypeError: x is not floating.
        ValueError: a sound shorter than a frame; sizes below 1; so many bands that some would hold
            no frequency.

    >>> x = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    >>> y = log_mel(x, 16_000, bands=40)
    >>> y.shape, int(y.mean(0).argmax())
    ((98, 40), 7)

    Source: Davis and Mermelstein, Comparison of parametric representations for monosyllabic word
    recognition in continuously spoken sentences, 1980.
    """
    x = _checked(x, window, hop, bands)
    filters = _mel_filters(rate, window, bands)
    starts = np.arange(0, x.shape[-1] - window + 1, hop)
    frames = x[..., starts[:, None] + np.arange(window)[None]]
    shape = (1,) * (frames.ndim - 1) + (window,)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    spectrum = jnp.fft.rfft(frames * jnp.asarray(hann, x.dtype).reshape(shape))
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    mel = jnp.matmul(power, jnp.asarray(filters, x.dtype), precision="highest")
    return jnp.log(jnp.maximum(mel, jnp.asarray(floor, x.dtype)))


def _mel_filters(rate: float, window: int, bands: int) -> NDArray[np.float64]:
    """Return the triangles (window // 2 + 1, bands): each rises from the last center, then falls.

    Raises:
        ValueError: one holds no frequency.
    """
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    frequency = np.arange(window // 2 + 1)[:, None] * rate / window
    low, center, high = edges[None, :-2], edges[None, 1:-1], edges[None, 2:]
    rising, falling = (frequency - low) / (center - low), (high - frequency) / (high - center)
    filters: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    if not filters.any(0).all():
        raise ValueError(
            f"log_mel: of {bands} bands {np.sum(~filters.any(0))} hold no frequency of a window of "
            f"{window} samples; choose fewer bands or a longer window"
        )
    return filters


def _checked(x: Any, window: int, hop: int, bands: int) -> jax.Array:
    for name, size in (("window", window), ("hop", hop), ("bands", bands)):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"log_mel: {name} must be an integer of at least 1, got {size!r}")
    if not hasattr(x, "dtype") or not jnp.issubdtype(x.dtype, jnp.floating):
        got = getattr(x, "dtype", type(x).__name__)
        raise TypeError(f"log_mel: x must be floats (..., time), got {got}; use read_wav, or scale")
    if not x.ndim or x.shape[-1] < window:
        raise ValueError(
            f"log_mel: x (..., time) must hold at least one frame of {window} samples, got shape "
            f"{list(x.shape)}; of read_wav take x.T, channels first"
        )
    return jnp.asarray(x)


def _samples(raw: bytes, width: int) -> NDArray[np.float32]:
    if width == 1:  # the only one without a sign
        return ((np.frombuffer(raw, np.uint8) - 128.0) / 128).astype(np.float32)
    octets = np.frombuffer(raw, np.uint8).reshape(-1, width)
    filled = np.zeros((len(octets), 4), np.uint8)
    filled[:, 4 - width :] = octets
    whole: NDArray[np.int32] = filled.view("<i4")[:, 0]
    return (whole / 2**31).astype(np.float32)
