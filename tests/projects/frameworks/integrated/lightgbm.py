"""Handwritten digits with LightGBM, in the shape of its own examples."""

import argparse

import lightgbm as lgb
from modeldir.integrations.lightgbm import ModeldirCallback, last_model, remaining
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=0.1)
parser.add_argument("--num_leaves", type=int, default=15)
parser.add_argument("--rounds", type=int, default=12)
args = parser.parse_args()

x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=300, random_state=1)
lgb_train = lgb.Dataset(x_train, y_train)
lgb_eval = lgb.Dataset(x_val, y_val, reference=lgb_train)

params = {
    "objective": "multiclass",
    "num_class": 10,
    "metric": "multi_logloss",
    "learning_rate": args.learning_rate,
    "num_leaves": args.num_leaves,
    "num_threads": 1,
    "verbosity": -1,
}
gbm = lgb.train(
    params,
    lgb_train,
    num_boost_round=remaining(args.rounds),
    valid_sets=lgb_eval,
    callbacks=[lgb.log_evaluation(1), ModeldirCallback()],
    init_model=last_model(),
)
