"""Two processes by `accelerate launch`."""

import argparse

import torch
from accelerate import Accelerator

import modeldir

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", required=True)
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=20)
args = parser.parse_args()

accelerator = Accelerator(cpu=True)
torch.manual_seed(accelerator.process_index)
model = torch.nn.Linear(8, 1)
model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=args.lr))

run = modeldir.start(args.model_dir)
state = run.restore()
first = 1
if state is not None:
    accelerator.unwrap_model(model).load_state_dict(state["model"])
    first = state["epoch"] + 1

for epoch in range(first, args.epochs + 1):
    x = torch.randn(64, 8)
    loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
    optimizer.zero_grad()
    accelerator.backward(loss)
    optimizer.step()

    mean = accelerator.reduce(loss.detach(), "mean")
    run.log(epoch, loss=mean.item())
    weights = accelerator.unwrap_model(model).state_dict()
    run.save_checkpoint({"model": weights, "epoch": epoch})

accelerator.end_training()
