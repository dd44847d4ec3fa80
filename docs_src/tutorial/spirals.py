"""Points on three spiral arms, and a small neural network that tells the arms apart."""

import numpy as np


def load_data():
    """Return the points and their arm (0, 1 or 2), for training, validation and test."""
    sizes = {"train": 60, "val": 100, "test": 1000}
    return {split: make_arms(size, seed) for seed, (split, size) in enumerate(sizes.items())}


def make_arms(size, seed):
    """Return `size` points on each arm, and the number of the arm for each point."""
    rng = np.random.default_rng(seed)
    arms = np.repeat([0, 1, 2], size)
    radius = rng.uniform(0.1, 1, len(arms))
    angle = arms * 2 * np.pi / 3 + 6 * radius + rng.normal(0, 0.6, len(arms))
    points = 4 * np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return points, arms


class Net:
    """A network with one hidden layer, trained by gradient descent with momentum."""

    def __init__(self, hidden_units, rng):
        self.weights = {
            "w1": rng.normal(0, 1, (2, hidden_units)),
            "b1": np.zeros(hidden_units),
            "w2": rng.normal(0, hidden_units**-0.5, (hidden_units, 3)),
            "b2": np.zeros(3),
        }
        self.velocity = {name: 0 * weight for name, weight in self.weights.items()}

    def forward(self, points):
        """Return the hidden layer and the probability of each arm."""
        w = self.weights
        hidden = np.maximum(0, points @ w["w1"] + w["b1"])
        scores = hidden @ w["w2"] + w["b2"]
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return hidden, scores / scores.sum(axis=1, keepdims=True)

    def train_step(self, points, arms, learning_rate, weight_decay):
        """Change the weights a little, and return the loss."""
        w = self.weights
        hidden, chance = self.forward(points)
        loss = cross_entropy(chance, arms)

        delta = chance.copy()
        delta[np.arange(len(arms)), arms] -= 1
        delta /= len(arms)
        below = delta @ w["w2"].T * (hidden > 0)
        gradients = {
            "w1": points.T @ below,
            "b1": below.sum(axis=0),
            "w2": hidden.T @ delta,
            "b2": delta.sum(axis=0),
        }
        for name, gradient in gradients.items():
            step = learning_rate * (gradient + weight_decay * w[name])
            self.velocity[name] = 0.9 * self.velocity[name] - step
            # Rounded, so that every computer gives the same numbers.
            w[name] = np.round(w[name] + self.velocity[name], 6)
        return loss

    def train_epoch(self, data, learning_rate, weight_decay, batch_size, rng):
        """Go once through the data in random order, and return the mean loss."""
        points, arms = data
        order = rng.permutation(len(arms))
        batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        steps = [(points[b], arms[b], learning_rate, weight_decay) for b in batches]
        return float(np.mean([self.train_step(*step) for step in steps]))

    def evaluate(self, data):
        """Return the loss and the accuracy on the data."""
        points, arms = data
        _, chance = self.forward(points)
        accuracy = float(np.mean(chance.argmax(axis=1) == arms))
        return {"accuracy": round(accuracy, 4), "loss": round(cross_entropy(chance, arms), 4)}


def cross_entropy(chance, arms):
    """Return the mean loss. It is infinite if the network is sure and wrong."""
    with np.errstate(divide="ignore"):
        return float(-np.log(chance[np.arange(len(arms)), arms]).mean())
