"""Time and memory of each model beside its torch equivalent: `python -m benchmarks.zoo --help`."""

import argparse
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from ._process import AbsentError, EndedError, Worker, last_line
from ._zoo_cases import CASES, CONTENDERS, case_of
from ._zoo_report import PARTS, Outcome, Result, head, summary, table


def measure(model: str, options: argparse.Namespace, folder: str) -> Outcome:
    """One model by every contender."""
    case, workers, failed = case_of(model, options.tiny), [], {}
    tiny = ["tiny"] if options.tiny else []
    for name in (name for name in case.contenders if name in options.only):
        module = f"{__package__}._zoo_worker"
        try:
            worker = Worker(name, module, [name, model, *tiny], folder, options.limit)
            _check_parameters(worker, workers)
            workers.append(worker)
        except (AbsentError, EndedError) as reason:
            failed[name] = last_line(reason)
    rounds = _rounds(workers, options.rounds, failed)
    for worker in workers:
        worker.close()
    results = [_result(worker, rounds[worker.name]) for worker in workers if worker.name in rounds]
    return Outcome(case, results, failed)


def _check_parameters(worker: Worker, others: list[Worker]) -> None:
    """Raise where this is another model than that of the first contender."""
    own = worker.start["parameters"]
    if others and own != (expected := others[0].start["parameters"]):
        worker.close()
        raise AbsentError(f"{own:,} parameters, where {others[0].name} has {expected:,}")


def _rounds(workers: list[Worker], n: int, failed: dict[str, str]) -> dict[str, list[Any]]:
    answers: dict[str, list[Any]] = {worker.name: [] for worker in workers}
    for i in range(n):
        turn = i % len(workers) if workers else 0
        for worker in workers[turn:] + workers[:turn]:  # nobody always follows the same one
            if worker.name in failed:
                continue
            try:
                answers[worker.name].append(worker.ask("round"))
            except EndedError as reason:
                failed[worker.name] = last_line(reason)
    return {name: found for name, found in answers.items() if name not in failed}


def _result(worker: Worker, rounds: list[Any]) -> Result:
    start = worker.start
    return Result(
        name=worker.name,
        parameters=start["parameters"],
        seconds={part: [answer[part] for answer in rounds] for part in PARTS},
        **{
            field: {part: start[part][field] for part in PARTS}
            for field in ("first", "peak", "planned")
        },
        process=start["process"],
    )


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("--models", choices=CASES, nargs="+", default=list(CASES), metavar="MODEL")
    parser.add_argument("--only", choices=CONTENDERS, nargs="+", default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=3, help="timings of each contender")
    parser.add_argument(
        "--limit", type=float, default=120, help="seconds, for a contender to start"
    )
    parser.add_argument("--tiny", action="store_true", help="small sizes: try the benchmark itself")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("ZOO.md"))
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: got {options.rounds}, expected 1 or more")

    outcomes = {}
    for model in options.models:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            outcomes[model] = measure(model, options, folder)
        print(table(model, outcomes[model]), flush=True)
    text = head(shlex.join(["python", "-m", "benchmarks.zoo", *sys.argv[1:]]), options.rounds)
    tables = [table(model, outcome) for model, outcome in outcomes.items()]
    options.out.write_text("\n".join([text, summary(outcomes), *tables]))
    print(summary(outcomes))


if __name__ == "__main__":
    main()
