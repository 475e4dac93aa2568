//! The one source of the dashboard for Grafana: rows of panels, each with its queries.

use serde_json::{Value, json};

/// Of a panel.
struct Query {
    expression: &'static str,
    legend: &'static str,
}

const fn query(expression: &'static str, legend: &'static str) -> Query {
    Query { expression, legend }
}

/// A chart, or one number.
struct Panel {
    title: &'static str,
    help: &'static str,
    kind: &'static str,
    unit: &'static str,
    width: u32,
    queries: &'static [Query],
}

struct Row {
    title: &'static str,
    height: u32,
    panels: &'static [Panel],
}

/// Grafana's grid.
const COLUMNS: u32 = 24;

const ROWS: &[Row] = &[
    Row {
        title: "Is it well",
        height: 4,
        panels: &[
            Panel {
                title: "Since the last cycle",
                help: "Above two poll intervals the daemon is late.",
                kind: "stat",
                unit: "s",
                width: 4,
                queries: &[query(r#"time() - neap_cycle_end_timestamp_seconds{job=~"$job"}"#, "")],
            },
            Panel {
                title: "Kill switch",
                help: "1: every change is stopped.",
                kind: "stat",
                unit: "short",
                width: 4,
                queries: &[query(r#"max(neap_kill_switch_thrown{job=~"$job"})"#, "")],
            },
            Panel {
                title: "Services",
                help: "By what may be done to them.",
                kind: "stat",
                unit: "short",
                width: 4,
                queries: &[query(r#"sum by (mode) (neap_services{job=~"$job"})"#, "{{mode}}")],
            },
            Panel {
                title: "Unresolved orders",
                help: "Sent, and their result is not known yet.",
                kind: "stat",
                unit: "short",
                width: 4,
                queries: &[query(r#"sum(neap_orders_unresolved{job=~"$job"})"#, "")],
            },
            Panel {
                title: "Promises broken",
                help: "Services whose demand exceeded capacity more often than promised.",
                kind: "stat",
                unit: "short",
                width: 4,
                queries: &[query(
                    r#"count(neap_service_violated_ratio{job=~"$job"} > neap_service_violation_budget_ratio{job=~"$job"}) or vector(0)"#,
                    "",
                )],
            },
            Panel {
                title: "Version",
                help: "That runs.",
                kind: "stat",
                unit: "short",
                width: 4,
                queries: &[query(r#"neap_build_info{job=~"$job"}"#, "{{version}}")],
            },
        ],
    },
    Row {
        title: "A service",
        height: 9,
        panels: &[
            Panel {
                title: "Demand, forecast and capacity: $service",
                help: "Demand per second against the forecast of the next interval, what was sized for, \
                       and what the units in service carry.",
                kind: "timeseries",
                unit: "short",
                width: 12,
                queries: &[
                    query(r#"neap_service_demand{job=~"$job",service=~"$service"}"#, "demand"),
                    query(
                        r#"neap_service_demand_next{job=~"$job",service=~"$service"}"#,
                        "forecast, {{level}}",
                    ),
                    query(
                        r#"neap_service_demand_sized_for{job=~"$job",service=~"$service"}"#,
                        "sized for",
                    ),
                    query(
                        r#"neap_service_units_in_service{job=~"$job",service=~"$service"} * neap_service_capacity_per_unit{job=~"$job",service=~"$service"}"#,
                        "capacity in service",
                    ),
                ],
            },
            Panel {
                title: "Units: $service",
                help: "What was wanted before guards, what the group is told, what is in service.",
                kind: "timeseries",
                unit: "short",
                width: 12,
                queries: &[
                    query(
                        r#"neap_service_units_wanted{job=~"$job",service=~"$service"}"#,
                        "wanted",
                    ),
                    query(
                        r#"neap_service_units_desired{job=~"$job",service=~"$service"}"#,
                        "desired",
                    ),
                    query(
                        r#"neap_service_units_in_service{job=~"$job",service=~"$service"}"#,
                        "in service",
                    ),
                ],
            },
            Panel {
                title: "Violations against the promise: $service",
                help: "The share of intervals whose demand exceeded capacity: of the last hour, of 28 \
                       days, and as promised.",
                kind: "timeseries",
                unit: "percentunit",
                width: 8,
                queries: &[
                    query(
                        r#"increase(neap_service_violations_total{job=~"$job",service=~"$service"}[1h]) / increase(neap_service_intervals_total{job=~"$job",service=~"$service"}[1h])"#,
                        "last hour",
                    ),
                    query(
                        r#"neap_service_violated_ratio{job=~"$job",service=~"$service"}"#,
                        "28 days",
                    ),
                    query(
                        r#"neap_service_violation_budget_ratio{job=~"$job",service=~"$service"}"#,
                        "promised",
                    ),
                ],
            },
            Panel {
                title: "Quality of the forecast: $service",
                help: "Loss against the last value's (above 1 the forecast is worse), and the quantile \
                       level in force.",
                kind: "timeseries",
                unit: "short",
                width: 8,
                queries: &[
                    query(
                        r#"neap_service_forecast_loss_ratio{job=~"$job",service=~"$service"}"#,
                        "loss",
                    ),
                    query(
                        r#"neap_service_forecast_level_ratio{job=~"$job",service=~"$service"}"#,
                        "level",
                    ),
                ],
            },
            Panel {
                title: "Why nothing more is done: $service",
                help: "Reasons that hold or narrow what is wanted.",
                kind: "timeseries",
                unit: "short",
                width: 8,
                queries: &[query(
                    r#"neap_service_hold{job=~"$job",service=~"$service"}"#,
                    "{{hold}}",
                )],
            },
        ],
    },
    Row {
        title: "The fleet",
        height: 8,
        panels: &[
            Panel {
                title: "Decisions",
                help: "An hour, by direction; dry runs are shown and not carried out.",
                kind: "timeseries",
                unit: "short",
                width: 8,
                queries: &[query(
                    r#"sum by (direction, dry_run) (increase(neap_service_decisions_total{job=~"$job"}[1h]))"#,
                    "{{direction}}, dry run {{dry_run}}",
                )],
            },
            Panel {
                title: "Orders by how they ended",
                help: "An hour.",
                kind: "timeseries",
                unit: "short",
                width: 8,
                queries: &[query(
                    r#"sum by (result) (increase(neap_orders_total{job=~"$job"}[1h]))"#,
                    "{{result}}",
                )],
            },
            Panel {
                title: "Services held, by reason",
                help: "A service may have several.",
                kind: "timeseries",
                unit: "short",
                width: 8,
                queries: &[query(
                    r#"count by (hold) (neap_service_hold{job=~"$job"})"#,
                    "{{hold}}",
                )],
            },
            Panel {
                title: "Services by forecasting model",
                help: "`none`: demand now decides alone.",
                kind: "timeseries",
                unit: "short",
                width: 8,
                queries: &[query(
                    r#"count by (forecaster) (neap_service_info{job=~"$job"})"#,
                    "{{forecaster}}",
                )],
            },
            Panel {
                title: "Idle resources, by rule",
                help: "At the last look.",
                kind: "timeseries",
                unit: "short",
                width: 8,
                queries: &[query(
                    r#"sum by (rule) (neap_idle_resources{job=~"$job"})"#,
                    "{{rule}}",
                )],
            },
            Panel {
                title: "Machines stopped and started",
                help: "Orders an hour, by how they ended.",
                kind: "timeseries",
                unit: "short",
                width: 8,
                queries: &[query(
                    r#"sum by (result) (increase(neap_idle_orders_total{job=~"$job"}[1h]))"#,
                    "{{result}}",
                )],
            },
        ],
    },
    Row {
        title: "Clouds, journal and alerts",
        height: 8,
        panels: &[
            Panel {
                title: "Faults of clouds and metric sources",
                help: "A second, by what kind.",
                kind: "timeseries",
                unit: "short",
                width: 8,
                queries: &[query(
                    r#"sum by (provider, fault) (rate(neap_provider_faults_total{job=~"$job"}[5m]))"#,
                    "{{provider}}: {{fault}}",
                )],
            },
            Panel {
                title: "Calls, 95th percentile",
                help: "How long they take.",
                kind: "timeseries",
                unit: "s",
                width: 8,
                queries: &[query(
                    r#"histogram_quantile(0.95, sum by (le, provider, operation) (rate(neap_provider_call_duration_seconds_bucket{job=~"$job"}[5m])))"#,
                    "{{provider}} {{operation}}",
                )],
            },
            Panel {
                title: "Metrics read",
                help: "An hour, as the cloud bills them.",
                kind: "timeseries",
                unit: "short",
                width: 8,
                queries: &[query(
                    r#"sum by (provider) (increase(neap_provider_metrics_read_total{job=~"$job"}[1h]))"#,
                    "{{provider}}",
                )],
            },
            Panel {
                title: "Cycles, 50th and 99th percentile",
                help: "How long they take.",
                kind: "timeseries",
                unit: "s",
                width: 8,
                queries: &[
                    query(
                        r#"histogram_quantile(0.5, sum by (le) (rate(neap_cycle_duration_seconds_bucket{job=~"$job"}[10m])))"#,
                        "half",
                    ),
                    query(
                        r#"histogram_quantile(0.99, sum by (le) (rate(neap_cycle_duration_seconds_bucket{job=~"$job"}[10m])))"#,
                        "99%",
                    ),
                ],
            },
            Panel {
                title: "Journal",
                help: "What it takes on disk.",
                kind: "timeseries",
                unit: "bytes",
                width: 8,
                queries: &[query(r#"neap_journal_size_bytes{job=~"$job"}"#, "{{instance}}")],
            },
            Panel {
                title: "Alerts, by channel",
                help: "What waits, and attempts an hour that a receiver did not take.",
                kind: "timeseries",
                unit: "short",
                width: 8,
                queries: &[
                    query(
                        r#"sum by (channel) (neap_alerts_waiting{job=~"$job"})"#,
                        "{{channel}} waiting",
                    ),
                    query(
                        r#"sum by (channel) (increase(neap_alert_failures_total{job=~"$job"}[1h]))"#,
                        "{{channel}} not taken",
                    ),
                ],
            },
        ],
    },
];

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${source}" })
}

fn targets(queries: &[Query]) -> Vec<Value> {
    let targets = queries.iter().zip('A'..);
    let target = |(query, id): (&Query, char)| {
        json!({
            "datasource": source(),
            "expr": query.expression,
            "legendFormat": query.legend,
            "refId": id.to_string(),
        })
    };
    targets.map(target).collect()
}

fn panel(panel: &Panel, id: usize, (x, y): (u32, u32), height: u32) -> Value {
    let options = match panel.kind {
        // The version is a label: its value is always 1.
        "stat" if panel.title == "Version" => {
            json!({ "textMode": "name", "reduceOptions": { "calcs": ["lastNotNull"] } })
        }
        "stat" => json!({ "reduceOptions": { "calcs": ["lastNotNull"] } }),
        _ => json!({ "legend": { "displayMode": "list", "placement": "bottom" },
                     "tooltip": { "mode": "multi" } }),
    };
    json!({
        "id": id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": source(),
        "gridPos": { "x": x, "y": y, "w": panel.width, "h": height },
        "fieldConfig": { "defaults": { "unit": panel.unit, "min": 0 }, "overrides": [] },
        "options": options,
        "targets": targets(panel.queries),
    })
}

fn panels() -> Vec<Value> {
    let mut all = Vec::new();
    let mut top = 0;
    for row in ROWS {
        let id = all.len() + 1;
        all.push(json!({
            "id": id,
            "type": "row",
            "title": row.title,
            "collapsed": false,
            "gridPos": { "x": 0, "y": top, "w": COLUMNS, "h": 1 },
            "panels": [],
        }));
        top += 1;
        let mut left = 0;
        for one in row.panels {
            if left + one.width > COLUMNS {
                (left, top) = (0, top + row.height);
            }
            all.push(panel(one, all.len() + 1, (left, top), row.height));
            left += one.width;
        }
        top += row.height;
    }
    all
}

fn variable(name: &str, label: &str, expression: &str, all: bool) -> Value {
    json!({
        "name": name,
        "label": label,
        "type": "query",
        "datasource": source(),
        "query": { "query": expression, "refId": name },
        "refresh": 2,
        "sort": 1,
        "includeAll": all,
        "multi": all,
        "current": {},
    })
}

/// What Grafana imports.
pub fn dashboard() -> Value {
    json!({
        "uid": "neap",
        "title": "neap",
        "description": "Capacity ahead of demand: what neap sees, decides and does.",
        "tags": ["neap"],
        "schemaVersion": 38,
        "version": 1,
        "editable": true,
        "refresh": "1m",
        "time": { "from": "now-24h", "to": "now" },
        "timezone": "",
        "templating": { "list": [
            {
                "name": "source",
                "label": "Prometheus",
                "type": "datasource",
                "query": "prometheus",
                "current": {},
            },
            variable("job", "job", "label_values(neap_build_info, job)", true),
            variable(
                "service",
                "service",
                r#"label_values(neap_service_info{job=~"$job"}, service)"#,
                false,
            ),
        ] },
        "panels": panels(),
    })
}
