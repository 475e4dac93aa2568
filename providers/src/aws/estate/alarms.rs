//! Alarms that ring, and what the CloudWatch agent publishes.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
use aws_sdk_cloudwatch::operation::list_metrics::ListMetricsOutput;
use aws_sdk_cloudwatch::types::{AlarmType, Dimension, MetricAlarm, StateValue};
use fleet::usage::Signal;
use fleet::{Fault, Seconds};

use super::super::access::Seat;
use super::super::known::Alarms;
use super::super::pages::pages_of;
use super::super::survey::AlarmMetric;
use crate::Deadline;
use crate::call::Call;

pub(in super::super) const DESCRIBE_ALARMS: Call = Call::read("cloudwatch", "DescribeAlarms");
pub(in super::super) const LIST_METRICS: Call = Call::read("cloudwatch", "ListMetrics");

/// The dimension by which CloudWatch names an instance.
pub(super) const INSTANCE: &str = "InstanceId";
/// The dimension by which CloudWatch names a database.
pub(super) const DATABASE: &str = "DBInstanceIdentifier";
/// The agent's namespace.
pub(super) const AGENT: &str = "CWAgent";
/// What the agent publishes under the instance's id alone.
pub(super) const AGENT_METRICS: [(Signal, &str); 3] = [
    (Signal::Memory, "mem_used_percent"),
    (Signal::Gpu, "nvidia_smi_utilization_gpu"),
    (Signal::Connections, "netstat_tcp_established"),
];

/// Alarms in one page. [CloudWatch API reference]
const PAGE: i32 = 100;
/// How long a list of what agents publish is good for.
const AGENTS_AGE: Seconds = Seconds::hours(1);
/// How soon a list that could not be read is asked for again.
const AGENTS_AGAIN: Seconds = Seconds::minutes(5);

/// Reads the alarms of a region that are in state ALARM.
pub(super) async fn read(seat: &Seat, deadline: Deadline) -> Result<Alarms, Fault> {
    let request = seat
        .cloudwatch
        .describe_alarms()
        .alarm_types(AlarmType::MetricAlarm)
        .state_value(StateValue::Alarm)
        .max_records(PAGE);
    let mut alarms = Alarms::new();
    let take = |page: DescribeAlarmsOutput| {
        for alarm in page.metric_alarms() {
            for about in subjects(alarm) {
                let name = alarm.alarm_name().unwrap_or_default().to_owned();
                alarms.entry(about).or_default().push(name);
            }
        }
    };
    seat.listing(DESCRIBE_ALARMS, pages_of!(request), deadline, take).await?;
    Ok(alarms)
}

/// Names in one call. [CloudWatch API reference]
const NAMES_AT_ONCE: usize = 100;

/// The metrics of alarms, by their names: an alarm's own, or those that it is reckoned from.
pub(in super::super) async fn metrics_of(
    seat: &Seat,
    names: Vec<String>,
    deadline: Deadline,
) -> Result<BTreeMap<String, Vec<AlarmMetric>>, Fault> {
    let mut found = BTreeMap::new();
    for names in names.chunks(NAMES_AT_ONCE) {
        let request = seat
            .cloudwatch
            .describe_alarms()
            .alarm_types(AlarmType::MetricAlarm)
            .set_alarm_names(Some(names.to_vec()))
            .max_records(PAGE);
        let take = |page: DescribeAlarmsOutput| {
            for alarm in page.metric_alarms() {
                let name = alarm.alarm_name().unwrap_or_default().to_owned();
                found.insert(name, looked_at(alarm));
            }
        };
        seat.listing(DESCRIBE_ALARMS, pages_of!(request), deadline, take).await?;
    }
    Ok(found)
}

fn looked_at(alarm: &MetricAlarm) -> Vec<AlarmMetric> {
    let all = |dimensions: &[Dimension]| -> BTreeMap<String, String> {
        let pair = |one: &Dimension| Some((one.name()?.to_owned(), one.value()?.to_owned()));
        dimensions.iter().filter_map(pair).collect()
    };
    let own = alarm.namespace().zip(alarm.metric_name());
    let own = own.map(|(namespace, metric)| {
        (namespace.to_owned(), metric.to_owned(), all(alarm.dimensions()))
    });
    let reckoned = alarm.metrics().iter().filter_map(|query| {
        let metric = query.metric_stat()?.metric()?;
        let dimensions = all(metric.dimensions());
        Some((metric.namespace()?.to_owned(), metric.metric_name()?.to_owned(), dimensions))
    });
    own.into_iter().chain(reckoned).collect()
}

