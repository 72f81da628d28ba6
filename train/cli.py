"""The `laminax` command: `laminax train mnist --model lenet --out run`, `laminax eval run`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from . import _commands as commands
from ._result import Diverged

_DESCRIPTION = """Train a model, or look at one.

In place of a recipe and its settings, train, sweep, bench and summary take a config.json, as a run
folder holds it; flags after it override it.

Exit status: 0 done; 1 a bad setting or file, or a loss that diverged; 2 a command line that is not
understood; 130 interrupted, which leaves the run so far."""

Command = (
    Annotated[commands.Train, tyro.conf.subcommand("train")]
    | Annotated[commands.Eval, tyro.conf.subcommand("eval")]
    | Annotated[commands.Predict, tyro.conf.subcommand("predict")]
    | Annotated[commands.Resume, tyro.conf.subcommand("resume")]
    | Annotated[commands.Sweep, tyro.conf.subcommand("sweep")]
    | Annotated[commands.Summary, tyro.conf.subcommand("summary")]
    | Annotated[commands.Export, tyro.conf.subcommand("export")]
    | Annotated[commands.Bench, tyro.conf.subcommand("bench")]
    | Annotated[commands.Datasets, tyro.conf.subcommand("datasets")]
    | Annotated[commands.Verify, tyro.conf.subcommand("verify")]
    | Annotated[commands.Launch, tyro.conf.subcommand("launch")]
)


_WITH_RECIPE = {"train", "sweep", "bench", "summary"}


def main(args: list[str] | None = None) -> None:
    """Read the command line and run it.

    It ends with status 0; 1 and one line where a setting or a file is bad, or the loss diverges; 2
    where the command line is; 130 after SIGINT or SIGTERM, with the run so far reported.
    """
    config = (
        tyro.conf.OmitArgPrefixes,
        tyro.conf.OmitSubcommandPrefixes,
        tyro.conf.CascadeSubcommandArgs,
    )
    try:
        args = expanded(sys.argv[1:] if args is None else args)
        tyro.cli(Command, prog="laminax", description=_DESCRIPTION, args=args, config=config).run()
    except (ValueError, OSError, ImportError, NotImplementedError, Diverged) as error:
        sys.exit(f"laminax: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def expanded(args: Sequence[str]) -> list[str]:
    """Put the recipe and the settings that a config.json tells in its place.

    Flags that follow it override what it says; where a run was written, it does not.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON object with a recipe.

    >>> expanded(["train", "mnist", "--epochs", "3"])
    ['train', 'mnist', '--epochs', '3']
    """
    args = list(args)
    if not args or args[0] not in _WITH_RECIPE:
        return args
    place = next((i for i, arg in enumerate(args) if arg.endswith(".json")), None)
    if place is None:
        return args
    path = Path(args[place])
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        told = json.loads(path.read_text())
        recipe = str(told.pop("recipe"))
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no JSON object with a recipe and its settings") from error
    settings = {name: value for name, value in told.items() if name not in ("out", "resume")}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    return [*args[:place], recipe, *flags, *args[place + 1 :]]
