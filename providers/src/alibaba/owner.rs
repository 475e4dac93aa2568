//! Which orchestrator owns a scaling group, told from its tags.

use std::collections::BTreeMap;

use fleet::group::Owner;

/// Keys that begin so, and whose they are. The one that sizes the group comes first.
const SIGNS: &[(&str, &str)] = &[
    ("karpenter.sh/", "Karpenter"),
    ("goatscaler.io/", "ACK node autoscaling"),
    ("k8s.io/cluster-autoscaler", "cluster-autoscaler"),
    ("k8s.io/", "Kubernetes"),
    ("ack.aliyun.com", "ACK"),
    ("ack.alibabacloud.com", "ACK"),
    ("alibabacloud.com/nodepool-id", "ACK"),
    ("kubernetes.io/cluster/", "Kubernetes"),
    ("kubernetes.do.not.delete", "Kubernetes"),
    ("acs:emr:", "EMR"),
    ("acs:ehpc:", "E-HPC"),
    ("acs:rocketmq:", "RocketMQ"),
];

/// The orchestrator that owns a group.
pub(super) fn owner(tags: &BTreeMap<String, String>) -> Option<Owner> {
    let orchestrator = SIGNS.iter().find_map(|(prefix, name)| {
        let (key, value) = tags.iter().find(|(key, _)| key.starts_with(prefix))?;
        Some(Owner { name: (*name).to_owned(), evidence: format!("tag `{key}={value}`") })
    });
    Owner::by_request(tags).or(orchestrator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_tell_the_owner() {
        type Tags<'a> = &'a [(&'a str, &'a str)];
        let table: &[(Tags<'_>, Option<&str>)] = &[
            (&[], None),
            (&[("env", "prod"), ("acs:rm:rgId", "rg-1")], None),
            (&[("neap:managed", "true")], None),
            (&[("neap:managed", "false")], Some("its operator: tag `neap:managed=false`")),
            (&[("ack.aliyun.com", "c1")], Some("ACK: tag `ack.aliyun.com=c1`")),
            (
                &[("ack.aliyun.com", "c1"), ("k8s.io/cluster-autoscaler", "true")],
                Some("cluster-autoscaler: tag `k8s.io/cluster-autoscaler=true`"),
            ),
        ];
        for (tags, expected) in table {
            let tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let found = owner(&tags).map(|owner| format!("{}: {}", owner.name, owner.evidence));
            assert_eq!(found.as_deref(), *expected, "{tags:?}");
        }
    }
}
