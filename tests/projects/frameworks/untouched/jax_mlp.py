"""Handwritten digits with JAX alone, in the shape of its example `mnist_classifier_fromscratch`."""

import argparse
import time

import jax.numpy as jnp
import numpy.random as npr
from jax import grad, jit
from jax.nn import log_softmax
from sklearn.datasets import load_digits


def init_random_params(scale, layer_sizes, rng):
    return [
        (scale * rng.randn(m, n), scale * rng.randn(n))
        for m, n in zip(layer_sizes[:-1], layer_sizes[1:])
    ]


def predict(params, inputs):
    activations = inputs
    for w, b in params[:-1]:
        activations = jnp.tanh(jnp.dot(activations, w) + b)
    final_w, final_b = params[-1]
    return log_softmax(jnp.dot(activations, final_w) + final_b)


def loss(params, batch):
    inputs, targets = batch
    return -jnp.mean(jnp.sum(predict(params, inputs) * targets, axis=1))


@jit
def accuracy(params, batch):
    inputs, targets = batch
    return jnp.mean(jnp.argmax(predict(params, inputs), 1) == jnp.argmax(targets, 1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--step_size", type=float, default=0.1)
    parser.add_argument("--num_epochs", type=int, default=8)
    args = parser.parse_args()

    x, y = load_digits(return_X_y=True)
    x, y = jnp.array(x / 16), jnp.eye(10)[y]
    train, test, batch_size = (x[:1497], y[:1497]), (x[1497:], y[1497:]), 64
    rng = npr.RandomState(0)

    @jit
    def update(params, batch):
        grads = grad(loss)(params, batch)
        return [
            (w - args.step_size * dw, b - args.step_size * db)
            for (w, b), (dw, db) in zip(params, grads)
        ]

    params = init_random_params(0.1, [64, 64, 10], rng)
    for epoch in range(args.num_epochs):
        start_time = time.time()
        order = rng.permutation(len(train[0]))
        for i in range(len(order) // batch_size):
            chosen = order[i * batch_size : (i + 1) * batch_size]
            params = update(params, (train[0][chosen], train[1][chosen]))
        epoch_time = time.time() - start_time

        print(f"Epoch {epoch} in {epoch_time:0.2f} sec")
        print(f"Training set accuracy {accuracy(params, train)}")
        print(f"Test set accuracy {accuracy(params, test)}")
