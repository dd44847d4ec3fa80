"""Which GPUs there are, by the variables and by an `nvidia-smi` of our own making."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from modeldir.errors import SearchError
from modeldir.worker import visible_gpus

A = "GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f"
B = "GPU-18af1fb4-2c1b-0e7a-77fd-0ae5ce7a1d4e"
PART, OTHER_PART = (
    "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f",
    "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb",
)

TWO_ALIKE = f"""\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {B})
"""
TWO_UNLIKE = TWO_ALIKE.replace("1: NVIDIA A100-SXM4-40GB", "1: NVIDIA T400 (2GB)")
DIVIDED = f"""\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})
  MIG 3g.20gb     Device  0: (UUID: {PART})
  MIG 3g.20gb     Device  1: (UUID: {OTHER_PART})
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {B})
"""


class Machine:
    """An `nvidia-smi` that says what it is told to, first on PATH."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = {"PATH": f"{path}{os.pathsep}/usr/bin{os.pathsep}/bin"}

    def lists(self, text: str, code: int = 0) -> None:
        (self.path / "list").write_text(text)
        program = self.path / "nvidia-smi"
        program.write_text(
            f'#!/bin/sh\n[ "$1" = -L ] || exit 9\ncat "{self.path}/list"\nexit {code}\n'
        )
        program.chmod(0o755)

    def visible(self, **variables: str) -> visible_gpus.Gpus:
        return visible_gpus.visible({**self.environment, **variables})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def both(found: visible_gpus.Gpus) -> list[tuple[str, str]]:
    return [(gpu.name, gpu.identity) for gpu in found.gpus]


# -- Without a word from the user ------------------------------------------------------------------


def test_all_that_are_listed_may_be_used(machine: Machine) -> None:
    machine.lists(TWO_ALIKE)
    assert both(machine.visible()) == [("0", A), ("1", B)]


def test_cuda_is_told_to_number_as_we_did(machine: Machine) -> None:
    """Else it would number by speed, and 1 could be the wrong one."""
    machine.lists(TWO_UNLIKE)
    assert machine.visible().variables([B]) == {
        "CUDA_VISIBLE_DEVICES": "1",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }


def test_who_wants_another_order_gets_identifiers(machine: Machine) -> None:
    machine.lists(TWO_UNLIKE)
    found = machine.visible(CUDA_DEVICE_ORDER="FASTEST_FIRST")
    assert found.variables([B]) == {"CUDA_VISIBLE_DEVICES": B}


def test_a_divided_gpu_is_its_parts(machine: Machine) -> None:
    machine.lists(DIVIDED)
    assert both(machine.visible()) == [(PART, PART), (OTHER_PART, OTHER_PART), ("1", B)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", 9),
        ("No devices found.\n", 0),
        ("", 0),
        ("\x00\xff not what we know", 0),
        (TWO_ALIKE, 255),
    ],
)
def test_an_nvidia_smi_that_lists_none_is_heard(machine: Machine, text: str, code: int) -> None:
    machine.lists(text, code)
    found = machine.visible()
    assert found.gpus == ()
    assert found.trouble is not None
    assert found.trouble.startswith("nvidia-smi -L says: ")


def test_no_nvidia_smi_is_no_gpu(machine: Machine) -> None:
    found = visible_gpus.visible({"PATH": str(machine.path)})
    assert (found.gpus, found.trouble) == (
        (),
        "there is no nvidia-smi, and CUDA_VISIBLE_DEVICES is not set",
    )


def test_an_nvidia_smi_that_cannot_be_executed_is_heard(machine: Machine) -> None:
    machine.lists(TWO_ALIKE)
    (machine.path / "nvidia-smi").write_text("#!/no/such/interpreter\n")
    found = machine.visible()
    assert found.gpus == ()
    assert str(found.trouble).startswith("nvidia-smi -L: ")


