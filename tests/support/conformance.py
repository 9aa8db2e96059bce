"""Where the standard's own cases lie: beside the checkout, or where SYNCD_CONFORMANCE points."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def conformance_dir() -> Path:
    """The corpus. Skips the test, saying why, where it is not there."""
    given = os.environ.get("SYNCD_CONFORMANCE")
    folder = Path(given) if given else _ROOT.parent / "shared" / "conformance"
    if not folder.is_dir():
        pytest.skip(f"no conformance corpus at {folder}; set SYNCD_CONFORMANCE", allow_module_level=True)
    return folder


@lru_cache(maxsize=16)
def load(name: str) -> Any:
    """The JSON of a file of the corpus, by its path in there."""
    return json.loads((conformance_dir() / name).read_text())
