"""Metrics of text, over a whole set.

perplexity   exp of the mean negative log-likelihood of a token
bleu         the geometric mean of n-gram precisions, n = 1..4, times a penalty for brevity
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._host import check_same, floats


def perplexity(loss: Any) -> float:
    """Perplexity of a whole set: exp of the mean cross-entropy, the branching a model still sees.

    Args:
        loss: what `cross_entropy`, or `masked(cross_entropy)`, returned, in nats: an array, or the
            pair (sum, count); of a mean already taken, that number.

    Raises:
        ValueError: values that are not finite; a count of zero.
        TypeError: values that are traced.

    >>> from laminax import nn
    >>> losses = nn.losses.cross_entropy(np.zeros((2, 3, 50), "f4"), np.zeros((2, 3), int))
    >>> round(nn.metrics.perplexity(losses), 3)
    50.0
    """
    parts = loss if isinstance(loss, tuple) else (loss, None)
    total = floats("perplexity", "loss", parts[0])
    count = np.ones_like(total) if parts[1] is None else floats("perplexity", "count", parts[1])
    check_same("perplexity", sum=total, count=count)
    if not count.sum() > 0:
        raise ValueError("perplexity: the loss counts no token; is the mask empty?")
    return float(np.exp(total.sum() / count.sum()))


def bleu(hypotheses: Sequence[str], references: Sequence[str | Sequence[str]]) -> float:
    """Corpus BLEU of translations, in [0, 100], by sacreBLEU with its standard tokenization.

    Source: Papineni et al., BLEU: a method for automatic evaluation of machine translation, 2002;
    Post, A call for clarity in reporting BLEU scores, 2018.

    Args:
        hypotheses: the translations, plain text, not tokenized.
        references: for each the right one, or several right ones.

    Raises:
        ValueError: not as many references as translations, or none at all.
        TypeError: one string where a list of them is due.
        ImportError: sacreBLEU is not installed.

    >>> from laminax import nn
    >>> bleu = nn.metrics.bleu
    >>> bleu(["the cat sat on the mat"], ["the cat sat on the mat"])  # doctest: +SKIP
    100.0
    """
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise TypeError("bleu: hypotheses and references must be lists of strings, got one string")
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            f"bleu: needs one reference (or several) for each hypothesis, got {len(references)} "
            f"for {len(hypotheses)}"
        )
    try:
        import sacrebleu
    except ImportError as error:
        raise ImportError(
            'bleu: needs sacreBLEU, which is not installed; pip install "laminax[text]"'
        ) from error
    several = [[r] if isinstance(r, str) else list(r) for r in references]
    most = max(map(len, several))
    # sacreBLEU reads the first reference of each, then the second: None where there is none.
    streams: Any = [[r[i] if i < len(r) else None for r in several] for i in range(most)]
    return float(sacrebleu.corpus_bleu(list(hypotheses), streams).score)
