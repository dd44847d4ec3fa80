"""The model, its loss and its metrics."""

import math
import random


class Net():
    """Logistic regression; with more than two channels also on products of the coordinates."""

    def __init__(self, params):
        self.with_products = params.num_channels > 2
        self.weights = [random.gauss(0, 0.1) for _ in range(6 if self.with_products else 3)]

    def features(self, point):
        x, y = point
        return [1.0, x, y, x * x, x * y, y * y] if self.with_products else [1.0, x, y]

    def forward(self, point):
        score = sum(w * f for w, f in zip(self.weights, self.features(point)))
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))

    def step(self, batch, learning_rate):
        """One step of gradient descent; the loss before it."""
        gradient = [0.0] * len(self.weights)
        loss = 0.0
        for point, label in batch:
            output = self.forward(point)
            loss += loss_fn(output, label)
            for i, feature in enumerate(self.features(point)):
                gradient[i] += (output - label) * feature
        self.weights = [w - learning_rate * g / len(batch) for w, g in zip(self.weights, gradient)]
        return loss / len(batch)

    def state_dict(self):
        return {'weights': list(self.weights)}

    def load_state_dict(self, state):
        self.weights = list(state['weights'])


def loss_fn(output, label):
    return -math.log(max(1e-12, output if label == 1 else 1 - output))


def accuracy(outputs, labels):
    return sum((o > 0.5) == (y == 1) for o, y in zip(outputs, labels)) / float(len(labels))


metrics = {'accuracy': accuracy}
