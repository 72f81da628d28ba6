"""scikit-learn: MLPClassifier, whose `partial_fit` on the whole set is one epoch."""

import numpy as np
from sklearn.neural_network import MLPClassifier

from . import BATCH, RATE, Contender, Data, UnsupportedError


def setup(data: Data, model: str, seed: int) -> Contender:
    if model != "mlp":
        raise UnsupportedError("it has no convolution")
    net = MLPClassifier((512, 512), alpha=0, batch_size=BATCH, learning_rate_init=RATE)
    net.set_params(random_state=np.random.RandomState(seed))  # an int would repeat one order
    x = data.x.reshape(-1, 784)

    def epoch() -> float:
        net.partial_fit(x, data.y, classes=np.arange(10))
        return float(net.loss_)

    return Contender(epoch, lambda images: net.predict(images.reshape(-1, 784)))
