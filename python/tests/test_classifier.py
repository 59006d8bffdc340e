import numpy as np
import pytest

from synfire import SpikingClassifier


def test_digits_in_three_folds(digits):
    from sklearn.model_selection import cross_val_score

    X, y = digits
    scores = cross_val_score(SpikingClassifier(epochs=10, random_state=0), X, y, cv=3)
    assert scores.mean() > 0.95, scores


def test_in_a_pipeline_with_names_as_classes(digits):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

    X, y = digits
    names = np.array(["zero", "one", "two", "three"])
    few = y < 4
    pipeline = make_pipeline(
        MinMaxScaler(), FunctionTransformer(lambda x: x.reshape(-1, 1, 8, 8)), SpikingClassifier("8C3-AP2-LI4", epochs=6)
    )
    pipeline.fit(X[few].reshape(-1, 64)[:500], names[y[few]][:500])
    assert pipeline.score(X[few].reshape(-1, 64)[500:], names[y[few]][500:]) > 0.8
    assert set(pipeline.classes_) == set(names)
    assert pipeline.predict_proba(X[few].reshape(-1, 64)[:3]).shape == (3, 4)


def test_parameters():
    from sklearn.base import clone

    classifier = SpikingClassifier("8C3-LI1", time_steps=2, epochs=3, settings={"shift": 1})
    assert classifier.get_params()["net"] == "8C3-LI1"
    again = clone(classifier).set_params(epochs=4)
    assert again.epochs == 4 and classifier.epochs == 3
    with pytest.raises(ValueError):
        classifier.set_params(colour="red")


def test_what_does_not_fit(digits):
    from sklearn.exceptions import NotFittedError

    X, y = digits
    with pytest.raises(NotFittedError, match="not fitted"):
        SpikingClassifier().predict(X[:2])
    with pytest.raises(ValueError, match="two or more"):
        SpikingClassifier().fit(X[:20], np.zeros(20))
    with pytest.raises(ValueError, match="one label for each"):
        SpikingClassifier().fit(X[:20], y[:19])
    with pytest.raises(ValueError, match="settings hold 'lr'"):
        SpikingClassifier(settings={"lr": 0.1}).fit(X[:20], y[:20])
    with pytest.raises(ValueError, match="no classes"):
        SpikingClassifier().fit(X[:20], y[:20] + 0.5)
    few = SpikingClassifier("4C3-LI1", epochs=1).fit(X[:5], y[:5])
    assert few.network_.summary_["validation_samples"] == 1
    with pytest.raises(ValueError, match="dimensions"):
        SpikingClassifier().fit(X[:20].reshape(20, 64), y[:20])
