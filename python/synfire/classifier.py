"""A classifier as scikit-learn wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._arrays import Floats, as_array, floats
from .network import Network

if TYPE_CHECKING:

    class _Base:
        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **params: Any) -> Any: ...
        def score(self, X: ArrayLike, y: ArrayLike) -> float: ...

else:
    try:
        from sklearn.base import BaseEstimator, ClassifierMixin

        class _Base(ClassifierMixin, BaseEstimator):
            pass

    except ImportError:
        import inspect

        class _Base:
            """What scikit-learn's bases do, where it is not installed."""

            def get_params(self, deep=True):
                return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

            def set_params(self, **params):
                for name, value in params.items():
                    if name not in self.get_params():
                        raise ValueError(f"unknown parameter {name!r}")
                    setattr(self, name, value)
                return self

            def score(self, X, y):
                return float(np.mean(self.predict(X) == np.asarray(y)))


__all__ = ["SpikingClassifier"]


class SpikingClassifier(_Base):
    """A spiking network as a classifier of images `[N, C, H, W]`, or frames `[N, T, C, H, W]`, float32.

    `net` is a layer string; by default one that fits the size of the images. `time_steps`, `method`, `epochs`, `batch_size`, `lr` and `device` are as in
    `Network`; `validation` is the share of the samples that chooses the best epoch; `random_state` a seed, a RandomState, a Generator or None
    for seed 0; `settings` further settings of `Network` and its `fit`, such as `{"shift": 1}`. Labels may be anything that can be ordered.
    """

    def __init__(
        self,
        net: str | None = None,
        *,
        time_steps: int = 4,
        method: str = "bpsta",
        epochs: int = 20,
        batch_size: int = 32,
        lr: float = 1e-3,
        validation: float = 0.1,
        random_state: Any = None,
        verbose: bool = False,
        device: str = "cpu",
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.net = net
        self.time_steps = time_steps
        self.method = method
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.validation = validation
        self.random_state = random_state
        self.verbose = verbose
        self.device = device
        self.settings = settings

    def fit(self, X: ArrayLike, y: ArrayLike) -> SpikingClassifier:
        """Trains on images `[N, C, H, W]` or frames `[N, T, C, H, W]` and their labels `[N]`. Where it fails, what was fitted before stands.

        Raises ValueError if they do not fit each other.
        """
        x = floats(X, "X", (4, 5))
        target = as_array(y)
        if target.shape != (len(x),):
            raise ValueError(f"y has shape {target.shape}, expected ({len(x)},): one label for each sample")
        if target.dtype.kind == "f" and not np.all(np.isfinite(target) & (target == np.floor(target))):
            raise ValueError("y holds numbers that are no classes")
        classes, numbers = np.unique(target, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y holds {len(classes)} class, expected two or more")
        shape = x.shape[-3:]
        more = {key.replace("-", "_"): value for key, value in (self.settings or {}).items()}
        for key in {"net", "seed", *self.get_params()} & more.keys():
            raise ValueError(f"settings hold {key!r}, which is a parameter of its own" if key != "seed" else "settings hold 'seed': give random_state")
        network = Network(
            self.net or _fitting(shape),
            (shape[0], shape[1], shape[2]),
            [str(name) for name in classes],
            self.time_steps,
            self.method,
            seed=_seed(self.random_state),
            device=self.device,
            **more,
        )
        network.fit(
            x,
            numbers,
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            validation=self.validation,
            progress=self.verbose,
        )
        self.classes_: NDArray[Any] = classes
        self.network_: Network = network
        self.n_features_in_: int = shape[0]
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class of each sample, `[N]`, for images `[N, C, H, W]` or frames `[N, T, C, H, W]`."""
        network = self._fitted()
        classes: NDArray[Any] = self.classes_[network.predict(X)]
        return classes

    def predict_proba(self, X: ArrayLike) -> Floats:
        """How certain each class is, `[N, classes]` in the order of `classes_`."""
        return self._fitted().predict_proba(X)

    def decision_function(self, X: ArrayLike) -> Floats:
        """The mean of the readout over time, `[N, classes]`; of two classes `[N]`, the second's less the first's, as scikit-learn has it."""
        scores = self._fitted().decision_function(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _fitted(self) -> Network:
        if not hasattr(self, "network_"):
            message = "this SpikingClassifier is not fitted yet: call fit first"
            try:
                from sklearn.exceptions import NotFittedError
            except ImportError:
                raise ValueError(message) from None
            raise NotFittedError(message)
        return self.network_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


def _fitting(shape: tuple[int, ...]) -> str:
    """Layers for images of this shape: pooled down to a few pixels."""
    smallest = min(shape[1], shape[2])
    if smallest >= 24:
        return "32C3-MP2-64C3-MP2-128C3-AP2-LI10"
    if smallest >= 4:
        return "32C3-64C3-MP2-128C3-AP2-LI10"
    return "128FC-128FC-LI10"


def _seed(random_state: Any) -> int:
    if random_state is None:
        return 0
    if hasattr(random_state, "integers"):
        return int(random_state.integers(2**31 - 1))
    if hasattr(random_state, "randint"):
        return int(random_state.randint(2**31 - 1))
    return int(random_state)
