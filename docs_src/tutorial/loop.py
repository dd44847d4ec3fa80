"""Train one model for each learning rate: python loop.py"""

import os

from modeldir import Params

from train import train_and_evaluate

for learning_rate in [0.1, 0.01, 0.001]:
    model_dir = f"experiments/loop/learning_rate_{learning_rate}"
    os.makedirs(model_dir, exist_ok=True)
    params = Params("experiments/base_model/params.json")
    params.learning_rate = learning_rate
    params.save(os.path.join(model_dir, "params.json"))
    print(f"training with learning rate {learning_rate}")
    train_and_evaluate(model_dir)
