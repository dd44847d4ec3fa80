#!/bin/sh
# Made by hydra-core 1.3.8 on Python 3.11: sh make_hydra.sh PYTHON (one that has hydra-core)
set -e
here=$(cd "$(dirname "$0")" && pwd); python=${1:-python}; work=$(mktemp -d)
mkdir "$work/conf"
cat > "$work/conf/config.yaml" <<'YAML'
learning_rate: 1e-3
batch_size: 32
model:
  name: mlp
  layers: [8, 16]
dropout: ${model.layers.0}
YAML
cat > "$work/train.py" <<'PY'
import json, logging, os
import hydra
from hydra.core.hydra_config import HydraConfig

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    logging.getLogger("train").info("learning rate %s", cfg.learning_rate)
    if cfg.learning_rate > 0.05:
        raise ValueError("it diverged")
    folder = HydraConfig.get().runtime.output_dir
    with open(os.path.join(folder, "metrics.csv"), "w") as file:
        file.write("epoch,step,train_loss,val_acc\n")
        for epoch in range(3):
            file.write(f"{epoch},{epoch * 10 + 9},{1 / (epoch + 1)},\n")
            file.write(f"{epoch},{epoch * 10 + 9},,{0.5 + epoch / 10 - cfg.learning_rate}\n")
    with open(os.path.join(folder, "metrics_test.json"), "w") as file:
        json.dump({"acc": 0.5}, file)

main()
PY
cd "$work"
"$python" train.py -m hydra.sweep.dir=multirun "learning_rate=0.1,0.01" "model.name=mlp,'a b/c'" || true
rm -rf "$here/hydra"; cp -r multirun "$here/hydra"
grep -rl "$work" "$here/hydra" | xargs sed -i "s#$work#/home/user/project#g"
rm -rf "$work"