def test_an_nvidia_smi_that_hangs_is_given_up(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver in trouble does that."""
    machine.lists("")
    (machine.path / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(visible_gpus, "_PATIENCE", 0.1)
    assert "timed out" in str(machine.visible().trouble)


@pytest.mark.parametrize("times", [1, 2])
def test_an_nvidia_smi_that_was_killed_is_asked_again(machine: Machine, times: int) -> None:
    """What it did not come to say is not that there are none: trials would use what others have."""
    machine.lists(TWO_ALIKE)
    program = machine.path / "nvidia-smi"
    dies = (
        f'echo >> "{machine.path}/n"; [ $(wc -l < "{machine.path}/n") -gt {times} ] || kill -9 $$'
    )
    program.write_text(program.read_text().replace("\n", f"\n{dies}\n", 1))
    if times == 1:
        assert both(machine.visible()) == [("0", A), ("1", B)]
    else:
        with pytest.raises(SearchError, match="which GPUs there are is not known"):
            machine.visible()


# -- CUDA_VISIBLE_DEVICES --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("0,1", ["0", "1"]),
        ("1", ["1"]),
        (" 1 , 0 ", ["1", "0"]),
        ("00", ["00"]),
        ("0,-1,1", ["0"]),
        ("0,7,1", ["0"]),
        ("1,1", ["1"]),
        (A, [A]),
        (A[:8], [A[:8]]),
        ("GPU-", []),  # of two
        ("GPU-nobody", []),
        ("", []),
        (" ", []),
        ("-1", []),
        ("NoDevFiles", []),
        (f"0,{A},1", ["0", "1"]),  # the same one twice
    ],
)
def test_the_variable_is_read_as_cuda_reads_it(
    machine: Machine, value: str, names: list[str]
) -> None:
    machine.lists(TWO_ALIKE)
    assert [gpu.name for gpu in machine.visible(CUDA_VISIBLE_DEVICES=value).gpus] == names


def test_a_number_and_an_identifier_of_one_gpu_are_one_identity(machine: Machine) -> None:
    """Else two searches that say it differently would share it unawares."""
    machine.lists(TWO_ALIKE)
    found = [machine.visible(CUDA_VISIBLE_DEVICES=v).gpus[0].identity for v in ("1", B, B[:9])]
    assert found == [B, B, B]
    assert machine.visible().gpus[1].identity == B


def test_the_users_own_words_are_passed_on(machine: Machine) -> None:
    machine.lists(TWO_ALIKE)
    found = machine.visible(CUDA_VISIBLE_DEVICES=f"1,{A[:10]}")
    assert found.variables([A]) == {"CUDA_VISIBLE_DEVICES": A[:10]}
    assert found.variables([A, B]) == {"CUDA_VISIBLE_DEVICES": f"1,{A[:10]}"}
    assert found.variables([]) == {"CUDA_VISIBLE_DEVICES": ""}


def test_without_an_nvidia_smi_the_variable_is_believed(machine: Machine) -> None:
    old = f"MIG-{A}/1/0"
    found = visible_gpus.visible(
        {"PATH": str(machine.path), "CUDA_VISIBLE_DEVICES": f"3,{A},{old}"}
    )
    assert both(found) == [("3", "gpu-3"), (A, A), (old, f"MIG-{A}_1_0")]


def test_a_number_of_a_divided_gpu_is_its_first_part(machine: Machine) -> None:
    machine.lists(DIVIDED)
    assert both(machine.visible(CUDA_VISIBLE_DEVICES=f"0,{OTHER_PART}")) == [
        ("0", PART),
        (OTHER_PART, OTHER_PART),
    ]


def test_numbers_of_gpus_that_differ_must_be_sure(
    machine: Machine, snapshot: SnapshotAssertion
) -> None:
    machine.lists(TWO_UNLIKE)
    with pytest.raises(SearchError) as caught:
        machine.visible(CUDA_VISIBLE_DEVICES="1")
    assert str(caught.value) == snapshot
    found = machine.visible(CUDA_VISIBLE_DEVICES="1", CUDA_DEVICE_ORDER="PCI_BUS_ID")
    assert found.variables([B]) == {"CUDA_VISIBLE_DEVICES": "1"}
    assert both(machine.visible(CUDA_VISIBLE_DEVICES=B)) == [(B, B)]


# -- AMD -------------------------------------------------------------------------------------------


def test_amds_variables_are_read_alike(machine: Machine) -> None:
    found = machine.visible(ROCR_VISIBLE_DEVICES="2,GPU-deadbeef")
    assert both(found) == [("2", "amd-2"), ("GPU-deadbeef", "amd-GPU-deadbeef")]
    assert found.variables(["amd-2"]) == {"ROCR_VISIBLE_DEVICES": "2"}


def test_hips_numbers_count_within_what_rocr_leaves(machine: Machine) -> None:
    found = machine.visible(ROCR_VISIBLE_DEVICES="4,6", HIP_VISIBLE_DEVICES="1,0,2")
    assert both(found) == [("1", "amd-6"), ("0", "amd-4")]
    assert found.variables(["amd-6"]) == {"HIP_VISIBLE_DEVICES": "1"}


def test_cudas_variable_says_the_same_where_it_did(machine: Machine) -> None:
    """PyTorch for AMD reads it too, and complains when the two differ."""
    found = machine.visible(HIP_VISIBLE_DEVICES="0,1", CUDA_VISIBLE_DEVICES="0,1")
    assert found.variables(["amd-1"]) == {"HIP_VISIBLE_DEVICES": "1", "CUDA_VISIBLE_DEVICES": "1"}


def test_a_scheduler_that_sets_all_variables_has_them_all_cut(machine: Machine) -> None:
    """Slurm, where it does not know the maker."""
    machine.lists(TWO_ALIKE)
    found = machine.visible(ROCR_VISIBLE_DEVICES="0,1", CUDA_VISIBLE_DEVICES="0,1")
    assert found.variables([B]) == {"CUDA_VISIBLE_DEVICES": "1", "ROCR_VISIBLE_DEVICES": "1"}
