"""Handwritten digits with Keras, in the shape of its own examples."""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--dropout", type=float, default=0.2)
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument("--out", default=".")
args = parser.parse_args()

keras.utils.set_random_seed(1)
x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x / 16, y, test_size=300, random_state=1)

model = keras.Sequential(
    [
        keras.Input(shape=(64,)),
        layers.Dense(32, activation="relu"),
        layers.Dropout(args.dropout),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    loss="sparse_categorical_crossentropy",
    optimizer=keras.optimizers.SGD(args.lr),
    metrics=["accuracy"],
)
model.fit(
    x_train,
    y_train,
    batch_size=64,
    epochs=args.epochs,
    validation_data=(x_val, y_val),
    verbose=2,
    callbacks=[
        keras.callbacks.CSVLogger(os.path.join(args.out, "history.csv"), append=True),
    ],
)
model.save(os.path.join(args.out, "model.keras"))
