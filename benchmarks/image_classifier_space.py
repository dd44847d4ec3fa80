"""Eight hyperparameters of an image classifier: what the benchmarks of samplers search."""

BASE = {
    "learning_rate": 0.1, "weight_decay": 0.1, "dropout": 0.1, "num_layers": 2, "width": 64,
    "batch_size": 32, "optimizer": "sgd", "activation": "relu",
}  # fmt: skip
DOMAINS = {
    "learning_rate": {"log_uniform": [1e-5, 1e-1]},
    "weight_decay": {"log_uniform": [1e-6, 1e-2]},
    "dropout": {"uniform": [0, 0.5]},
    "num_layers": {"int": [1, 8]},
    "width": {"log_int": [16, 1024]},
    "batch_size": {"int": [8, 256]},
    "optimizer": ["sgd", "adam", "rmsprop"],
    "activation": ["relu", "gelu"],
}
NUMBERS = {name: domain for name, domain in DOMAINS.items() if isinstance(domain, dict)}
