"""mflow in the places of other libraries: SciPy's solvers and minimizers, torch's optimizers, scikit-learn's estimators."""
