"""Writes charts/syncd/dashboards/syncd.json, the Grafana dashboard: `charts/dashboard.py [--check]`.

In: the tables below. Out: JSON by the Grafana Foundation SDK. Called by docs/generate.py, so by `make docs` and `make verify`.
Series of crons, runs and sources come from the leader only, and from another replica after a takeover: so every query
sums or takes the maximum over the replicas. Only the last row tells the replicas apart.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.common import StackingConfig
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphDrawStyle, StackingMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef, DataTransformerConfig, VariableRefresh
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PAGE: Final = Path(__file__).resolve().parent / "syncd" / "dashboards" / "syncd.json"
_DATA: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")

LINES, BARS, NOW, TABLE, HEAT = "lines", "bars", "now", "table", "heat"
NS: Final = 'namespace=~"$namespace"'
SRC: Final = 'source=~"$source"'


class Panel(NamedTuple):
    """One panel. queries: (expression, legend); unit: Grafana's; width: of 24."""

    title: str
    kind: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    width: int = 8
    description: str = ""


def _more(counter: str, by: str, labels: str) -> str:
    return f"sum by ({by}) (increase({counter}{{{labels}}}[$__rate_interval]))"


def _quantiles(name: str, labels: str) -> list[tuple[str, str]]:
    rate = f"sum by (le) (rate({name}_bucket{{{labels}}}[$__rate_interval]))"
    return [(f"histogram_quantile({q}, {rate})", f"p{round(q * 100)}") for q in (0.5, 0.95, 0.99)]


