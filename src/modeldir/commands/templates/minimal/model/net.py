"""The models, the loss and the metrics, in plain NumPy.

A model is a dict of arrays, its weights, and two functions: `scores` turns images into ten numbers
each, `gradients` says how to change the weights so that the loss falls.
"""

import numpy as np


class Baseline:
    """Softmax regression: one layer, from the 64 pixels straight to the 10 digits."""

    def __init__(self, params, rng):
        self.weights = {"output": dense(64, 10, rng), "output_bias": np.zeros(10, np.float32)}

    def scores(self, images):
        return images @ self.weights["output"] + self.weights["output_bias"]

    def gradients(self, images, labels):
        """Returns the loss of a batch and its gradient with respect to each of the weights."""
        loss, d_scores = cross_entropy(self.scores(images), labels)
        return loss, {"output": images.T @ d_scores, "output_bias": d_scores.sum(axis=0)}


class MultilayerPerceptron:
    """One hidden layer of `hidden_units` rectified linear units, then softmax regression."""

    def __init__(self, params, rng):
        self.weights = {
            "hidden": dense(64, params.hidden_units, rng),
            "hidden_bias": np.zeros(params.hidden_units, np.float32),
            "output": dense(params.hidden_units, 10, rng),
            "output_bias": np.zeros(10, np.float32),
        }

    def hidden(self, images):
        return np.maximum(0, images @ self.weights["hidden"] + self.weights["hidden_bias"])

    def scores(self, images):
        return self.hidden(images) @ self.weights["output"] + self.weights["output_bias"]

    def gradients(self, images, labels):
        """Returns the loss of a batch and its gradient with respect to each of the weights."""
        hidden = self.hidden(images)
        scores = hidden @ self.weights["output"] + self.weights["output_bias"]
        loss, d_scores = cross_entropy(scores, labels)
        d_hidden = (d_scores @ self.weights["output"].T) * (hidden > 0)  # the chain rule
        return loss, {
            "hidden": images.T @ d_hidden,
            "hidden_bias": d_hidden.sum(axis=0),
            "output": hidden.T @ d_scores,
            "output_bias": d_scores.sum(axis=0),
        }


# To add a model: write its class above, name it here, and set "model_version" in a params.json.
MODELS = {"baseline": Baseline, "multilayer_perceptron": MultilayerPerceptron}


def build(params, rng):
    """The model that params.model_version names, with weights drawn from `rng`."""
    if params.model_version not in MODELS:
        known = ", ".join(MODELS)
        raise ValueError(f"model_version {params.model_version!r} is not in model/net.py: {known}")
    return MODELS[params.model_version](params, rng)


def dense(inputs, outputs, rng):
    """Weights of a layer, of the size that keeps signals neither growing nor shrinking."""
    return (rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs)).astype(np.float32)


def cross_entropy(scores, labels):
    """Returns the mean cross-entropy of a batch, and its gradient with respect to the scores."""
    rows = np.arange(len(labels))
    shifted = scores - scores.max(
        axis=1, keepdims=True
    )  # the same softmax, and exp cannot overflow
    exponentials = np.exp(shifted)
    totals = exponentials.sum(axis=1, keepdims=True)
    loss = float((np.log(totals[:, 0]) - shifted[rows, labels]).mean())
    d_scores = exponentials / totals
    d_scores[rows, labels] -= 1
    return loss, d_scores / len(labels)


def accuracy(scores, labels):
    """The share of images whose highest score is the right digit."""
    return float((scores.argmax(axis=1) == labels).mean())


def loss(scores, labels):
    return cross_entropy(scores, labels)[0]


# evaluate.py measures these. Add yours here: it then appears in the logs and in the tables.
metrics = {"accuracy": accuracy, "loss": loss}


class Adam:
    """Steps down the gradient, each weight at a pace of its own (Kingma and Ba, 2015).

    `learning_rate` is about how far a weight moves in one step, whatever the size of its gradient.
    """

    def __init__(self, weights, learning_rate):
        self.learning_rate = learning_rate
        self.steps = 0
        self.mean = {name: np.zeros_like(weight) for name, weight in weights.items()}
        self.square = {name: np.zeros_like(weight) for name, weight in weights.items()}

    def update(self, weights, gradients):
        """Move the weights, in place, by one step."""
        self.steps += 1
        for name, gradient in gradients.items():
            mean, square = self.mean[name], self.square[name]
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            # Both began at zero: dividing makes up for it in the first steps.
            direction = (mean / (1 - 0.9**self.steps)) / (
                np.sqrt(square / (1 - 0.999**self.steps)) + 1e-8
            )
            weights[name] -= self.learning_rate * direction
