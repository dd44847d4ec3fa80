import hydra
from ending import train
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    train(OmegaConf.to_container(cfg), HydraConfig.get().runtime.output_dir)


if __name__ == "__main__":
    main()
