//! What the adapter needs and costs: permissions, calls and US dollars a month.

use std::collections::BTreeMap;

use fleet::Seconds;

use super::USD_MICROS_PER_THOUSAND_METRICS;
use super::estate::{READS, WRITES};
use super::groups::DESCRIBE_REFRESHES;
use super::listings::{
    DESCRIBE_ACTIVITIES, DESCRIBE_GROUPS, DESCRIBE_INSTANCES, DESCRIBE_POLICIES,
    DESCRIBE_SCHEDULED, PAGE,
};
use super::metrics::GET_METRIC_DATA;
use super::regions::DESCRIBE_REGIONS;
use super::rooms::{DESCRIBE_SUBNETS, GET_QUOTA};
use super::write::{SET_DESIRED, UPDATE_GROUP};
use crate::call::Call;
use crate::cost::{pages, times_a_month};
use crate::{Expected, Permissions, Volume};

/// What EC2 does on a caller's behalf, who must be allowed to it: a grant of a customer's key, without
/// which no instance with disks encrypted by it starts. [EC2 User Guide, "Amazon EBS encryption"]
const CREATE_GRANT: Call = Call::write("kms", "CreateGrant");

/// The IAM actions that are called. `sts:GetCallerIdentity` needs no permission.
pub fn required_permissions() -> Permissions {
    let read = [
        DESCRIBE_GROUPS,
        DESCRIBE_REFRESHES,
        DESCRIBE_POLICIES,
        DESCRIBE_ACTIVITIES,
        DESCRIBE_SCHEDULED,
        GET_METRIC_DATA,
        DESCRIBE_INSTANCES,
        DESCRIBE_REGIONS,
        DESCRIBE_SUBNETS,
        GET_QUOTA,
    ];
    let write = [SET_DESIRED, UPDATE_GROUP, CREATE_GRANT];
    Permissions {
        read: read.iter().chain(&READS).map(|call| call.permission()).collect(),
        write: write.iter().chain(&WRITES).map(|call| call.permission()).collect(),
    }
}

/// The calls of one account and region in a month in which nothing happens.
///
/// A group that changes adds a call for its activities in each cycle of the change, and a write
/// adds three calls before it and three after. Policies and scheduled actions are counted as one
/// page for every 100 groups. The first back-fill is not counted: one metric each.
pub fn expected_calls(volume: Volume) -> Expected {
    let cycles = volume.cycles();
    let each = |span: Seconds| volume.each_cycle_at_most(span);
    let sweeps = each(Seconds::minutes(5)) * pages(volume.groups, PAGE);
    let metrics = volume.metric_reads;
    let calls = BTreeMap::from([
        (DESCRIBE_GROUPS.permission(), pages(volume.groups, PAGE) * cycles),
        (DESCRIBE_POLICIES.permission(), sweeps),
        (DESCRIBE_SCHEDULED.permission(), sweeps),
        (DESCRIBE_ACTIVITIES.permission(), volume.groups * each(Seconds::minutes(10))),
        (DESCRIBE_REFRESHES.permission(), volume.groups * each(Seconds::minutes(15))),
        (GET_METRIC_DATA.permission(), volume.metrics.div_ceil(500) * cycles),
    ]);
    Expected { calls, metrics, usd_micros: metrics * USD_MICROS_PER_THOUSAND_METRICS / 1000 }
}

/// Metrics asked for to know what an instance did in an hour, agents' included: what one asking
/// costs at most.
const USAGE_METRICS: u64 = 11;

/// What reading the use of so many instances costs in a month, in millionths of a US dollar, when
/// each is asked for once in `every`.
pub fn usage_usd_micros(instances: u64, every: Seconds) -> u64 {
    instances * USAGE_METRICS * times_a_month(every) * USD_MICROS_PER_THOUSAND_METRICS / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_instances_read_each_hour_cost_eight_dollars() {
        let (hour, day) = (Seconds::hours(1), Seconds::days(1));
        assert_eq!(usage_usd_micros(100, hour), 7_920_000);
        assert_eq!(usage_usd_micros(100, hour), 24 * usage_usd_micros(100, day));
    }

    #[test]
    fn a_month_of_fifty_groups_at_one_minute() {
        let volume = Volume {
            groups: 50,
            metrics: 100,
            metric_reads: 4_320_000,
            metric_kinds: 100,
            poll_interval: Seconds(60),
        };
        let expected = expected_calls(volume);
        let calls: Vec<(&str, u64)> =
            expected.calls.iter().map(|(call, count)| (call.as_str(), *count)).collect();
        assert_eq!(
            calls,
            [
                ("autoscaling:DescribeAutoScalingGroups", 43_200),
                ("autoscaling:DescribeInstanceRefreshes", 50 * 2_880),
                ("autoscaling:DescribePolicies", 8_640),
                ("autoscaling:DescribeScalingActivities", 50 * 4_320),
                ("autoscaling:DescribeScheduledActions", 8_640),
                ("cloudwatch:GetMetricData", 43_200),
            ]
        );
        assert_eq!(expected.metrics, 100 * 43_200);
        // 4.32 million metrics at $0.01 per 1,000.
        assert_eq!(expected.usd_micros, 43_200_000);
        let twice = expected.clone().plus(&expected);
        assert_eq!(twice.calls_total(), 2 * expected.calls_total());
        assert_eq!(twice.usd_micros, 86_400_000);
    }

    #[test]
    fn a_slow_poll_never_costs_more_than_a_fast_one() {
        let at = |seconds| {
            let poll_interval = Seconds(seconds);
            let metric_reads = 1001 * crate::reads_a_month(Seconds(60), poll_interval);
            let (groups, metrics, metric_kinds) = (501, 1001, 1001);
            expected_calls(Volume { groups, metrics, metric_reads, metric_kinds, poll_interval })
        };
        let (fast, slow) = (at(60), at(3600));
        for (call, count) in &slow.calls {
            assert!(count <= &fast.calls[call], "{call}");
        }
        assert!(slow.calls_total() < fast.calls_total());
    }

    #[test]
    fn the_policies_that_are_shipped_allow_just_what_is_called() {
        required_permissions().assert_shipped("aws");
    }

    /// The documentation makes the policies of other partitions with one `sed`.
    #[test]
    fn policies_of_other_partitions_differ_by_the_name_of_the_partition_alone() {
        for role in ["observer", "actor"] {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/");
            let policy =
                std::fs::read_to_string(format!("{folder}aws-{role}-policy.json")).unwrap();
            for other in ["aws-cn", "aws-us-gov", "aws-eusc"] {
                let made = policy.replace("arn:aws:", &format!("arn:{other}:"));
                let value: serde_json::Value = serde_json::from_str(&made).unwrap();
                assert!(value["Statement"].is_array(), "{role} {other}");
                // No ARN, service or host of the commercial partition is left.
                for word in made.split('"').filter(|word| word.contains("arn:")) {
                    assert!(word.starts_with(&format!("arn:{other}:")), "{role}: {word}");
                }
                assert!(!made.contains("amazonaws"), "{role} {other}");
            }
        }
    }
}
