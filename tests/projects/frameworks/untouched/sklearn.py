"""Handwritten digits with scikit-learn, in the shape of its own examples."""

import argparse

from sklearn.datasets import load_digits
from sklearn.model_selection import cross_validate
from sklearn.svm import SVC

parser = argparse.ArgumentParser()
parser.add_argument("--C", type=float, default=1.0)
parser.add_argument("--gamma", type=float, default=0.001)
parser.add_argument("--folds", type=int, default=5)
args = parser.parse_args()

x, y = load_digits(return_X_y=True)
scores = cross_validate(SVC(C=args.C, gamma=args.gamma), x, y, cv=args.folds, scoring="accuracy")
print(f"accuracy: {scores['test_score'].mean():.4f} +/- {scores['test_score'].std():.4f}")
