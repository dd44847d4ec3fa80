"""What a process read and made of its params files reaches the run, in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from modeldir._system import files, reading

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "base_model"
    folder.mkdir()
    files.write_json(folder / "params.json", {"lr": 0.1, "seed": 1, "model": {"depth": 2}})
    return folder


def reported(folder: Path, script: str, **variables: str) -> list[list[str]]:
    """The names of each line that a script with these variables left in the folder."""
    started(folder, script, **variables)
    return names_told(folder)


def started(folder: Path, script: str, **variables: str) -> str:
    """What a script printed that ran to its end under a supervisor's variables."""
    variables = {"MODELDIR_RUN": f"token:{folder}", **variables}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, **variables},
        check=True,
        timeout=60,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def preview(folder: Path, event: str) -> list[dict[str, Any]]:
    lines = reading.read_lines(folder / "events.jsonl")
    return [line for line in lines if line["event"] == event]


def names_told(folder: Path) -> list[list[str]]:
    return [line["names"] for line in preview(folder, "params_read")]


def remarked(folder: Path, script: str) -> list[str]:
    """The remarks of a plain script, which it asks for at its end."""
    end = (
        "\nimport modeldir.params.usage\nprint(*modeldir.params.usage.remarks(), sep='\\n', end='')"
    )
    script = "from modeldir import Params\nparams = Params('params.json')\n" + script + end
    return started(folder, script, MODELDIR_RUN="").splitlines()


def test_the_names_are_told_at_the_end(run: Path) -> None:
    """The line holds what was read and nothing else, for the attempt that read it."""
    script = """
from modeldir import Params
params = Params("params.json")
params.lr, params.model.depth
"""
    assert reported(run, script, MODELDIR_ATTEMPT="3") == [["lr", "model", "model.depth"]]
    (line,) = preview(run, "params_read")
    assert (line["attempt"], line["event"]) == (3, "params_read")
    assert line["time"].endswith("+00:00")


def test_a_script_that_reads_nothing_says_so(run: Path) -> None:
    """An empty list is news: the script has opened the file and used none of it."""
    assert reported(run, "import modeldir; modeldir.Params('params.json')") == [[]]


def test_a_script_that_fails_still_tells(run: Path) -> None:
    """A training that fails has read its hyperparameters all the same."""
    with pytest.raises(subprocess.CalledProcessError):
        reported(run, "import modeldir; modeldir.Params('params.json').lr / 0")
    assert names_told(run) == [["lr"]]


def test_all_readers_of_a_file_are_told_together(run: Path) -> None:
    """Who asks early hears of what another `Params` of the same file has read."""
    script = """
from modeldir import Params
from modeldir.params import report_reads
mine, theirs = Params("params.json"), Params("params.json")
mine.lr
report_reads(theirs)
report_reads(theirs)
mine.seed
"""
    assert reported(run, script) == [["lr"], ["lr", "seed"]]


def test_a_file_elsewhere_is_nobodys_business(run: Path, tmp_path: Path) -> None:
    """Only the run's own folder gets a line, and only for its own files."""
    other = tmp_path / "params.json"
    files.write_json(other, {"lr": 1})
    assert reported(run, f"import modeldir; modeldir.Params({str(other)!r}).lr") == []
    assert not (tmp_path / "events.jsonl").exists()


def test_without_a_run_nothing_is_written(run: Path) -> None:
    """A plain `python train.py` leaves no trace of this."""
    script = "import modeldir; modeldir.Params('params.json').lr"
    assert reported(run, script, MODELDIR_RUN="") == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_tell_again(run: Path) -> None:
    """The child has the parent's exit function; what the parent read would be there twice."""
    script = """
import os, sys
from modeldir import Params
params = Params("params.json")
params.lr
child = os.fork()
if child == 0:
    params.lr
    sys.exit()
os.waitpid(child, 0)
"""
    assert reported(run, script) == [["lr"]]


def test_an_events_file_that_cannot_be_opened_ends_nothing(run: Path) -> None:
    """The training's own exit code stays 0, whatever lies in the file's place."""
    (run / "events.jsonl").mkdir()
    assert reported(run, "import modeldir; modeldir.Params('params.json').lr") == []


