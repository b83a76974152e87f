"""The published description against what is served."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.rest import RestService

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
def test_schemathesis_finds_nothing(rest: RestService, tmp_path: Path) -> None:
    """Right and wrong requests made from the description get the statuses, types and shapes that it promises."""
    hooks = {"PYTHONPATH": str(TESTS), "SCHEMATHESIS_HOOKS": "support.description_hooks"}
    # The second path of results is the first one's twin.
    options = (
        "--exclude-path=/v1/general/results --phases=examples,coverage,fuzzing --max-examples=30 --seed=1"
    )

    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{rest.url}/openapi.json",
            *options.split(),
        ],
        env={**os.environ, **hooks},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "5 selected / 6 total" in run.stdout