/// What an alarm is about: by its own metric, or by those that it is reckoned from.
fn subjects(alarm: &MetricAlarm) -> BTreeSet<(&'static str, String)> {
    let reckoned = alarm.metrics().iter().filter_map(|query| query.metric_stat()?.metric());
    let all = alarm.dimensions().iter().chain(reckoned.flat_map(|metric| metric.dimensions()));
    all.filter_map(subject).collect()
}

fn subject(dimension: &Dimension) -> Option<(&'static str, String)> {
    let name = [INSTANCE, DATABASE].into_iter().find(|name| dimension.name() == Some(name))?;
    Some((name, dimension.value()?.to_owned()))
}

/// Signals that agents publish, by instance; what was read last where it cannot be read.
pub(super) async fn agents(seat: &Seat, deadline: Deadline) -> BTreeMap<String, BTreeSet<Signal>> {
    let now = seat.now();
    let due = {
        let mut known = seat.known();
        let fresh = known.agents.as_ref().is_some_and(|(at, _)| now.apart(*at) < AGENTS_AGE);
        let tried = known.agents_tried_at.is_some_and(|at| now.apart(at) < AGENTS_AGAIN);
        let due = !fresh && !tried;
        if due {
            known.agents_tried_at = Some(now);
        }
        due
    };
    if due && let Ok(read) = published(seat, deadline).await {
        seat.known().agents = Some((now, read));
    }
    seat.known().agents.as_ref().map(|(_, read)| read.clone()).unwrap_or_default()
}

async fn published(
    seat: &Seat,
    deadline: Deadline,
) -> Result<BTreeMap<String, BTreeSet<Signal>>, Fault> {
    let mut found: BTreeMap<String, BTreeSet<Signal>> = BTreeMap::new();
    // By name: the agent's namespace also holds each disk, process and core of each instance.
    for (signal, name) in AGENT_METRICS {
        for id in with_metric(seat, name, deadline).await? {
            found.entry(id).or_default().insert(signal);
        }
    }
    Ok(found)
}

async fn with_metric(seat: &Seat, name: &str, deadline: Deadline) -> Result<Vec<String>, Fault> {
    let request = seat.cloudwatch.list_metrics().namespace(AGENT).metric_name(name);
    let mut found = Vec::new();
    let take = |page: ListMetricsOutput| {
        for metric in page.metrics() {
            if let [only] = metric.dimensions()
                && only.name() == Some(INSTANCE)
            {
                found.extend(only.value().map(str::to_owned));
            }
        }
    };
    seat.listing(LIST_METRICS, pages_of!(request), deadline, take).await?;
    Ok(found)
}

/// The queues that something was sent to lately, by name.
pub(in super::super) async fn queues(
    seat: &Seat,
    deadline: Deadline,
) -> Result<Vec<String>, Fault> {
    let request = seat.cloudwatch.list_metrics().namespace("AWS/SQS");
    let request = request.metric_name("NumberOfMessagesSent");
    let mut found = BTreeSet::new();
    let take = |page: ListMetricsOutput| {
        for metric in page.metrics() {
            if let [only] = metric.dimensions()
                && only.name() == Some("QueueName")
            {
                found.extend(only.value().map(str::to_owned));
            }
        }
    };
    seat.listing(LIST_METRICS, pages_of!(request), deadline, take).await?;
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::types::{Metric, MetricDataQuery, MetricStat};

    use super::*;

    #[test]
    fn an_alarm_is_about_the_machines_of_its_metrics() {
        let dimension =
            |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
        let metric = Metric::builder().dimensions(dimension(DATABASE, "db-1")).build();
        let stat = MetricStat::builder().metric(metric).build();
        let alarm = MetricAlarm::builder()
            .dimensions(dimension("AutoScalingGroupName", "web"))
            .dimensions(dimension(INSTANCE, "i-1"))
            .metrics(MetricDataQuery::builder().id("m1").metric_stat(stat).build())
            .metrics(MetricDataQuery::builder().id("e1").expression("m1 * 2").build())
            .build();
        let found = subjects(&alarm);
        let expected = [(DATABASE, "db-1".to_owned()), (INSTANCE, "i-1".to_owned())];
        assert_eq!(found, BTreeSet::from(expected));
    }
}
