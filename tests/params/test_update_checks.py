"""What fits in the place of an old value, the errors if it does not, and misspelled names."""

from __future__ import annotations

import copy
import enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir.params.nested import copy_sections, is_section, locate_or_create
from modeldir.params.update_checks import Fit, misfit, nearest

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

BASE: dict[str, Any] = {
    "learning_rate": 0.1,
    "batch_size": 32,
    "zero": 0,
    "one": 1,
    "clip": None,
    "augment": True,
    "model_version": "v1",
    "betas": [0.9, 0.999],
    "optimizer": {"name": "adam", "momentum": 0.9, "inner": {"eps": 1e-8}},
    "vocabulary": {0: "the"},
}
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
)
NAMES = st.sampled_from(["a", "b", "c", "a.b", "b.c.a", "", "x y"])
TREES = st.recursive(
    st.dictionaries(NAMES, SCALARS, max_size=3),
    lambda part: st.dictionaries(NAMES, part | SCALARS | st.lists(SCALARS, max_size=2), max_size=4),
    max_leaves=8,
)


class Optimizer(enum.Enum):
    ADAM = "adam"
    SGD = "sgd"


def tried(new: dict[str, Any], data: dict[str, Any] | None = None, *free: str) -> Fit:
    fit = Fit(BASE if data is None else data, "", free)
    fit.take(new)
    return fit


def merge(data: dict[str, Any], new: dict[str, Any]) -> None:
    """Set new values in place: what `update` should do if everything fits."""
    for name, value in new.items():
        holder, key = locate_or_create(data, name)
        if is_section(value) and is_section(holder.get(key)):
            merge(holder[key], value)
        else:
            holder[key] = copy_sections(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 1),
        ("learning_rate", 1e-3),
        ("learning_rate", None),
        ("batch_size", 64),
        ("batch_size", None),
        ("zero", 0.5),
        ("one", 2.5),
        ("one", 7),
        ("clip", 0.5),
        ("clip", "a"),
        ("clip", {"x": 1}),
        ("clip", [1]),
        ("augment", False),
        ("model_version", ""),
        ("betas", []),
        ("betas", ["a", {"b": 1}]),
        ("optimizer", None),
        ("optimizer", {"name": "sgd"}),
        ("optimizer", {}),
        ("optimizer.inner.eps", 1),
        ("vocabulary", 3),
        ("new", object()),
    ],
)
def test_what_fits_is_taken(name: str, value: Any) -> None:
    """Also into nested parts, and over null and what is not a hyperparameter at all."""
    fit = tried({name: value})
    expected = copy_sections(BASE)
    merge(expected, {name: value})
    assert fit.problems == []
    assert fit.data == expected


@pytest.mark.parametrize(
    ("name", "given_value", "kept"),
    [
        ("learning_rate", np.float32(0.5), 0.5),
        ("batch_size", np.int64(8), 8),
        ("augment", np.bool_(False), False),
        ("model_version", Path("data/x"), "data/x"),
        ("model_version", Optimizer.SGD, "sgd"),
        ("betas", (0.5, np.float64(0.9)), [0.5, 0.9]),
        ("learning_rate", np.array(0.25), 0.25),
    ],
    ids=repr,
)
def test_values_of_libraries_are_converted(name: str, given_value: Any, kept: Any) -> None:
    """To the plain type itself, before they are compared with what is there."""
    fit = tried({name: given_value})
    assert fit.problems == []
    assert (type(fit.data[name]), fit.data[name]) == (type(kept), kept)


def test_torch_scalars_are_converted() -> None:
    """As those of NumPy."""
    torch = pytest.importorskip("torch")
    assert tried({"learning_rate": torch.tensor(0.5)}).data["learning_rate"] == 0.5
    assert tried({"batch_size": torch.tensor(0.5)}).problems


