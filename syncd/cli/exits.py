"""What the exit code says, and which error leads to which. Read by `main`, the commands and `docs/cli.md`."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from syncd.base import errors


class Exit(IntEnum):
    """The exit codes of every command."""

    GOOD = 0
    NO = 1
    WRONG = 2
    UNREACHABLE = 3
    REFUSED = 4
    DEFECT = 70
    INTERRUPTED = 130


MEANINGS: Final[dict[Exit, str]] = {
    Exit.GOOD: "good: done, or the answer is yes",
    Exit.NO: "the answer is no: problems were found, a run failed, there is no such object, its state forbids it",
    Exit.WRONG: "the call or the configuration is wrong, or this machine cannot do it",
    Exit.UNREACHABLE: "no daemon runs, or something it needs does not answer; trying again may help",
    Exit.REFUSED: "refused: a token, a permission or a policy says no",
    Exit.DEFECT: "a defect of syncd; please report it",
    Exit.INTERRUPTED: "interrupted with Ctrl-C",
}

_OF_ERRORS: Final[tuple[tuple[type[errors.SyncdError], Exit], ...]] = (
    (errors.ConfigError, Exit.WRONG),
    (errors.Unsupported, Exit.WRONG),
    (errors.Invalid, Exit.NO),
    (errors.NotFound, Exit.NO),
    (errors.AlreadyExists, Exit.NO),
    (errors.Conflict, Exit.NO),
    (errors.Expired, Exit.NO),
    (errors.Refused, Exit.REFUSED),
    (errors.Unreachable, Exit.UNREACHABLE),
    (errors.Defect, Exit.DEFECT),
)


def of_error(error: errors.SyncdError) -> Exit:
    """The exit code for an error.

    >>> of_error(errors.NotFound("x")), of_error(errors.Refused("x"))
    (<Exit.NO: 1>, <Exit.REFUSED: 4>)
    """
    for kind, code in _OF_ERRORS:
        if isinstance(error, kind):
            return code
    return Exit.DEFECT
