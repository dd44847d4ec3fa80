"""The shape of nanoGPT's train.py: variables, and a configurator that overrides them."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from ending import train

out_dir = "out"
eval_interval = 2000
always_save_checkpoint = True
init_from = "scratch"  # 'scratch' or 'resume' or 'gpt2*'
wandb_log = False
dataset = "openwebtext"
gradient_accumulation_steps = 5 * 8
batch_size = 12
n_layer = 12
dropout = 0.0
bias = False
learning_rate = 6e-4
weight_decay = 1e-1
beta1 = 0.9
device = "cuda"
compile = True
# -----------------------------------------------------------------------------
config_keys = [
    k for k, v in globals().items() if not k.startswith("_") and isinstance(v, (int, float, bool, str))
]
exec(open("configurator.py").read())  # overrides from command line or config file
config = {k: globals()[k] for k in config_keys}
# -----------------------------------------------------------------------------

train(config, out_dir)