def test_what_a_schema_has_made_stays_of_its_kind() -> None:
    """A path stays a path, an enum's member one of that enum, a tuple a tuple."""
    data = {"data": Path("a"), "optimizer": Optimizer.ADAM, "sizes": (1, 2)}
    fit = tried({"data": "b", "optimizer": "sgd", "sizes": [3]}, data)
    assert fit.data == {"data": Path("b"), "optimizer": Optimizer.SGD, "sizes": (3,)}
    assert type(fit.data["sizes"]) is tuple
    assert tried({"data": None}, data).data["data"] is None
    (problem,) = tried({"optimizer": "sdg"}, data).problems
    assert problem[0] == "'sdg' is not a valid Optimizer"


def test_everything_that_does_not_fit_is_told_at_once(snapshot: SnapshotAssertion) -> None:
    """The key, what is there, what was given, what to write; dotted where it is nested."""
    new = {
        "learning_rate": "0.1",
        "batch_size": 32.5,
        "zero": True,
        "one": "1",
        "augment": 1,
        "model_version": 2,
        "betas": 0.9,
        "optimizer": "sgd",
        "optimizer.momentum": [0.9],
        "optimizer.inner": {"eps": "tiny"},
        "learning_rate.x": 1,
        "betas.x.y": 1,
    }
    fit = tried(new)
    assert "\n".join(f"{problem}\n  {hint}" for problem, hint in fit.problems) == snapshot
    assert fit.key == "learning_rate"
    assert fit.data == BASE
    more = {
        "learning_rate": True,
        "batch_size": 32.0,
        "augment": "true",
        "model_version": None,
        "betas": {"x": 1},
        "optimizer": [1],
        "optimizer.inner.eps": {"x": 1},
        "zero": np.zeros(3),
        "one": {1, 2},
    }
    assert "\n".join(f"{problem}\n  {hint}" for problem, hint in tried(more).problems) == snapshot


def test_what_the_script_has_added_is_free() -> None:
    """A device is what it is now; a hyperparameter is what the file says."""
    assert tried({"learning_rate": "cpu"}, None, "learning_rate").problems == []
    assert tried({"optimizer.name": 3}, None, "optimizer.name").problems == []
    assert len(tried({"optimizer.name": 3}, None, "name").problems) == 1


@given(TREES, TREES)
def test_a_fit_is_a_merge_or_changes_nothing(data: dict[str, Any], new: dict[str, Any]) -> None:
    """The old values are never touched; without a problem the new ones are all there."""
    before, fit = copy.deepcopy(data), tried(new, data)
    assert data == before
    if not fit.problems:
        expected = copy_sections(data)
        merge(expected, new)
        assert repr(fit.data) == repr(expected)


@given(SCALARS | st.lists(SCALARS), SCALARS | st.lists(SCALARS))
def test_only_null_and_whole_numbers_cross_kinds(old: Any, new: Any) -> None:
    """A value fits in its own place, null in every place; else only an int in a float's or 0's."""
    assert misfit(old, old, "x") is None
    assert misfit(None, new, "x") is misfit(old, None, "x") is None
    if old is None or new is None:
        return
    numbers = {int, float}
    alike = type(old) is type(new) or (
        {type(old), type(new)} == numbers and (type(old) is float or old in {0, 1})
    )
    assert (misfit(old, new, "x") is None) == alike


# -- Names -----------------------------------------------------------------------------------------