def _own(name: str) -> str:
    """A metric of the process or the scrape that others have as well: only syncd's."""
    return f"{name} and on (job, instance) syncd_leader"


ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "Sync": (
        Panel(
            "Time since the remote answered",
            LINES,
            [(f"min by (source) (syncd_source_contact_age_seconds{{{SRC}}})", "{{source}}")],
            "s",
        ),
        Panel(
            "Held at the last good revision",
            LINES,
            [(f"max by (source, reason) (syncd_sync_held{{{SRC}}})", "{{source}}: {{reason}}")],
            description="1 while the newest revision is not in force. Why: syncd status",
        ),
        Panel(
            "Revisions",
            TABLE,
            [(f"max by (source, revision, applied) (syncd_source_info{{{SRC}}})", "")],
            description="revision: what the source stands at; applied: what is in force",
        ),
        Panel("Syncs", BARS, [(_more("syncd_sync_total", "result", SRC), "{{result}}")], width=6),
        Panel("Changes", BARS, [(_more("syncd_sync_changes_total", "change", SRC), "{{change}}")], width=6),
        Panel("Duration of syncs", LINES, _quantiles("syncd_sync_duration_seconds", SRC), "s", width=6),
        Panel(
            "Objects in force",
            LINES,
            [(f"sum by (kind) (max by (source, kind) (syncd_source_objects{{{SRC}}}))", "{{kind}}")],
            width=6,
        ),
        Panel(
            "Problems",
            LINES,
            [(f"max by (source, severity) (syncd_source_problems{{{SRC}}})", "{{source}}: {{severity}}")],
        ),
        Panel(
            "Drift put right",
            BARS,
            [(_more("syncd_sync_drift_total", "source, kind", SRC), "{{source}}: {{kind}}")],
        ),
        Panel("Conflicts", LINES, [(f"max by (source) (syncd_source_conflicts{{{SRC}}})", "{{source}}")]),
    ),
    "Schedules": (
        Panel("Slots by decision", BARS, [(_more("syncd_cron_slots_total", "outcome", NS), "{{outcome}}")]),
        Panel(
            "Slots that did not run",
            TABLE,
            [
                (
                    (
                        "sum by (namespace, name, outcome, reason) (max_over_time("
                        f'syncd_cron_slots_total{{{NS}, outcome=~"missed|failed|skipped"}}[$__range]))'
                    ),
                    "",
                )
            ],
            description="As counted by each leader of this time. Why: syncd cron explain NAME -n NAMESPACE",
        ),
        Panel(
            "Next fires",
            TABLE,
            [(f"bottomk(20, min by (namespace, name) (syncd_cron_next_fire_timestamp_seconds{{{NS}}}) - time())", "")],
            "s",
            description="In how many seconds",
        ),
        Panel(
            "Overdue: no success in time",
            TABLE,
            [(f"time() - max by (namespace, name) (syncd_cron_success_due_timestamp_seconds{{{NS}}}) > 0", "")],
            "s",
            width=6,
        ),
        Panel(
            "Overdue: a run takes long",
            TABLE,
            [(f"time() - max by (namespace, name) (syncd_cron_run_due_timestamp_seconds{{{NS}}}) > 0", "")],
            "s",
            width=6,
        ),
        Panel(
            "Late successes",
            BARS,
            [(_more("syncd_cron_late_successes_total", "namespace, name", NS), "{{namespace}}/{{name}}")],
            width=6,
        ),
        Panel("From slot to Workflow", LINES, _quantiles("syncd_cron_fire_delay_seconds", ""), "s", width=6),
    ),
    "Runs": (
        Panel("Runs by phase", BARS, [(_more("syncd_runs_total", "phase", NS), "{{phase}}")]),
        Panel(
            "Last failures",
            TABLE,
            [
                (
                    (
                        "bottomk(20, time() - max by (namespace, kind, name) "
                        f"(syncd_run_last_failure_timestamp_seconds{{{NS}}}))"
                    ),
                    "",
                )
            ],
            "s",
            description="By origin, seconds ago",
        ),
        Panel(
            "Active runs",
            LINES,
            [(f"sum by (namespace) (max by (namespace, kind, name) (syncd_runs_active{{{NS}}}))", "{{namespace}}")],
        ),
        Panel(
            "Durations",
            HEAT,
            [(f"sum by (le) (increase(syncd_run_duration_seconds_bucket{{{NS}}}[$__rate_interval]))", "{{le}}")],
            "s",
        ),
        Panel("Duration of runs", LINES, _quantiles("syncd_run_duration_seconds", NS), "s"),
        Panel(
            "Since the last success",
            TABLE,
            [
                (
                    (
                        "topk(20, time() - max by (namespace, kind, name) "
                        f"(syncd_run_last_success_timestamp_seconds{{{NS}}}))"
                    ),
                    "",
                )
            ],
            "s",
        ),
    ),
    "Replicas and the API server": (
        Panel("Who leads", LINES, [("max by (instance) (syncd_leader)", "{{instance}}")], width=6),
        Panel(
            "Began to lead",
            BARS,
            [("sum by (instance) (increase(syncd_leader_elections_total[$__rate_interval]))", "{{instance}}")],
            width=6,
        ),
        Panel("Clock skew", LINES, [("max by (instance) (syncd_clock_skew_seconds)", "{{instance}}")], "s", width=6),
        Panel(
            "Loops that failed",
            BARS,
            [(_more("syncd_loop_failures_total", "loop, kind", ""), "{{loop}}: {{kind}}")],
            width=6,
        ),
        Panel(
            "Requests to the API server",
            LINES,
            [("sum by (verb, code) (rate(syncd_kube_requests_total[$__rate_interval]))", "{{verb}} {{code}}")],
            "reqps",
        ),
        Panel(
            "Answers of the API server, p95",
            LINES,
            [
                (
                    (
                        "histogram_quantile(0.95, sum by (le, verb) (rate("
                        "syncd_kube_request_duration_seconds_bucket[$__rate_interval])))"
                    ),
                    "{{verb}}",
                )
            ],
            "s",
        ),
        Panel(
            "Watches begun again",
            BARS,
            [(_more("syncd_kube_watch_restarts_total", "kind, reason", ""), "{{kind}}: {{reason}}")],
        ),
        Panel("Memory", LINES, [(_own("process_resident_memory_bytes"), "{{instance}}")], "bytes", width=6),
        Panel(
            "Processor",
            LINES,
            [(_own("rate(process_cpu_seconds_total[$__rate_interval])"), "{{instance}}")],
            "percentunit",
            width=6,
        ),
        Panel("Series of a scrape", LINES, [(_own("scrape_samples_scraped"), "{{instance}}")], width=6),
        Panel("Time of a scrape", LINES, [(_own("scrape_duration_seconds"), "{{instance}}")], "s", width=6),
    ),
}

