"""The shape of PyTorch's language model: on/off flags, and a file for the weights."""

import argparse

from ending import train

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=str, default="./data/wikitext-2")
parser.add_argument("--model", type=str, default="LSTM", help="RNN_TANH, LSTM, GRU")
parser.add_argument("--emsize", type=int, default=200)
parser.add_argument("--nlayers", type=int, default=2)
parser.add_argument("--lr", type=float, default=20)
parser.add_argument("--clip", type=float, default=0.25)
parser.add_argument("--batch_size", type=int, default=20, metavar="N")
parser.add_argument("--dropout", type=float, default=0.2)
parser.add_argument("--tied", action="store_true")
parser.add_argument("--log-interval", type=int, default=200, metavar="N")
parser.add_argument("--save", type=str, default="model.pt")
args = parser.parse_args()

if __name__ == "__main__":
    train(vars(args), args.save)
