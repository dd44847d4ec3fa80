"""Handwritten digits with PyTorch and a SummaryWriter, in the shape of PyTorch's own examples."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.tensorboard import SummaryWriter


def main():
    parser = argparse.ArgumentParser(description="PyTorch digits")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--logdir", default="runs")
    args = parser.parse_args()

    torch.manual_seed(1)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)
    criterion = nn.CrossEntropyLoss()

    writer = SummaryWriter(args.logdir)
    for epoch in range(args.epochs):
        for chosen in torch.randperm(1497).split(64):
            optimizer.zero_grad()
            loss = criterion(model(x[chosen]), y[chosen])
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            logits = model(x[1497:])
        writer.add_scalar("train/loss", loss.item(), epoch)
        writer.add_scalar("val/loss", criterion(logits, y[1497:]).item(), epoch)
        writer.add_scalar("val/acc", (logits.argmax(1) == y[1497:]).float().mean().item(), epoch)
        writer.flush()
    writer.close()
    torch.save(model.state_dict(), f"{args.logdir}/digits.pt")


if __name__ == "__main__":
    main()