NUMBERS: Final = (
    Panel("Leaders", NOW, [("sum(syncd_leader)", "")], width=4),
    Panel(
        "Crons armed",
        NOW,
        [(f"count(max by (namespace, name) (syncd_cron_next_fire_timestamp_seconds{{{NS}}}))", "")],
        width=4,
    ),
    Panel("Active runs", NOW, [(f"sum(max by (namespace, kind, name) (syncd_runs_active{{{NS}}}))", "")], width=4),
    Panel("Sources held", NOW, [(f"sum(max by (source) (syncd_sync_held{{{SRC}}})) or vector(0)", "")], width=4),
    Panel(
        "Crons overdue",
        NOW,
        [
            (
                f"count(time() - max by (namespace, name) (syncd_cron_success_due_timestamp_seconds{{{NS}}}) > 0) or vector(0)",
                "",
            )
        ],
        width=4,
    ),
    Panel("Version", TABLE, [("count by (version, mode) (syncd_build_info)", "")], width=4),
)
"""Above the rows, without one."""

_HEIGHT: Final = {NOW: 4, TABLE: 8, LINES: 7, BARS: 7, HEAT: 7}


def page() -> str:
    """The whole file."""
    made = (
        board.Dashboard("syncd")
        .uid("syncd")
        .title("syncd")
        .description(
            "GitOps for Argo Workflows: what is in force, what fires, what runs. Written by charts/dashboard.py"
        )
        .tags(["syncd", "argo-workflows"])
        .time("now-6h", "now")
        .refresh("1m")
        .timezone("browser")
        .readonly()
        .with_variable(board.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(
            _labels("namespace", "Namespace", '{__name__=~"syncd_cron_next_fire_timestamp_seconds|syncd_runs_active"}')
        )
        .with_variable(_labels("source", "Source", "syncd_source_contact_age_seconds"))
    )
    for panel in NUMBERS:
        made.with_panel(_built(panel, 4))
    for title, panels in ROWS.items():
        made.with_row(board.Row(title))
        for panel in panels:
            made.with_panel(_built(panel, _HEIGHT[panel.kind]))
    told = json.loads(JSONEncoder(sort_keys=True).encode(made.build()))
    return json.dumps(_without_nulls(told), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _without_nulls(value: Any) -> Any:
    """What the SDK writes as null is what nobody has set: Grafana's own default is meant."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _labels(name: str, label: str, metric: str) -> board.QueryVariable:
    return (
        board.QueryVariable(name)
        .label(label)
        .datasource(_DATA)
        .query(f"label_values({metric}, {name})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .include_all(True)
        .all_value(".*")
        .multi(True)
    )


def _built(panel: Panel, height: int) -> Any:
    made: Any
    if panel.kind == NOW:
        made = stat.Panel()
    elif panel.kind == TABLE:
        hidden = {"excludeByName": {"Time": True}}
        made = table.Panel().with_transformation(DataTransformerConfig(id_val="organize", options=hidden))
    elif panel.kind == HEAT:
        made = heatmap.Panel()
    else:
        made = timeseries.Panel()
        if panel.kind == BARS:
            made.draw_style(GraphDrawStyle.BARS).fill_opacity(80).stacking(StackingConfig().mode(StackingMode.NORMAL))
    made.title(panel.title).datasource(_DATA).unit(panel.unit).span(panel.width).height(height)
    if panel.description:
        made.description(panel.description)
    for query, letter in zip(_queries(panel), "ABCDEF", strict=False):
        made.with_target(query.ref_id(letter))
    return made


def _queries(panel: Panel) -> Iterable[prometheus.Dataquery]:
    for expression, legend in panel.queries:
        query = prometheus.Dataquery().expr(expression).datasource(_DATA)
        if legend:
            query.legend_format(legend)
        if panel.kind == HEAT:
            query.format(PromQueryFormat.HEATMAP)
        elif panel.kind in (TABLE, NOW):
            query.instant()
            if panel.kind == TABLE:
                query.format(PromQueryFormat.TABLE)
        else:
            query.range()
        yield query


def main(arguments: Sequence[str]) -> int:
    """The command. Exit code 0: written, or fresh; 1: stale; 2: the call is wrong."""
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write("usage: charts/dashboard.py [--check]\n")
        return 2
    if arguments:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
            return 0
        sys.stderr.write("charts/syncd/dashboards/syncd.json is stale: run `make docs` and commit what it wrote\n")
        return 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
