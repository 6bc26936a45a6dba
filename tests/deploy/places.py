"""Where the files of `deploy/` are, and the programs that judge them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
Yaml = dict[str, Any]


def program(name: str, install: str) -> str:
    """Where a program is. A test that needs one which is not here is skipped, and CI refuses that."""
    beside_python = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside_python, os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        pytest.skip(f"there is no {name} here ({install}), so what it would judge was not tested")
    return found


def ran(*command: str) -> str:
    """What a program printed, once it ended well."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def faults(*command: str) -> str:
    """What a program that judges a file says of it: nothing, if it finds no fault. Some end well for all that."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
    return done.stdout or ("" if done.returncode == 0 else f"it ended with {done.returncode}")


def documents(text: str) -> list[Yaml]:
    """The documents of a YAML file."""
    return list(yaml.safe_load_all(text))