SLIPS = """
learning_rte/learning_rate num_epoch/num_epochs learing_rate/learning_rate batchsize/batch_size
learningRate/learning_rate batch_sze/batch_size dropuot/dropout wieght_decay/weight_decay
num_layer/num_layers momentm/momentum hiden_units/hidden_units embeding_dim/embedding_dim
use_batchnorm/use_batch_norm optimzer/optimizer lr_schedular/lr_scheduler drop_out/dropout
save_summary_step/save_summary_steps num_worker/num_workers batchsiz/batch_size
"""
NAMES_OF_THEIR_OWN = """
lrr/lr beta1/beta2 beta_1/beta_2 train_size/eval_size train_size/test_size dev_size/eval_size
conv1/conv2 hidden_units_1/hidden_units_2 encoder_lr/decoder_lr kernel_size_x/kernel_size_y
learning_rate_min/learning_rate_max batch_size/patch_size height/weight text_path/test_path
model_dir/model_dim input_size/output_size lr/wd vocab_size/vocab_dim cuda/id_pad_word
num_heads/num_layers beta/beta1 mean/std fc1_units/fc2_units min_lr/max_lr gamma/gamma2
train_loss/train_acc dropout/dropout1 resnet18/resnet34 left/right mask/task q_dim/k_dim
epoch/epochs step/steps model/models label/labels device/devices dataset/datasets metric/metrics
sampler/sample sampler/samples sampler/sampled schedule/scheduler scheduler/scheduled word/words
tokenizer/tokenize encoder/encoders lr_schedule/lr_scheduler class_weight/class_weights
anchor_t/anchors hidden_dim/hidden_dims kernel_size/kernel_sizes loss_weight/loss_weights
out_dim/outdir train_dataset/train_datasets layer_size/layer_sizes test_path/test_paths
dropout/dropouts
"""
CONFIGS = {
    "CS230": """
        learning_rate batch_size num_epochs dropout_rate num_channels save_summary_steps
        num_workers cuda train_size eval_size dev_size test_size buffer_size embedding_dim
        lstm_num_units model_version use_batch_norm bn_momentum image_size use_random_flip
        num_labels margin num_parallel_calls triplet_strategy squared vocab_size number_of_tags
        pad_word pad_tag unk_word min_freq id_pad_word id_pad_tag word_vocab tag_vocab
        restore_from epoch step device train_steps eval_steps dict_words""",
    "Hugging Face": """
        do_train do_eval do_predict eval_strategy save_strategy logging_strategy eval_steps
        save_steps logging_steps per_device_train_batch_size per_device_eval_batch_size
        max_steps max_grad_norm per_gpu_train_batch_size gradient_accumulation_steps
        eval_accumulation_steps num_train_epochs learning_rate weight_decay adam_beta1
        adam_beta2 adam_epsilon warmup_ratio warmup_steps log_level lr_scheduler_type
        lr_scheduler_kwargs log_level_replica save_total_limit seed data_seed bf16 fp16
        bf16_full_eval fp16_full_eval fp16_backend fsdp fsdp_config optim optim_args
        torch_compile torch_compile_mode hub_model_id hub_strategy hidden_size hidden_act
        num_hidden_layers num_attention_heads num_key_value_heads hidden_dropout_prob n_layer
        n_head attention_probs_dropout_prob layer_norm_eps rms_norm_eps pad_token_id
        bos_token_id eos_token_id cls_token_id sep_token_id mask_token_id unk_token_id
        resid_pdrop embd_pdrop attn_pdrop encoder_layers decoder_layers encoder_ffn_dim
        decoder_ffn_dim d_model d_ff d_kv encoder_layerdrop decoder_layerdrop id2label label2id
        q_proj k_proj v_proj o_proj min_length max_length in_channels out_channels""",
    "timm": """
        train_split val_split train_num_samples val_num_samples img_size in_chans input_size
        mean std crop_pct batch_size validation_batch_size grad_accum_steps grad_checkpointing
        opt opt_eps opt_betas momentum clip_grad clip_mode layer_decay sched sched_on_updates lr
        lr_base lr_base_size lr_base_scale lr_noise lr_noise_pct lr_noise_std lr_cycle_mul
        lr_cycle_decay lr_cycle_limit lr_k_decay warmup_lr min_lr epochs epoch epoch_repeats
        start_epoch decay_epochs decay_milestones warmup_epochs cooldown_epochs patience_epochs
        decay_rate hflip vflip color_jitter color_jitter_prob grayscale_prob gaussian_blur_prob
        aug_repeats aug_splits jsd_loss bce_loss bce_sum reprob remode recount resplit mixup
        cutmix cutmix_minmax drop drop_connect drop_path drop_block bn_momentum bn_eps sync_bn
        dist_bn split_bn model_ema model_ema_decay seed workers save_images pin_mem""",
    "detectron2": """
        MAX_ITER STEPS GAMMA BASE_LR BIAS_LR_FACTOR WEIGHT_DECAY WEIGHT_DECAY_NORM
        WEIGHT_DECAY_BIAS WARMUP_ITERS WARMUP_FACTOR WARMUP_METHOD MIN_SIZE_TRAIN MAX_SIZE_TRAIN
        MIN_SIZE_TEST MAX_SIZE_TEST NMS_THRESH NMS_THRESH_TEST PRE_NMS_TOPK_TRAIN
        PRE_NMS_TOPK_TEST POST_NMS_TOPK_TRAIN POST_NMS_TOPK_TEST BBOX_REG_WEIGHTS
        BBOX_REG_LOSS_TYPE BBOX_REG_LOSS_WEIGHT IOU_THRESHOLDS IOU_LABELS FG_IOU_THRESHOLD
        BG_IOU_THRESHOLD ROI_HEADS ROI_BOX_HEAD ROI_MASK_HEAD NUM_CLASSES NUM_CONV NUM_FC
        CONV_DIM FC_DIM IN_FEATURES OUT_FEATURES PIXEL_MEAN PIXEL_STD MASK_ON KEYPOINT_ON""",
    "YOLO and GANs": """
        lr0 lrf warmup_epochs warmup_momentum warmup_bias_lr box cls cls_pw obj obj_pw iou_t
        anchor_t anchors fl_gamma hsv_h hsv_s hsv_v scale shear flipud fliplr copy_paste
        copy_paste_mode batch batch_size save save_txt save_conf save_crop show_labels show_conf
        show_boxes lr_g lr_d beta1 beta2 betas ngf ndf nz nc netG netD n_critic lambda_gp
        lambda_A lambda_B input_nc output_nc n_epochs n_epochs_decay gen_lr disc_lr g_steps
        d_steps loss_weight_G loss_weight_D actor_lr critic_lr env_id num_envs num_steps
        policy_lr q_lr v_min v_max""",
}


