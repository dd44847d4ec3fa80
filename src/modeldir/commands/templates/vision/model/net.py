"""The models, the loss and the metrics."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Baseline(nn.Module):
    """Softmax regression: one layer, from the 64 pixels straight to the 10 digits."""

    def __init__(self, params):
        super().__init__()
        self.output = nn.Linear(64, 10)

    def forward(self, images):
        return self.output(images.flatten(1))


class SimpleConvolutions(nn.Module):
    """Two blocks of convolution, batch normalization, ReLU and pooling, then two linear layers."""

    def __init__(self, params):
        super().__init__()
        channels = params.num_channels
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(2 * channels)
        self.hidden = nn.Linear(2 * channels * 2 * 2, 4 * channels)
        self.output = nn.Linear(4 * channels, 10)
        self.dropout_rate = params.dropout_rate

    def forward(self, images):  #                                             n x  1 x 8 x 8
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 2)  # n x  channels x 4 x 4
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)  #     n x 2 channels x 2 x 2
        x = F.relu(self.hidden(x.flatten(1)))
        x = F.dropout(x, self.dropout_rate, self.training)
        return self.output(x)


# To add a model: write its class above, name it here, and set "model_version" in a params.json.
MODELS = {"baseline": Baseline, "simple_convolutions": SimpleConvolutions}


def build(params):
    """The model that params.model_version names, with weights drawn by torch's random numbers."""
    if params.model_version not in MODELS:
        known = ", ".join(MODELS)
        raise ValueError(f"model_version {params.model_version!r} is not in model/net.py: {known}")
    return MODELS[params.model_version](params)


loss_fn = F.cross_entropy


def accuracy(scores, labels):
    """The share of images whose highest score is the right digit."""
    return (scores.argmax(dim=1) == labels).sum().item() / len(labels)


def loss(scores, labels):
    return loss_fn(scores, labels).item()


# evaluate.py measures these. Add yours here: it then appears in the logs and in the tables.
metrics = {"accuracy": accuracy, "loss": loss}
