from dataclasses import dataclass, field
from typing import List, Optional

from ending import train
from transformers import HfArgumentParser


@dataclass
class ModelArguments:
    model_name_or_path: str = field(metadata={"help": "the model"})
    use_fast_tokenizer: bool = True
    layers: Optional[List[int]] = None


@dataclass
class TrainingArguments:
    output_dir: Optional[str] = None
    do_train: bool = False
    learning_rate: float = 5e-5
    per_device_train_batch_size: int = 8
    lr_scheduler_type: str = field(default="linear", metadata={"choices": ["linear", "cosine"]})
    logging_dir: Optional[str] = None


if __name__ == "__main__":
    model, training = HfArgumentParser((ModelArguments, TrainingArguments)).parse_args_into_dataclasses()
    train({**vars(model), **vars(training)}, training.output_dir or "out")
