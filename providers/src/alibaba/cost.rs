//! What the adapter needs and costs: permissions, and calls a month.

use std::collections::BTreeMap;

use fleet::Seconds;

use super::estate::{READS, WRITES};
use super::groups::{
    DESCRIBE_ACTIVITIES, DESCRIBE_GROUPS, DESCRIBE_MEMBERS, DESCRIBE_RULES, DESCRIBE_TASKS, NAMES,
    PAGE,
};
use super::metrics::{DESCRIBE_METRICS, DIMENSIONS};
use super::regions::DESCRIBE_REGIONS;
use super::rooms::{ACCOUNT_ATTRIBUTES, LIMITATION, SWITCHES};
use super::write::{MODIFY, SCALE};
use crate::cost::pages;
use crate::{Expected, Permissions, Volume};

/// The older name of the permission to read metrics, which some accounts still go by.
pub(super) const QUERY_METRICS: &str = "cms:QueryMetricList";

/// The RAM actions that are called.
pub fn required_permissions() -> Permissions {
    let read = [
        DESCRIBE_GROUPS,
        DESCRIBE_MEMBERS,
        DESCRIBE_ACTIVITIES,
        DESCRIBE_RULES,
        DESCRIBE_TASKS,
        DESCRIBE_METRICS,
        ACCOUNT_ATTRIBUTES,
        DESCRIBE_REGIONS,
        LIMITATION,
        SWITCHES.call,
    ];
    let older = std::iter::once(QUERY_METRICS.to_owned());
    Permissions {
        read: read.iter().chain(&READS).map(|call| call.permission()).chain(older).collect(),
        write: [SCALE, MODIFY].iter().chain(&WRITES).map(|call| call.permission()).collect(),
    }
}

/// The calls of one account and region in a month in which nothing happens; they cost nothing as
/// long as those for metrics are within the free ones.
///
/// A group that changes adds a call for its activities in each cycle of the change, and a write
/// adds four calls before it and three after. Groups are taken to have up to a hundred members.
/// The first back-fill is not counted: a call for each 1,440 samples.
pub fn expected_calls(volume: Volume) -> Expected {
    let cycles = volume.cycles();
    let each = |span: Seconds| volume.each_cycle_at_most(span);
    let sweeps = each(Seconds::minutes(5)) * pages(volume.groups, PAGE);
    let activities = volume.groups * each(Seconds::minutes(10));
    // Each kind fills its last call only in part: never fewer calls than there will be.
    let full = volume.metrics / u64::try_from(DIMENSIONS).unwrap_or(u64::MAX);
    let metric_calls = (volume.metric_kinds + full) * cycles;
    let calls = BTreeMap::from([
        (DESCRIBE_GROUPS.permission(), pages(volume.groups, NAMES) * cycles),
        (DESCRIBE_MEMBERS.permission(), volume.groups * cycles),
        (DESCRIBE_RULES.permission(), sweeps),
        (DESCRIBE_TASKS.permission(), sweeps),
        (DESCRIBE_ACTIVITIES.permission(), activities),
        (DESCRIBE_METRICS.permission(), metric_calls),
    ]);
    Expected { calls, metrics: volume.metric_reads, usd_micros: 0 }
}

/// Those of the calls that count against the month's free ones.
pub fn metric_calls(expected: &Expected) -> u64 {
    expected.calls.get(&DESCRIBE_METRICS.permission()).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_of_thirty_groups_at_one_minute() {
        let volume = Volume {
            groups: 30,
            metrics: 60,
            metric_reads: 2_592_000,
            metric_kinds: 3,
            poll_interval: Seconds(60),
        };
        let expected = expected_calls(volume);
        let calls: Vec<(&str, u64)> =
            expected.calls.iter().map(|(call, count)| (call.as_str(), *count)).collect();
        assert_eq!(
            calls,
            [
                ("cms:DescribeMetricList", 4 * 43_200),
                ("ess:DescribeScalingActivities", 30 * 4_320),
                ("ess:DescribeScalingGroups", 2 * 43_200),
                ("ess:DescribeScalingInstances", 30 * 43_200),
                ("ess:DescribeScalingRules", 8_640),
                ("ess:DescribeScheduledTasks", 8_640),
            ]
        );
        assert_eq!(metric_calls(&expected), 172_800);
        assert_eq!((expected.metrics, expected.usd_micros), (60 * 43_200, 0));
    }

    #[test]
    fn the_policies_that_are_shipped_allow_just_what_is_called() {
        required_permissions().assert_shipped("alibaba");
    }
}
