import numpy as np
import pytest


@pytest.fixture(scope="session")
def digits():
    """Scikit-learn's digits as images from 0 to 1, and their labels."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X / 16).reshape(-1, 1, 8, 8).astype(np.float32), y


@pytest.fixture(scope="session")
def trained(digits):
    """A small network trained for a few epochs."""
    import synfire

    X, y = digits
    net = synfire.Network("16C3-AP2-32C3-AP2-LI5", (1, 8, 8), 10, time_steps=4, precision="f32")
    return net.fit(X[:600], y[:600], epochs=8, batch_size=16)