@pytest.mark.parametrize("pair", SLIPS.split())
def test_a_slip_of_the_finger_is_found(pair: str) -> None:
    """Whichever of the two stands in the file."""
    one, other = pair.split("/")
    assert nearest(one, ["seed", other]) == other
    assert nearest(other, ["seed", one]) == one


@pytest.mark.parametrize("pair", NAMES_OF_THEIR_OWN.split())
def test_a_name_of_its_own_is_let_be(pair: str) -> None:
    """A warning that is wrong teaches people to overlook warnings."""
    one, other = pair.split("/")
    assert nearest(one, ["seed", other]) is None
    assert nearest(other, ["seed", one]) is None


@pytest.mark.parametrize("project", CONFIGS)
def test_the_names_of_a_real_project_are_all_names_of_their_own(project: str) -> None:
    """None of them, set beside all others, is taken for a slip: thousands of pairs."""
    names = CONFIGS[project].split()
    taken = {name: nearest(name, [other for other in names if other != name]) for name in names}
    assert {name: near for name, near in taken.items() if near} == {}


def test_new_names_that_are_nearly_old_ones_are_noted_where_they_are() -> None:
    """The part with a slip in its name, and the name in the right part; only among neighbors."""
    new = {
        "optimzer.momentum": 1,
        "optimizer.inner": {"epsilon": 1},
        "optimizer": {"momentm": 2},
        "learning_rte": 3,
        "momentm": 4,
        "optimizer.nmae": 5,
    }
    assert tried(new).similar == [
        ("optimzer", "optimizer"),
        ("optimizer.momentm", "optimizer.momentum"),
        ("learning_rte", "learning_rate"),
        ("optimizer.nmae", "optimizer.name"),
    ]
