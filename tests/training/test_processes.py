"""Several processes end together, whatever ends them, and share the batches evenly."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("tiny_task.py")


def both(folder: Path, verb: str) -> list[list[str]]:
    """The words (rank, steps, ending) of two processes that train into one folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "NODE_RANK": "0",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", str(SCRIPT), str(folder), verb],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**environment, "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    try:
        return [process.communicate(timeout=240)[0].split() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_an_odd_number_of_batches_is_shared_evenly_and_a_second_run_is_refused_by_all(
    tmp_path: Path,
) -> None:
    steps = ["0,2,0,2,0,2", "1,3,1,3,1,3"]
    ended = both(tmp_path / "run", "train")
    assert ended == [["0/2", steps[0], "done"], ["1/2", steps[1], "done"]]
    assert len(list((tmp_path / "run").glob("events.*"))) == 1
    assert [words[-1] for words in both(tmp_path / "run", "train")] == ["RecipeError"] * 2


@pytest.mark.slow
def test_patience_ends_both_by_the_figures_of_the_first(tmp_path: Path) -> None:
    assert both(tmp_path / "run", "falls") == [
        ["0/2", "0,2,0,2,0,2", "done"], ["1/2", "1,3,1,3,1,3", "done"]
    ]  # fmt: skip


@pytest.mark.slow
def test_an_output_error_of_the_first_process_ends_both(tmp_path: Path) -> None:
    assert [w[-1] for w in both(tmp_path / "run", "full_disk")] == ["OutputError"] * 2


@pytest.mark.slow
def test_a_loss_that_is_no_number_in_one_process_ends_both(tmp_path: Path) -> None:
    assert [w[-1] for w in both(tmp_path / "run", "one_diverges")] == ["DivergedError"] * 2
