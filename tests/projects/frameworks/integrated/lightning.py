"""Handwritten digits with Lightning, in the shape of its own examples."""

import argparse

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from sklearn.datasets import load_digits
from torch import nn
from modeldir.integrations.lightning import ModeldirCallback, last_checkpoint
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split


class LitDigits(LightningModule):
    def __init__(self, lr: float = 1e-3, hidden: int = 32):
        super().__init__()
        self.save_hyperparameters()
        self.model = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self.model(x), y)
        self.log("train_loss", loss, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        logits = self.model(x)
        self.log("val_loss", F.cross_entropy(logits, y), prog_bar=True)
        self.log("val_acc", (logits.argmax(1) == y).float().mean(), prog_bar=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--max_epochs", type=int, default=8)
    parser.add_argument("--default_root_dir", default=".")
    args = parser.parse_args()

    seed_everything(1)
    x, y = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y))
    train, val = random_split(data, [1497, 300])

    trainer = Trainer(
        accelerator="cpu",
        max_epochs=args.max_epochs,
        default_root_dir=args.default_root_dir,
        logger=CSVLogger(args.default_root_dir),
        callbacks=[ModelCheckpoint(save_last=True), ModeldirCallback()],
        log_every_n_steps=10,
        enable_model_summary=False,
    )
    trainer.fit(
        LitDigits(args.lr, args.hidden),
        DataLoader(train, batch_size=64, shuffle=True),
        DataLoader(val, batch_size=300),
        ckpt_path=last_checkpoint(),
    )


if __name__ == "__main__":
    main()
