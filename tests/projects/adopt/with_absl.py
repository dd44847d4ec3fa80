from absl import app, flags
from ending import train

FLAGS = flags.FLAGS
flags.DEFINE_float("learning_rate", 1e-3, "the learning rate", lower_bound=0)
flags.DEFINE_integer("batch_size", 128, "the batch size")
flags.DEFINE_bool("mixed_precision", False, "half the bits")
flags.DEFINE_boolean("augment", True, "flips")
flags.DEFINE_enum("optimizer", "adam", ["adam", "sgd"], "the optimizer")
flags.DEFINE_list("layers", ["64", "32"], "widths")
flags.DEFINE_multi_integer("seeds", [1], "several")
flags.DEFINE_string("data", None, "where the data is", required=True)
flags.DEFINE_string("workdir", "/tmp/model", "where to write")


def main(argv):
    assert len(argv) == 1, argv
    names = ["learning_rate", "batch_size", "mixed_precision", "augment", "optimizer", "layers", "data"]
    train({name: FLAGS[name].value for name in names}, FLAGS.workdir)


if __name__ == "__main__":
    app.run(main)
