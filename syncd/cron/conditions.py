"""The two questions that a cron may ask before it fires: `when`, and `stopStrategy.expression`.

In: a cron with its status and the time. Out: yes or no, or Invalid with Argo's words. Called by `due`.
Source: Argo v4.1.2 workflow/cron/operator.go expressionEnv, evalWhen, shouldExecute, checkStopingCondition.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from syncd.argo.crons import CronWorkflow
from syncd.base.errors import Invalid
from syncd.expr import environment, evaluate, tags, when


def variables(cron: CronWorkflow, last_scheduled: datetime | None) -> dict[str, object]:
    """What both expressions see. last_scheduled: of the newest child, None = never.

    Argo puts the labels where the annotations belong; here `cronworkflow.annotations` are the annotations.
    """
    values: dict[str, object] = {
        "cronworkflow.name": cron.key.name,
        "cronworkflow.namespace": cron.key.namespace,
        "cronworkflow.labels": dict(cron.labels),
        "cronworkflow.annotations": dict(cron.annotations),
        "cronworkflow.labels.json": _json(cron.labels),
        "cronworkflow.annotations.json": _json(cron.annotations),
        "cronworkflow.failed": cron.status.failed,
        "cronworkflow.succeeded": cron.status.succeeded,
        "cronworkflow.lastScheduledTime": last_scheduled,
    }
    values.update({f"cronworkflow.labels.{key}": value for key, value in cron.labels.items()})
    values.update({f"cronworkflow.annotations.{key}": value for key, value in cron.annotations.items()})
    return values


def may_fire(cron: CronWorkflow, last_scheduled: datetime | None, now: datetime) -> bool:
    """What `spec.when` says; no condition = yes. Raises Invalid where it cannot be evaluated."""
    if not cron.when:
        return True
    env = environment.Variables(variables(cron, last_scheduled))
    impurity = environment.Impurity(now=now, seed=f"{cron.uid}/{now.isoformat()}".encode())
    return when.evaluate(
        str(tags.substitute(cron.when, env, allow_unresolved=False, impurity=impurity)), barewords=False
    )


def stops(cron: CronWorkflow, last_scheduled: datetime | None, now: datetime) -> bool:
    """Whether `stopStrategy.expression` says that this cron is done. Raises Invalid where it cannot be evaluated."""
    if not cron.stop_expression:
        return False
    env = environment.Variables(variables(cron, last_scheduled))
    impurity = environment.Impurity(now=now, seed=f"{cron.uid}/{now.isoformat()}".encode())
    try:
        return evaluate.truth(cron.stop_expression, env, impurity=impurity)
    except Invalid as complaint:
        raise Invalid(f"failed to evaluate stop expression: {complaint}") from None


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(sorted(values.items())), separators=(",", ":"), ensure_ascii=False)
