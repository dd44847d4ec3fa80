import argparse

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import modeldir

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", required=True)
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=20)
args = parser.parse_args()

dist.init_process_group("gloo")  # "nccl" on GPUs
torch.manual_seed(dist.get_rank())
model = DistributedDataParallel(torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)

run = modeldir.start(args.model_dir)  # on every rank
state = run.restore()
first = 1
if state is not None:
    model.load_state_dict(state["model"])
    first = state["epoch"] + 1

for epoch in range(first, args.epochs + 1):
    x = torch.randn(64, 8)
    loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

    mean = loss.detach()
    dist.all_reduce(mean)
    run.log(epoch, loss=mean.item() / dist.get_world_size())  # only rank 0 logs
    run.save_checkpoint({"model": model.state_dict(), "epoch": epoch})  # only rank 0 saves

dist.destroy_process_group()
