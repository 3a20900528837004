"""Two processes on the CPU train as one does, and lose nothing when one of them dies."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from programs import metrics, run_train, tiny_run, write_tiny_data
from test_recipes import commands

from pix2pixhd.engine.run_folder import locked
from pix2pixhd.engine.world import World

ROOT = Path(__file__).resolve().parents[1]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
TWO = ("--gpu_ids=-1,-1",)
BATCHES_OF_TWO = ("--batchSize", "2", "--print_freq", "2", "--no_html", "--ema_half_life", "1")
FEATURES = ("--instance_feat", "--nef", "2", "--n_downsample_E", "1")
LOCAL = ("--netG", "local", "--n_blocks_local", "1", "--niter_fix_global", "1")
CASES: dict[str, tuple[str, ...]] = {
    "global": ("--niter", "1", "--niter_decay", "0", "--max_dataset_size", "6"),
    # The last of these steps trains what was frozen in those before.
    "local": (
        *(*LOCAL, *FEATURES, "--niter", "2", "--niter_decay", "0", "--norm", "batch"),
        *("--spectral_norm", "GD"),
    ),
    "pix2pix": (
        *("--netG", "unet_128", "--ngf", "1", "--norm", "batch", "--netD", "basic"),
        *("--label_color", "--update_order", "D_first", "--no_ganFeat_loss", "--lambda_L1", "10"),
        *("--niter", "1", "--niter_decay", "0"),
    ),
    "crn": (
        *("--netG", "crn", "--crn_height", "16", "--no_gan_loss", "--lambda_L1", "1"),
        *("--niter", "1", "--niter_decay", "0", "--lr", "5e-6"),
    ),
    "spade": (
        *("--netG", "spade", "--norm_D", "spectralinstance", "--update_order", "G_first"),
        *("--niter", "1", "--niter_decay", "0", "--lr", "5e-5", "--beta1", "0"),
    ),
}
# Orders of updates, shared statistics and training without D have tests of their own.
SLOW = {"global", "pix2pix", "crn", "spade"}


def python(*words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def losses(run_dir: Path) -> list[dict[str, float]]:
    return [
        {name: value for name, value in line.items() if name != "time"} for line in metrics(run_dir)
    ]


def expect_equal_runs(one: Path, other: Path, rel: float) -> None:
    """Losses and weights; biases before a normalisation are noise, as nothing comes of them."""
    for found, expected in zip(losses(one), losses(other), strict=True):
        assert found == pytest.approx(expected, rel=rel)
    for file in sorted(other.glob("latest_net_*.pth")):
        found, expected = (torch.load(d / file.name, weights_only=True) for d in (one, other))
        for name in expected:
            if name.endswith("weight"):
                torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * (case in SLOW)) for case in CASES]
)
def test_two_processes_of_one_image_are_one_of_two(case: str, tmp_path: Path) -> None:
    write_tiny_data(tmp_path, count={"global": 8, "local": 4}.get(case, 6))
    flags = (*BATCHES_OF_TWO, *CASES[case])
    assert run_train(*tiny_run(tmp_path, "one"), *flags).code == 0
    out = finish(python("train.py", *tiny_run(tmp_path, "two"), *flags, *TWO))
    assert len(metrics(tmp_path / "ck/two")) == (4 if case == "local" else 3)
    expect_equal_runs(tmp_path / "ck/two", tmp_path / "ck/one", rel=1e-5)
    assert out.count("(epoch: 1, iters: 2,") == 1  # one of them prints


def test_saved_by_two_and_continued_by_one(tmp_path: Path) -> None:
    """Two processes are asked to stop, each through its own signal; one goes on."""
    write_tiny_data(tmp_path, count=8)
    flags = (*BATCHES_OF_TWO, "--niter", "40", "--niter_decay", "0", "--pool_size", "2")
    stopped = python("train.py", *tiny_run(tmp_path), *flags, *TWO)
    assert stopped.stdout is not None
    while "iters: 4" not in stopped.stdout.readline():
        assert stopped.poll() is None
    stopped.send_signal(signal.SIGTERM)
    out, err = stopped.communicate(timeout=60)
    assert (stopped.returncode, err) == (143, "")
    assert out.count("stopped and saved after") == 1
    run_dir = tmp_path / "ck/tiny"
    done = metrics(run_dir)[-1]["step"]
    assert done < 8 * 40
    state = torch.load(run_dir / "latest_state.pth", weights_only=True)
    assert len(state["processes"]) == 2
    epochs = str(done // 8 + 2)
    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--continue_train")
    outcome = run_train(*where, "--gpu_ids", "-1", "--niter", epochs)
    assert outcome.code == 0, outcome.err
    assert f"after {done} images" in outcome.out
    assert [line["step"] for line in metrics(run_dir)] == list(range(2, 8 * int(epochs) + 1, 2))


@pytest.mark.slow
def test_two_processes_that_stop_log_their_last_step_together(tmp_path: Path) -> None:
    """Losses are means over both, so both must come to take them."""
    write_tiny_data(tmp_path)
    flags = ("--batchSize", "2", "--niter", "100000", "--print_freq", "1000000", *TWO)
    stopped = python("train.py", *tiny_run(tmp_path), *flags)
    assert stopped.stdout is not None
    while "End of epoch 1 " not in stopped.stdout.readline():
        assert stopped.poll() is None
    stopped.send_signal(signal.SIGTERM)
    out, err = stopped.communicate(timeout=60)
    assert (stopped.returncode, err) == (143, "")
    [line] = metrics(tmp_path / "ck/tiny")
    assert f"stopped and saved after {line['step']} images" in out
    assert list(tmp_path.glob(f"ck/tiny/web/images/epoch{line['epoch']:03d}_*.jpg"))


def test_a_run_outlives_a_process_that_is_killed(tmp_path: Path) -> None:
    """kill -9 under torchrun, which starts all anew: no hole in the log, the same result."""
    write_tiny_data(tmp_path, count=8)
    flags = (*BATCHES_OF_TWO, "--niter", "12", "--niter_decay", "0", "--save_latest_freq", "6")
    run = (*tiny_run(tmp_path, "killed"), *flags)
    launcher = python(*TORCHRUN, "--max-restarts", "2", "train.py", *run)
    state = tmp_path / "ck/killed/launch.txt"  # the last part: a restart knows its own run by it
    while not state.exists():
        assert launcher.poll() is None
        time.sleep(0.01)
    os.kill(process_of_rank(1, launcher.pid), signal.SIGKILL)
    out = finish(launcher)
    assert "going on in epoch" in out
    assert run_train(*tiny_run(tmp_path, "whole"), *flags).code == 0
    assert [line["step"] for line in metrics(state.parent)] == list(range(2, 97, 2))
    for line, expected in zip(losses(state.parent), losses(tmp_path / "ck/whole"), strict=True):
        assert line == pytest.approx(expected, rel=1e-2)  # forty steps of Adam amplify rounding
    assert not list(tmp_path.glob("ck/killed.*"))


@pytest.mark.slow
def test_a_restart_of_our_launcher_goes_on_too(tmp_path: Path) -> None:
    """torchrun starts one process, and that two: those must know the launch that they are of."""
    write_tiny_data(tmp_path, count=8)
    flags = (*BATCHES_OF_TWO, "--niter", "12", "--niter_decay", "0", "--save_latest_freq", "6")
    launch = (*TORCHRUN[:-1], "1", "--max-restarts", "1", "train.py")
    torchrun = python(*launch, *tiny_run(tmp_path), *flags, *TWO)
    state = tmp_path / "ck/tiny/launch.txt"
    while not state.exists():
        assert torchrun.poll() is None
        time.sleep(0.01)
    os.kill(process_of_rank(0, torchrun.pid), signal.SIGKILL)  # with its processes
    out = finish(torchrun)
    assert "going on in epoch" in out
    assert [line["step"] for line in metrics(state.parent)] == list(range(2, 97, 2))
    assert not list(tmp_path.glob("ck/tiny.*"))


def documented(program: str, words: str) -> str:
    """The one command of docs/training.md that begins with `program` and holds `words`."""
    text = (ROOT / "docs/training.md").read_text().replace("\\\n", " ")
    found = (line for line in text.splitlines() if line.startswith(f"{program} "))
    [line] = [line for line in found if words in line]
    return line


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


SHORT = (*BATCHES_OF_TWO, "--niter", "1", "--niter_decay", "0")


def test_torchrun_as_documented(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    launcher, _, _ = documented("torchrun", "--standalone").partition("train.py")
    words = launcher.replace("_node 8", "_node 2").split()[1:]
    finish(python("-m", "torch.distributed.run", *words, "train.py", *tiny_run(tmp_path), *SHORT))
    assert len(metrics(tmp_path / "ck/tiny")) == 2


@pytest.mark.slow
def test_two_machines_as_documented(tmp_path: Path) -> None:
    """Both of them are this one, with a process each."""
    write_tiny_data(tmp_path)
    launcher, _, _ = documented("torchrun", "--nnodes 2").partition("train.py")
    here = launcher.replace("_node 8", "_node 1").replace("node1:29500", f"127.0.0.1:{free_port()}")
    words = ("-m", "torch.distributed.run", *here.split()[1:], "--local-addr", "127.0.0.1")
    run = ("train.py", *tiny_run(tmp_path), *SHORT)
    both = [python(*words, *run) for _ in range(2)]
    assert sum("(epoch: 1, iters: 4," in finish(one) for one in both) == 1
    assert len(metrics(tmp_path / "ck/tiny")) == 2
    assert (tmp_path / "ck/tiny/launch.txt").read_text() == "run1\n"


@pytest.mark.slow
def test_slurm_as_documented(tmp_path: Path) -> None:
    """Two tasks, each on a machine of its own: nobody says LOCAL_WORLD_SIZE, or hosts a store."""
    write_tiny_data(tmp_path)
    text = (ROOT / "docs/training.md").read_text()
    script = text[text.index("#!/bin/bash") :].partition("```")[0]
    run = shlex.join((*tiny_run(tmp_path), *SHORT))
    script = script.replace("29500", free_port())
    script = script.replace("--name label2city_512p --batchSize 16", run)
    task = 'SLURM_NTASKS=2 SLURM_LOCALID=0 SLURM_PROCID=$rank "${@:2}" &'
    for name, body in {
        "scontrol": "echo 127.0.0.1; echo node2",
        "srun": f"for rank in 0 1; do {task} done; wait -n && wait -n",
        "python": f'exec {sys.executable} "$@"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=os.environ | path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "waiting at 127.0.0.1:" in done.stdout
    assert len(metrics(tmp_path / "ck/tiny")) == 2


def process_of_rank(rank: int, parent: int) -> int:
    children = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True)
    for number in map(int, children.stdout.split()):
        words = Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
        if f"RANK={rank}".encode() in words:
            return number
    raise AssertionError(f"no process of rank {rank} among {children.stdout.split()}")


@pytest.mark.slow
def test_a_restart_does_not_continue_an_older_run_of_the_name(tmp_path: Path) -> None:
    """Whoever fails before the new run has begun must not leave it to go on with the old one."""
    from pix2pixhd.options.parsing import parse_train

    write_tiny_data(tmp_path)
    flags = [*map(str, tiny_run(tmp_path)), "--niter", "1", "--niter_decay", "0"]
    assert run_train(*flags).code == 0
    restarted = World(launch="abc", restarts=1).is_restarted
    assert not parse_train(flags, is_restarted=restarted).schedule.continue_train
    (tmp_path / "ck/tiny/launch.txt").write_text("abc\n")
    flags_too = [*flags, "--load_pretrain", "x", "--which_epoch", "3"]
    schedule = parse_train(flags_too, is_restarted=restarted).schedule
    assert (schedule.continue_train, schedule.load_pretrain) == (True, "")
    assert schedule.which_epoch == "latest"
    for world in (World(launch="def", restarts=1), World(launch="abc")):
        assert not parse_train(flags, is_restarted=world.is_restarted).schedule.continue_train
    assert not parse_train(flags).schedule.continue_train


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        pytest.param(("--batchSize", "3"), "multiple of 2", marks=pytest.mark.slow),
        (("--dataroot", "nowhere"), "nowhere"),
    ],
)
def test_mistakes_are_told_once(flags: tuple[str, ...], words: str, tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    process = python("train.py", *tiny_run(tmp_path), *flags, *TWO)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(set(lines)) == len(lines) and words in lines[0]
    assert "Traceback" not in err
    assert not (tmp_path / "ck").exists()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["train_512p_multigpu", "train_512p_fp16_multigpu"])
def test_the_recipes_for_many_gpus_start_on_two_cpus(recipe: str, tmp_path: Path) -> None:
    write_tiny_data(tmp_path, count=8, size=(64, 32))
    [line] = commands(ROOT / f"scripts/{recipe}.sh")
    words = [word for word in shlex.split(line)[1:] if word != "$@"]
    smaller = ("--loadSize", "64", "--niter", "1", "--niter_decay", "0", "--print_freq", "8")
    left = ("--resize_or_crop", "none", "--precision", "fp32")
    here = [word for word in tiny_run(tmp_path) if word not in left]
    launch = TORCHRUN if "fp16" in recipe else ()
    processes = ("--gpu_ids", "-1") if launch else TWO
    out = finish(python(*launch, *words, *here, *smaller, *processes))
    assert "(epoch: 1, iters: 8," in out
    assert len(metrics(tmp_path / "ck/tiny")) == 1


def test_two_processes_do_not_train_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_data(tmp_path)
    flags = (*tiny_run(tmp_path), "--niter", "1", "--niter_decay", "0", "--no_html")
    assert run_train(*flags).code == 0
    monkeypatch.setattr("pix2pixhd.engine.run_folder.locked.__wrapped__.__defaults__", (0.1,))
    with locked(tmp_path / "ck/tiny"):
        for more in ((), ("--continue_train", "--niter", "2")):
            outcome = run_train(*flags, *more)
            assert outcome.code == 2
            assert "another process is training" in outcome.err
    assert not list(tmp_path.glob("ck/tiny.*"))


@pytest.mark.slow
def test_a_launcher_of_one_process_leaves_the_gpus_to_us(tmp_path: Path) -> None:
    """The reference's recipe is `python -m torch.distributed.launch train.py --gpu_ids 0,1,...`."""
    write_tiny_data(tmp_path)
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "1")
    flags = ("--niter", "1", "--niter_decay", "0", "--batchSize", "2", "--print_freq", "4")
    finish(python(*launch, "train.py", "--local-rank=0", *tiny_run(tmp_path), *flags, *TWO))
    state = torch.load(tmp_path / "ck/tiny/latest_state.pth", weights_only=True)
    assert len(state["processes"]) == 2


@pytest.mark.slow
def test_a_run_goes_on_with_the_gpus_it_had(tmp_path: Path) -> None:
    """Unless a launcher says how many processes there are."""
    from pix2pixhd.options.parsing import parse_train

    write_tiny_data(tmp_path)
    flags = (*tiny_run(tmp_path), *BATCHES_OF_TWO, "--niter", "1", "--niter_decay", "0")
    finish(python("train.py", *flags, *TWO))
    where = ["--name", "tiny", "--checkpoints_dir", str(tmp_path / "ck"), "--continue_train"]
    finish(python("train.py", *where, "--niter", "2"))
    state = torch.load(tmp_path / "ck/tiny/latest_state.pth", weights_only=True)
    assert (state["epoch"], len(state["processes"])) == (3, 2)
    assert parse_train(where).run.gpu_ids == "-1,-1"  # as saved by the second call
    assert parse_train(where, launched=True).run.gpu_ids == "0"