def test_names_read_in_a_forked_child_are_told_at_once(tmp_path: Path) -> None:
    """A DataLoader's worker reads a name that its parent never does, and leaves by os._exit."""
    (tmp_path / "params.json").write_text('{"augmentation": 0.5, "learning_rate": 0.1}')
    source = (
        "import os\nfrom modeldir import Params\n"
        "params = Params('params.json')\nparams.learning_rate\n"
        "pid = os.fork()\n"
        "if pid == 0: params.augmentation; os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
    )
    environment = {**os.environ, "MODELDIR_RUN": f"t:{tmp_path}", "MODELDIR_ATTEMPT": "1"}
    command = [sys.executable, "-c", source]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert names_told(tmp_path) == [["augmentation"], ["learning_rate"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_all_that_a_forked_child_reads_is_told(run: Path) -> None:
    """By `params.dict` too, which notes many names at once."""
    script = """
import os
from modeldir import Params
params = Params("params.json")
if os.fork() == 0:
    params.dict
    os._exit(0)
os.wait()
"""
    assert reported(run, script) == [["lr", "model", "model.depth", "seed"], []]


# -- What became of the values ---------------------------------------------------------------------


def test_the_account_is_told_at_the_end(run: Path) -> None:
    """What was never read, what was changed and from what, and the values that were really used."""
    script = """
from modeldir import Params
params = Params("params.json")
params.lr = 0.5
params.model.depth
params.train_size = 100
params.device = object()
params.get("sed")
"""
    started(run, script, MODELDIR_ATTEMPT="3")
    (line,) = preview(run, "params")
    del line["time"]
    assert line == {
        "attempt": 3,
        "token": "token",
        "event": "params",
        "never_read": ["seed"],
        "did_you_mean": {"seed": "sed"},
        "changed": {"lr": {"file": 0.1, "now": 0.5, "given": 0.5}},
        "values": {"lr": 0.5, "seed": 1, "model": {"depth": 2}, "train_size": 100},
        "left_out": ["device"],
    }


def test_a_script_that_fails_tells_its_account_too(run: Path) -> None:
    """What it used up to then is what it used."""
    with pytest.raises(subprocess.CalledProcessError):
        started(run, "import modeldir; modeldir.Params('params.json').lr / 0")
    (line,) = preview(run, "params")
    assert line["never_read"] == ["seed", "model"]


def test_values_are_told_before_the_end_too(run: Path) -> None:
    """A training that is killed has told what it used; what it never read nobody can say then."""
    script = """
import os
from modeldir import Params
from modeldir.params import report_reads
params = Params("params.json")
params.lr = 0.5
params.seed
report_reads(params)
os._exit(1)
"""
    with pytest.raises(subprocess.CalledProcessError):
        started(run, script)
    (line,) = preview(run, "params")
    assert line["values"]["lr"] == 0.5
    assert "never_read" not in line


def test_a_params_that_is_gone_at_the_end_is_remembered(run: Path) -> None:
    """Scripts open it in their `main`, and leave that before they end."""
    script = """
from modeldir import Params
def main():
    params = Params("params.json")
    params.lr = params.lr * 2
    params.holder = [params]  # in a circle: only the garbage collector ends it
main()
Params("params.json").seed
"""
    started(run, script)
    (line,) = preview(run, "params")
    assert line["changed"] == {"lr": {"file": 0.1, "now": 0.2}}
    assert line["values"]["lr"] == 0.2
    assert line["never_read"] == ["model"]


def test_a_params_that_ends_whenever_the_collector_comes_is_remembered(run: Path) -> None:
    """It comes in the middle of anything: of an import too, at whose end nothing would be known."""
    script = """
import gc, sys
from modeldir import Params
def main():
    params = Params("params.json")
    params.lr = params.lr * 2
    params.holder = [params]
gc.disable()
main()
def collect(frame, *_):
    if not frame.f_code.co_filename.endswith("accounts.py"):
        return None
    gc.collect()
    return collect if frame.f_code.co_name == "<module>" else None
sys.settrace(collect)
Params("params.json").seed
"""
    started(run, script)
    (line,) = preview(run, "params")
    assert line["changed"] == {"lr": {"file": 0.1, "now": 0.2}}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_of_multiprocessing_tells_no_account(run: Path, method: str) -> None:
    """Its parent speaks for the training; what it reads of a file that it opens is told, though."""
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("needs fork")
    (run / "train.py").write_text(f"""
import multiprocessing
from modeldir import Params
params = Params("params.json")
def work():
    Params("params.json").seed
if __name__ == "__main__":
    params.lr = 0.5
    child = multiprocessing.get_context("{method}").Process(target=work)
    child.start()
    child.join()
""")
    started(run, "import os, sys; os.execl(sys.executable, sys.executable, 'train.py')")
    accounts = preview(run, "params")
    assert [line["changed"] for line in accounts] == [
        {"lr": {"file": 0.1, "now": 0.5, "given": 0.5}}
    ]
    assert ["seed"] in names_told(run)


def test_other_ranks_tell_no_account(run: Path) -> None:
    """Rank 0 speaks for the training."""
    script = "import modeldir; modeldir.Params('params.json').lr"
    assert reported(run, script, RANK="1", WORLD_SIZE="2") == [["lr"]]
    assert preview(run, "params") == []


def test_a_pickle_tells_nothing_of_itself(run: Path) -> None:
    """It was read as a whole when it was pickled; what its copy changes, the run's does not."""
    script = """
import copy, pickle
from modeldir import Params
params = Params("params.json")
for other in pickle.loads(pickle.dumps(params)), copy.copy(params), copy.deepcopy(params):
    other.lr = 7
    del other
"""
    started(run, script)
    (line,) = preview(run, "params")
    assert (line["never_read"], line["changed"]) == ([], {})


def test_a_value_that_raises_what_it_likes_ends_nothing(run: Path) -> None:
    """The account is lost, the training is not."""
    script = """
from modeldir import Params
class Hostile:
    shape = ()
    def item(self):
        raise SystemError("a lost device")
params = Params("params.json")
params.lr = Hostile()
print("done")
"""
    assert started(run, script) == "done\n"
    assert names_told(run) == [[]]


# -- Remarks ---------------------------------------------------------------------------------------


def test_remarks_say_what_was_not_read_and_what_was_changed(
    run: Path, snapshot: SnapshotAssertion
) -> None:
    """A line each, with the file as the user named it."""
    files.write_json(run / "params.json", {
        "learing_rate": 0.1, "batch_size": 32, "seed": 1, "unused": 1, "gone": [1],
        "model": {"depth": 2, "width": 8}, "other": {"name": "x"},
    })  # fmt: skip
    script = """
getattr(params, "learning_rate", 0.1)
params.batch_size = 64
params.model.depth
params.seed = object()
del params.gone
"""
    assert "\n".join(remarked(run, script)) == snapshot


@pytest.mark.parametrize(
    "script",
    [
        "",
        "'lr' in params, len(params), repr(params)",
        "params.dict",
        "dict(**params)",
        "params.lr; params.seed; params.model.dict",
        "params.lr = 0.1; params.seed = 1; params.model = {'depth': 2}; params.x = 1; params.x",
        "params.save('copy.json')",
        "params.lr; params.seed; params['model.depth']",
        "import pickle; pickle.dumps(params)",
        "params.lr; params.seed; params.model.depth = 2; params.vocabulary = {'a': 1}",
    ],
)
def test_where_there_is_nothing_to_say_nothing_is_said(run: Path, script: str) -> None:
    """All was read or assigned, or the file was only looked at."""
    assert remarked(run, script) == []


def test_what_is_changed_through_the_plain_dict_is_seen(run: Path) -> None:
    """Also in a list that the file shares with nobody."""
    files.write_json(run / "params.json", {"lr": 0.1, "layers": [1, 2]})
    assert remarked(run, "params.layers.append(3); params.dict['lr'] = 0.2") == [
        "params.json: lr was changed from 0.1 to 0.2",
        "params.json: layers was changed from [1, 2] to [1, 2, 3]",
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_a_forked_child_read_was_read(run: Path) -> None:
    """Without a run there is no file to tell it in: parent and child share a page of memory."""
    script = """
import os
params.seed
if os.fork() == 0:
    Params("params.json").model.depth
    if os.fork() == 0:
        params.dict
    else:
        os.wait()
    os._exit(0)
os.wait()
"""
    assert remarked(run, script) == []
    assert remarked(run, script.replace("params.dict", "params.sed")) == [
        "params.json: lr was never read"
    ]


def test_a_forked_child_makes_no_remarks_of_its_parent(run: Path) -> None:
    """It has its parent's memory, and perhaps a log that it ends."""
    script = """
import os, modeldir.params.usage
params.lr = 0.2
if os.fork() == 0:
    os.write(1, repr(modeldir.params.usage.remarks()).encode())
    os._exit(0)
os.wait()
Params("params.json").dict
"""
    assert remarked(run, script) == ["[]params.json: lr was changed from 0.1 to 0.2"]


def test_who_looks_at_many_experiments_hears_nothing(run: Path) -> None:
    """An analysis reads one value of each: that is no training that forgot the others."""
    script = """
import os
for number in range(40):
    os.link("params.json", f"params{number}.json")
    Params(f"params{number}.json").lr
"""
    assert remarked(run, script) == []
    script += "import modeldir.params.usage as r; from pathlib import Path\n"
    script += "r.begin(Path('more.json').absolute())\nos.link('params.json', 'more.json')\n"
    assert remarked(
        run, script.replace("params{number}", "p{number}") + "Params('more.json').lr"
    ) == ["more.json: seed and model were never read"]


ASKED = "params.json: learing_rate was never read; did you mean learning_rate?"
UNREAD = "params.json: seed and model were never read"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("train.py", [ASKED, UNREAD]),
        ("main.py", [ASKED, UNREAD]),
        ("evaluate.py", [ASKED]),
        ("eval_model.py", [ASKED]),
        ("predict.py", [ASKED]),
    ],
)
def test_who_evaluates_reads_what_it_needs(run: Path, name: str, said: list[str]) -> None:
    """Seven names that evaluate.py has no use for are no news; a name it asked for in vain is."""
    files.write_json(run / "params.json", {"learing_rate": 0.1, "bs": 1, "seed": 1, "model": {}})
    script = """
from modeldir import Params; from modeldir.params import usage as reads
params = Params("params.json")
getattr(params, "learning_rate", 0.1), params.bs
print(*reads.remarks(), sep="\\n", end="")
"""
    (run / name).write_text(script)
    done = subprocess.run(
        [sys.executable, name], cwd=run, check=True, timeout=60, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout.splitlines() == said


READ_ALL = {
    "vars": "vars(params)",
    "attrgetter": "import operator; operator.attrgetter('lr', 'seed', 'model.depth')(params)",
    "json.dump": "import json; json.dumps(params.dict)",
    "dataclass": "import dataclasses as d; d.make_dataclass('H', [*params.dict])(**params.dict)",
    "Namespace": "import argparse; argparse.Namespace(**vars(params))",
    "getattr of each": "[getattr(params, name) for name in params]; params.model.dict",
    "format_map": "'{lr} {seed}'.format_map(params), '{p.model.depth}'.format(p=params)",
    "match": "match params:\n case {'lr': _, 'seed': _, 'model': part}: part.depth",
    "a copy": "import copy; p = copy.deepcopy(params); p.lr, p.seed, p.model.depth",
    "another Params": "Params(params).lr",
    "a thread": "import threading; threading.Thread(target=lambda: params.dict).start()",
    "update of another": "Params({}).update(params)",
    "items": "[(name, value.dict) if name == 'model' else value for name, value in params.items()]",
}


@pytest.mark.parametrize("way", READ_ALL)
def test_however_it_is_read_it_was_read(run: Path, way: str) -> None:
    """A remark that is wrong teaches people to overlook remarks."""
    assert remarked(run, READ_ALL[way]) == []


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_what_a_worker_of_multiprocessing_read_was_read(run: Path, method: str) -> None:
    """As a DataLoader's workers get their dataset, with the hyperparameters in it."""
    (run / "train.py").write_text(f"""
import multiprocessing
from modeldir import Params; from modeldir.params import usage as reads

class Dataset:
    def __init__(self, params):
        self.params = params
    def read(self):
        assert (self.params.seed, self.params.model.depth) == (1, 2)

if __name__ == "__main__":
    params = Params("params.json")
    params.lr
    worker = multiprocessing.get_context({method!r}).Process(target=Dataset(params).read)
    worker.start()
    worker.join()
    print(worker.exitcode, reads.remarks())
""")
    done = subprocess.run(
        [sys.executable, "train.py"],
        cwd=run,
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("0 []\n", "")


def test_each_remark_is_made_once(run: Path) -> None:
    """A script may end one log and begin another."""
    first = (
        "from modeldir.params import usage\nparams.lr = 1\nprint(usage.remarks())\nparams.seed = 3"
    )
    assert remarked(run, first) == [
        "['params.json: lr was changed from 0.1 to 1']",
        "params.json: seed was changed from 1 to 3",
    ]
