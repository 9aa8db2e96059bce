"""How strictly a lint judges: the knobs of `lint`, as one frozen value. Made by `cli`, `loops.sync` and tests."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.argo.manifest import Body


@dataclass(frozen=True, slots=True)
class Profile:
    """The knobs; the defaults are those of a source that syncd keeps in force.

    lint: arguments of a workflow may lack a value (`argo lint`); False: they may not (`argo submit`, Go's Opts{}).
    submit: a template's own arguments need values, too (Go's Opts{Submit: true}).
    strict: an unknown field is an error, not a warning (`argo lint --strict`, the default there as well).
    as_argo: judge as Argo v4.1's validator does: what only the API server's schema or the run itself would refuse
    becomes a warning, and what Argo dropped in v4 is unknown.
    embedded: say what the embedded engine does not run yet.
    workflow_defaults: the controller's defaults for every workflow; None = there are none.
    ignore_missing: a template that is neither in the source nor live is a warning (`--ignore-missing`).
    """

    lint: bool = True
    submit: bool = False
    strict: bool = True
    as_argo: bool = False
    embedded: bool = True
    workflow_defaults: Body | None = None
    ignore_missing: bool = False


DEFAULT = Profile()
