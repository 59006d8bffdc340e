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


def test_two_classes_as_scikit_learn_scores_them(digits):
    from sklearn.model_selection import cross_val_score
    from sklearn.multiclass import OneVsRestClassifier

    X, y = digits[0][:300], digits[1][:300]
    small = SpikingClassifier("8C3-AP4-LI2", epochs=3, time_steps=2)
    assert small.fit(X, y > 4).decision_function(X).shape == (300,)
    assert np.array_equal(small.decision_function(X) > 0, small.predict(X))
    assert cross_val_score(small, X, y > 4, cv=2, scoring="roc_auc").min() > 0.5
    three = y < 3
    small.set_params(net="16C3-AP2-16C3-LI2", epochs=12, batch_size=16, validation=0.3)
    assert OneVsRestClassifier(small).fit(X[three], y[three]).score(X[three], y[three]) > 0.6


def test_a_fit_that_fails_leaves_what_was_fitted(digits):
    X, y = digits[0][:60], digits[1][:60]
    classifier = SpikingClassifier("4C3-LI1", epochs=1, time_steps=2, random_state=np.random.default_rng(1)).fit(X, y)
    before = classifier.predict(X)
    classifier.set_params(net="4Q3")
    with pytest.raises(ValueError, match="4Q3"):
        classifier.fit(X, y > 4)
    assert np.array_equal(classifier.predict(X), before)
    for settings in ({"time-steps": 1}, {"time_steps": 1}, {"batch-size": 7}):
        with pytest.raises(ValueError, match="parameter of its own"):
            SpikingClassifier("4C3-LI1", settings=settings).fit(X, y)
    with pytest.raises(ValueError, match="no classes"):
        SpikingClassifier("4C3-LI1").fit(X, np.where(y > 4, np.inf, 0.0))
