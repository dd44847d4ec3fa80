from absl import app, flags
from ending import train
from ml_collections import ConfigDict, config_flags


def get_config():
    return ConfigDict(
        {"learning_rate": 0.1, "momentum": 0.9, "half_precision": False, "model": {"width": 16},
         "axes": (1, 2), "name": "resnet"}
    )


FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "Directory to store model data.")
config_flags.DEFINE_config_dict("config", get_config(), "Training configuration.")


def main(argv):
    train(FLAGS.config.to_dict(), FLAGS.workdir)


if __name__ == "__main__":
    flags.mark_flags_as_required(["workdir"])
    app.run(main)
