"""What it was run on, as Markdown."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = (
    "laminax",
    "jax",
    "jaxlib",
    "optax",
    "flax",
    "equinox",
    "keras",
    "torch",
    "scikit-learn",
    "numpy",
)


def machine() -> str:
    """Machine, system and versions, one line each."""
    found = ", ".join(f"{name} {number}" for name in _PACKAGES if (number := _version(name)))
    return f"""\
- machine: {_processor()}, {len(os.sched_getaffinity(0))} cores, {_memory()} GiB, CPU only
- system: {platform.system()} {platform.release()}, Python {platform.python_version()}
- versions: {found}
"""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    found = None
    if (path := Path("/proc/cpuinfo")).exists():
        found = re.search(r"model name\s*: (.*)", path.read_text())
    return found[1] if found else platform.processor()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
