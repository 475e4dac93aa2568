//! Which orchestrator owns a group, told from its tags.

use std::collections::BTreeMap;

use fleet::group::Owner;

/// How a tag gives an owner away.
enum Sign {
    /// The tag has this key.
    Key(&'static str),
    /// The tag's key begins so.
    Prefix(&'static str),
    /// The tag's key begins so and its value is this.
    PrefixWith(&'static str, &'static str),
}

/// In this order: the one that sizes the group comes before the cluster it belongs to.
///
/// CloudFormation, Terraform and the like make groups and do not size them, so they are no owners.
const SIGNS: &[(Sign, &str)] = &[
    (Sign::Prefix("karpenter.sh/"), "Karpenter"),
    (Sign::Prefix("karpenter.k8s.aws/"), "Karpenter"),
    (Sign::Prefix("eks:"), "EKS"),
    (Sign::Prefix("aws:eks:"), "EKS"),
    (Sign::Prefix("k8s.io/cluster-autoscaler/"), "cluster-autoscaler"),
    (Sign::Prefix("kops.k8s.io/"), "kOps"),
    (Sign::Prefix("sigs.k8s.io/cluster-api-provider-aws/"), "Cluster API"),
    (Sign::PrefixWith("kubernetes.io/cluster/", "owned"), "Kubernetes"),
    (Sign::Key("KubernetesCluster"), "Kubernetes"),
    (Sign::Key("AmazonECSManaged"), "ECS"),
    (Sign::Prefix("aws:ecs:"), "ECS"),
    (Sign::Prefix("elasticbeanstalk:"), "Elastic Beanstalk"),
    (Sign::Key("AWSBatchServiceTag"), "AWS Batch"),
    (Sign::Prefix("aws:batch:"), "AWS Batch"),
    (Sign::Prefix("aws:elasticmapreduce:"), "EMR"),
    (Sign::Prefix("parallelcluster:"), "ParallelCluster"),
    (Sign::Prefix("opsworks:"), "OpsWorks"),
    (Sign::Prefix("spotinst:"), "Spot by Flexera"),
];

/// The orchestrator that owns a group: `principal` is the service that manages the group where
/// AWS says so itself, which outweighs any tag.
pub(super) fn owner(principal: Option<&str>, tags: &BTreeMap<String, String>) -> Option<Owner> {
    if let Some(principal) = principal {
        return Some(Owner {
            name: principal.to_owned(),
            evidence: format!("operator `{principal}`"),
        });
    }
    if let Some(people) = Owner::by_request(tags) {
        return Some(people);
    }
    SIGNS.iter().find_map(|(sign, name)| {
        let (key, value) = tags.iter().find(|(key, value)| shows(sign, key, value))?;
        Some(Owner { name: (*name).to_owned(), evidence: format!("tag `{key}={value}`") })
    })
}

fn shows(sign: &Sign, key: &str, value: &str) -> bool {
    match sign {
        Sign::Key(exact) => key == *exact,
        Sign::Prefix(prefix) => key.starts_with(prefix),
        Sign::PrefixWith(prefix, wanted) => key.starts_with(prefix) && value == *wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tags: &[(&str, &str)]) -> Option<String> {
        let tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        owner(None, &tags).map(|owner| format!("{}: {}", owner.name, owner.evidence))
    }

    #[test]
    fn tags_tell_the_owner() {
        type Tags<'a> = &'a [(&'a str, &'a str)];
        let table: &[(Tags<'_>, Option<&str>)] = &[
            (&[], None),
            (&[("Name", "web"), ("env", "prod")], None),
            (&[("neap:managed", "true")], None),
            (&[("neap:managed", "False")], Some("its operator: tag `neap:managed=False`")),
            (
                &[("neap:managed", "no"), ("karpenter.sh/nodepool", "default")],
                Some("its operator: tag `neap:managed=no`"),
            ),
            (&[("aws:cloudformation:stack-name", "web")], None),
            (&[("aws:autoscaling:groupName", "web")], None),
            (&[("kubernetes.io/cluster/blue", "shared")], None),
            (
                &[("kubernetes.io/cluster/blue", "owned")],
                Some("Kubernetes: tag `kubernetes.io/cluster/blue=owned`"),
            ),
            (
                &[
                    ("kubernetes.io/cluster/blue", "owned"),
                    ("k8s.io/cluster-autoscaler/enabled", "true"),
                ],
                Some("cluster-autoscaler: tag `k8s.io/cluster-autoscaler/enabled=true`"),
            ),
            (
                &[
                    ("eks:cluster-name", "blue"),
                    ("k8s.io/cluster-autoscaler/blue", "owned"),
                    ("kubernetes.io/cluster/blue", "owned"),
                ],
                Some("EKS: tag `eks:cluster-name=blue`"),
            ),
            (
                &[("karpenter.sh/nodepool", "default")],
                Some("Karpenter: tag `karpenter.sh/nodepool=default`"),
            ),
            (&[("AmazonECSManaged", "")], Some("ECS: tag `AmazonECSManaged=`")),
            (
                &[("elasticbeanstalk:environment-id", "e-1")],
                Some("Elastic Beanstalk: tag `elasticbeanstalk:environment-id=e-1`"),
            ),
            (&[("AWSBatchServiceTag", "batch")], Some("AWS Batch: tag `AWSBatchServiceTag=batch`")),
        ];
        for (tags, expected) in table {
            assert_eq!(of(tags).as_deref(), *expected, "{tags:?}");
        }
    }

    #[test]
    fn the_service_that_manages_a_group_outweighs_its_tags() {
        let tags = BTreeMap::from([("AmazonECSManaged".to_owned(), String::new())]);
        let owner = owner(Some("eks.amazonaws.com"), &tags).unwrap();
        assert_eq!(owner.name, "eks.amazonaws.com");
        assert_eq!(owner.evidence, "operator `eks.amazonaws.com`");
    }
}
