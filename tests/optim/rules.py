"""The optimizers' equations in NumPy, as `rule(g, theta) -> theta`, t counted from 1."""

import numpy as np


def momentum(rate, decay, nesterov=False):
    m = 0.0

    def rule(g, theta):
        nonlocal m
        m = decay * m + g
        return theta - rate * (g + decay * m if nesterov else m)

    return rule


def velocity(rate, decay, damped=False):
    v = 0.0

    def rule(g, theta):
        nonlocal v
        v = decay * v - (1 - decay if damped else 1) * rate * g
        return theta + v

    return rule


def adam(rate, b1, b2, eps, eps_root=0.0, weight_decay=0.0, nesterov=False):
    m, v, t = 0.0, 0.0, 0

    def rule(g, theta):
        nonlocal m, v, t
        t += 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        if nesterov:
            m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        step = m_hat / (np.sqrt(v_hat + eps_root) + eps)
        return theta - rate * (step + weight_decay * theta)

    return rule


def amsgrad(rate, b1, b2, eps):
    m, v, largest, t = 0.0, 0.0, 0.0, 0

    def rule(g, theta):
        nonlocal m, v, largest, t
        t += 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        largest = np.maximum(largest, v)
        return theta - rate * m / (1 - b1**t) / (np.sqrt(largest / (1 - b2**t)) + eps)

    return rule


def adamax(rate, b1, b2, eps):
    m, u, t = 0.0, 0.0, 0

    def rule(g, theta):
        nonlocal m, u, t
        t += 1
        m, u = b1 * m + (1 - b1) * g, np.maximum(b2 * u, np.abs(g) + eps)
        return theta - rate / (1 - b1**t) * m / u

    return rule


def radam(rate, b1, b2, eps):
    m, v, t, longest = 0.0, 0.0, 0, 2 / (1 - b2) - 1

    def rule(g, theta):
        nonlocal m, v, t
        t += 1
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        length = longest - 2 * t * b2**t / (1 - b2**t)
        if length < 5:
            return theta - rate * m_hat
        r2 = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        return theta - rate * np.sqrt(r2) * m_hat / (np.sqrt(v_hat) + eps)

    return rule


def adagrad(rate, eps, eps_root=0.0):
    s = 0.0

    def rule(g, theta):
        nonlocal s
        s = s + g**2
        return theta - rate * g / (np.sqrt(s + eps_root) + eps)

    return rule


def rmsprop(rate, decay, eps, momentum=0.0, eps_root=0.0, centered=False):
    s, mean, m = 0.0, 0.0, 0.0

    def rule(g, theta):
        nonlocal s, mean, m
        s, mean = decay * s + (1 - decay) * g**2, decay * mean + (1 - decay) * g
        variance = s - mean**2 if centered else s
        m = momentum * m + g / (np.sqrt(variance + eps_root) + eps)
        return theta - rate * m

    return rule


def adadelta(rate, decay, eps):
    s, d = 0.0, 0.0

    def rule(g, theta):
        nonlocal s, d
        s = decay * s + (1 - decay) * g**2
        delta = np.sqrt((d + eps) / (s + eps)) * g
        d = decay * d + (1 - decay) * delta**2
        return theta - rate * delta

    return rule


def rprop(rate, shrink, grow, smallest, largest):
    step, old = rate, 0.0

    def rule(g, theta):
        nonlocal step, old
        kept, turned = g * old > 0, g * old < 0
        step = np.where(kept, grow, np.where(turned, shrink, 1.0)) * step
        step = np.clip(step, smallest, largest)
        old = np.where(turned, 0.0, g)
        return theta - step * np.sign(old)

    return rule


def lion(rate, b1, b2, weight_decay):
    m = 0.0

    def rule(g, theta):
        nonlocal m
        step, m = np.sign(b1 * m + (1 - b1) * g), b2 * m + (1 - b2) * g
        return theta - rate * (step + weight_decay * theta)

    return rule
