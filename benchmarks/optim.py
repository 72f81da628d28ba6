"""Time of an optimizer's update alone, side by side: `python -m benchmarks.optim --help`."""

import argparse
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from ._optim_cases import CONTENDERS, OPTIMIZERS, TREES, shapes_of, size_of
from ._optim_report import Outcome, Result, head, limits, table
from ._process import AbsentError, EndedError, Worker, last_line


def measure(tree: str, optimizer: str, options: argparse.Namespace, folder: str) -> Outcome:
    """One optimizer on one tree by every contender, and the copy that they are compared with."""
    workers, failed = [], {}
    for name in (*(name for name in CONTENDERS if name in options.only), "copy"):
        arguments = [name, optimizer, tree, *(["tiny"] if options.tiny else [])]
        try:
            workers.append(
                Worker(name, f"{__package__}._optim_worker", arguments, folder, options.limit)
            )
        except (AbsentError, EndedError) as reason:
            failed[name] = last_line(reason)
    rounds = _rounds(workers, options.rounds)
    for worker in workers:
        worker.close()
    copies = [answer["seconds"] for answer in rounds.pop("copy")]
    starts = {worker.name: worker.start for worker in workers}
    results = [_result(name, starts[name], answers) for name, answers in rounds.items()]
    _check_moved(tree, optimizer, results)
    return Outcome(results, limits(copies, optimizer), failed)


def _check_moved(tree: str, optimizer: str, results: list[Result]) -> None:
    """Raise where the contenders' updates are not the same."""
    moved = {result.name: result.moved for result in results}
    if moved and max(moved.values()) > 1.001 * min(moved.values()):
        raise RuntimeError(f"{tree} {optimizer}: the parameters have moved by {moved}")


def _rounds(workers: list[Worker], n: int) -> dict[str, list[Any]]:
    answers: dict[str, list[Any]] = {worker.name: [] for worker in workers}
    for i in range(n):
        turn = i % len(workers)
        for worker in workers[turn:] + workers[:turn]:  # nobody always follows the same one
            answers[worker.name].append(worker.ask("round"))
    return answers


def _result(name: str, start: dict[str, Any], answers: list[Any]) -> Result:
    return Result(
        name=name,
        seconds=[answer["seconds"] for answer in answers],
        first=start["first"],
        state=start["state"],
        moved=answers[0]["moved"],
    )


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.optim", description=__doc__)
    parser.add_argument("--trees", choices=TREES, nargs="+", default=list(TREES))
    parser.add_argument(
        "--optimizers", choices=OPTIMIZERS, nargs="+", default=list(OPTIMIZERS), metavar="OPTIMIZER"
    )
    parser.add_argument("--only", choices=CONTENDERS, nargs="+", default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=5, help="timings of each contender")
    parser.add_argument("--limit", type=float, default=300, help="seconds, for an answer")
    parser.add_argument("--tiny", action="store_true", help="small sizes: try the benchmark itself")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("OPTIM.md"))
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: got {options.rounds}, expected 1 or more")

    text = head(shlex.join(["python", "-m", "benchmarks.optim", *sys.argv[1:]]), options.rounds)
    for tree in options.trees:
        outcomes = {}
        for optimizer in options.optimizers:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                outcomes[optimizer] = measure(tree, optimizer, options, folder)
            print(f"{tree} {optimizer}: done", flush=True)
        part = table(tree, size_of(shapes_of(tree, options.tiny)), outcomes)
        print(part, flush=True)
        text += "\n" + part
    options.out.write_text(text)


if __name__ == "__main__":
    main()
