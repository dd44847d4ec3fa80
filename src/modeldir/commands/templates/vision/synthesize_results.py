"""All experiments under a folder as one table: python synthesize_results.py

Writes results.md and results.csv there, too. In a terminal, `modeldir results` does the same.
"""

import argparse

from modeldir import synthesize

parser = argparse.ArgumentParser(description="Show all experiments under a folder as one table.")
parser.add_argument(
    "--model_dir",
    "--parent_dir",
    default="experiments/learning_rate",
    help="folder whose experiments to show",
)

if __name__ == "__main__":
    args = parser.parse_args()
    print(synthesize(args.model_dir))
