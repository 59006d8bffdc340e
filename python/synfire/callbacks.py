"""What follows training.

A callback is called after each epoch with what was measured, a dictionary as a line of a run's `metrics.jsonl`: `epoch` (from 1), `train_loss`,
`train_accuracy`, `validation_loss`, `validation_accuracy`, `firing_rates`, `gradient_norms`, `seconds`, …. One that has a method `on_batch` is told
of batches too: `epoch` (those that are over, from 0), `batch`, `batches`, `loss`, `accuracy`. An exception in a callback ends training and is
raised.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any, Protocol, runtime_checkable

__all__ = ["Callback", "LiveCurve", "OnBatch", "Progress"]


class Callback(Protocol):
    """Is called after each epoch."""

    def __call__(self, record: dict[str, Any], /) -> None: ...


@runtime_checkable
class OnBatch(Protocol):
    """Is told of batches, too."""

    def on_batch(self, report: dict[str, Any], /) -> None: ...


class Progress:
    """A bar of the epochs on a terminal or in a notebook, by tqdm; lines without tqdm."""

    def __init__(self, epochs: int) -> None:
        self._bar: Any = None
        try:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=epochs, unit="epoch")
        except ImportError:
            pass
        self._epochs = epochs

    def on_batch(self, report: dict[str, Any], /) -> None:
        """Shows loss and accuracy so far."""
        if self._bar is not None:
            done = report["batch"] / max(report["batches"], 1)
            self._bar.n = round(report["epoch"] + done, 2)
            self._bar.set_postfix_str(f"loss {report['loss']:.4f}, train {report['accuracy']:.2%}")

    def __call__(self, record: dict[str, Any], /) -> None:
        text = f"loss {record['train_loss']:.4f}, val {record['validation_accuracy']:.2%}"
        if self._bar is None:
            print(f"epoch {record['epoch']}/{self._epochs}: {text}", file=sys.stderr)
            return
        self._bar.n = record["epoch"]
        self._bar.set_postfix_str(text)
        self._bar.refresh()

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()


class LiveCurve:
    """A curve of loss and accuracy that grows with training, in a notebook; needs Matplotlib and IPython."""

    def __init__(self) -> None:
        from matplotlib.figure import Figure

        self._display: Any = importlib.import_module("IPython.display")
        self._figure = Figure(figsize=(8, 3), layout="constrained")
        self._loss, self._accuracy = self._figure.subplots(1, 2)
        self._handle = self._display.DisplayHandle()
        self._shown = False
        #: What was measured after each epoch.
        self.records: list[dict[str, Any]] = []

    def __call__(self, record: dict[str, Any], /) -> None:
        self.records.append(record)
        epochs = [record["epoch"] for record in self.records]
        for axes, title, keys in (
            (self._loss, "loss", ("train_loss", "validation_loss")),
            (self._accuracy, "accuracy", ("train_accuracy", "validation_accuracy")),
        ):
            axes.clear()
            for key in keys:
                axes.plot(epochs, [record[key] for record in self.records], label=key.split("_")[0], marker=".")
            axes.set_xlabel("epoch")
            axes.set_title(title)
            axes.legend()
        # As a picture: a notebook knows how to show a figure only once pyplot was loaded there.
        picture = io.BytesIO()
        self._figure.savefig(picture, format="png", dpi=100)
        (self._handle.update if self._shown else self._handle.display)(self._display.Image(picture.getvalue()))
        self._shown = True


def is_watched() -> bool:
    """Whether somebody looks: a terminal, or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
