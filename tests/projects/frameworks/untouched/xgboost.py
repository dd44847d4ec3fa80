"""Handwritten digits with XGBoost, in the shape of its own examples."""

import argparse

import xgboost as xgb
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--eta", type=float, default=0.3)
parser.add_argument("--max_depth", type=int, default=3)
parser.add_argument("--rounds", type=int, default=12)
args = parser.parse_args()

x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=300, random_state=1)
dtrain, dval = xgb.DMatrix(x_train, y_train), xgb.DMatrix(x_val, y_val)

params = {
    "objective": "multi:softprob",
    "num_class": 10,
    "eta": args.eta,
    "max_depth": args.max_depth,
    "eval_metric": "mlogloss",
    "nthread": 1,
}
booster = xgb.train(
    params,
    dtrain,
    num_boost_round=args.rounds,
    evals=[(dtrain, "train"), (dval, "val")],
)
