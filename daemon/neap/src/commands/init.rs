//! `neap init`: a configuration from what the read-only role sees.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use config::{AlibabaConfig, ApiBudget, AwsConfig, CloudAccount, Defaults, ProviderConfig};
use fleet::group::{ActivityKind, ActivityStatus, GroupState, NativePolicy};
use fleet::{Fault, ProviderName, Region, Seconds};
use providers::Deadline;

use crate::adapters;
use crate::clock::System;
use crate::options::{self, WrongUsage};

const EXAMPLES: &str = "\
Examples:
  neap init --provider aws --region eu-west-1 > neap.toml
  neap init --provider aws --region eu-west-1 --region us-east-1 \\
      --account-role arn:aws:iam::111122223333:role/neap-read > neap.toml
  neap init --provider alibaba --region ap-southeast-1 > neap.toml

Reads groups with the credentials that the cloud's own tools find, and changes nothing. neap cannot
guess the demand of a service: `neap check` names each service that still lacks it. Exits with 3 if
a region could not be read. What could be read is still printed.";

/// What `neap init` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct InitArgs {
    /// The cloud to look at: `alibaba` or `aws`.
    #[arg(long, value_name = "PROVIDER", default_value = "aws", hide_possible_values = true)]
    pub provider: Cloud,
    /// A region to look at; may be repeated.
    #[arg(long = "region", value_name = "REGION", required = true)]
    pub regions: Vec<String>,
    /// A role to look with, one per account [default: the account of the credentials].
    #[arg(long = "account-role", value_name = "ARN")]
    pub account_roles: Vec<String>,
    /// The external id that the roles require.
    #[arg(long, value_name = "ID")]
    pub external_id: Option<String>,
    /// The address of all services, for private endpoints.
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
}

/// The clouds that can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cloud {
    /// Alibaba Cloud.
    Alibaba,
    /// Amazon Web Services.
    Aws,
}

impl Cloud {
    /// The provider's name and kind.
    fn name(self) -> &'static str {
        match self {
            Cloud::Alibaba => "alibaba",
            Cloud::Aws => "aws",
        }
    }

    /// The commonest metric of total load, with a gap for the load balancer's name.
    fn demand(self) -> &'static str {
        match self {
            Cloud::Alibaba => {
                "namespace = \"acs_alb\", metric = \"LoadBalancerQPS\", stat = \"Average\", \
                 dimensions = { loadBalancerId = \"alb-ID\" }"
            }
            Cloud::Aws => {
                "namespace = \"AWS/ApplicationELB\", metric = \"RequestCount\", stat = \"Sum\", \
                 dimensions = { LoadBalancer = \"app/NAME/ID\" }, when_missing = \"zero\""
            }
        }
    }

    /// What one unit carries: learned where the cloud measures a group's utilisation by itself.
    fn capacity(self) -> String {
        match self {
            Cloud::Alibaba => {
                "# What one unit carries of the demand: fill it in, take the # away.\n\
                               # capacity_per_unit = 100.0\n"
                    .to_owned()
            }
            Cloud::Aws => format!(
                "capacity_per_unit = \"learn\"\ntarget_utilisation = \"{}\"\n",
                planner::policy::PoolPolicy::TARGET_UTILISATION
            ),
        }
    }
}

/// How long looking around may take.
const LOOK_WITHIN: Duration = Duration::from_secs(60);

/// Prints a configuration.
///
/// # Errors
/// Where an argument is no region or role, or stdout cannot be written.
pub fn run(args: &InitArgs) -> anyhow::Result<ExitCode> {
    let name = args.provider.name();
    let name = ProviderName::new(name).with_context(|| format!("`{name}` is a sound name"))?;
    let provider = match args.provider {
        Cloud::Alibaba => ProviderConfig::Alibaba(alibaba_config(args)?),
        Cloud::Aws => ProviderConfig::Aws(aws_config(args)?),
    };
    let cloud = adapters::adapter(&name, &provider, Arc::new(System))
        .map_err(|error| WrongUsage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (inventory, deadline) = (cloud.inventory(), Deadline::within(LOOK_WITHIN));
    let places = inventory.places();
    let looks = places.iter().map(|place| inventory.discover(place, deadline));
    let found = runtime.block_on(futures_util::future::join_all(looks));
    crate::output::stdout().write_all(render(args, &found).as_bytes())?;
    for fault in found.iter().filter_map(|place| place.as_ref().err()) {
        writeln!(crate::output::stderr(), "{fault}")?;
    }
    let complete = found.iter().all(Result::is_ok);
    Ok(ExitCode::from(if complete { options::DONE } else { options::FAILED }))
}

fn aws_config(args: &InitArgs) -> Result<AwsConfig, WrongUsage> {
    Ok(AwsConfig {
        every_region: false,
        regions: regions(args)?,
        accounts: accounts(args, "aws")?,
        endpoint_url: args.endpoint_url.clone(),
        api_budget: ApiBudget::default(),
    })
}

fn alibaba_config(args: &InitArgs) -> Result<AlibabaConfig, WrongUsage> {
    Ok(AlibabaConfig {
        every_region: false,
        regions: regions(args)?,
        accounts: accounts(args, "alibaba")?,
        vpc_endpoints: false,
        endpoint_url: args.endpoint_url.clone(),
        metric_calls_monthly: adapters::ALIBABA_FREE_METRIC_CALLS_MONTHLY,
    })
}

fn regions(args: &InitArgs) -> Result<Vec<Region>, WrongUsage> {
    let region = |text: &String| {
        Region::new(text.clone()).ok_or_else(|| WrongUsage(format!("`{text}` is no region")))
    };
    args.regions.iter().map(region).collect()
}

/// The accounts of a kind of cloud that are entered through the roles named.
fn accounts(args: &InitArgs, kind: &str) -> Result<Vec<CloudAccount>, WrongUsage> {
    let entered = |arn: &String| {
        let id = adapters::role_account(kind, arn).map_err(|why| WrongUsage(why.to_string()))?;
        let (role_arn, external_id) = (Some(arn.clone()), args.external_id.clone());
        Ok(CloudAccount { id, role_arn, external_id })
    };
    args.account_roles.iter().map(entered).collect()
}

/// A configuration as text: the provider, and a service for every group that may be sized.
fn render(args: &InitArgs, found: &[Result<Vec<GroupState>, Fault>]) -> String {
    let mut groups: Vec<&GroupState> = found.iter().flatten().flatten().collect();
    groups.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let (taken, left): (Vec<&GroupState>, Vec<&GroupState>) =
        groups.iter().partition(|group| why_left(group).is_none());
    let mut text = head(args);
    let several = args.account_roles.len() > 1;
    let names = service_names(&taken);
    for group in &taken {
        let name = names.get(&group.id.to_string()).map_or(group.name.as_str(), String::as_str);
        text.push_str(&service(args.provider, group, name, several));
    }
    let faults: Vec<String> = found
        .iter()
        .filter_map(|place| place.as_ref().err())
        .map(|fault| format!("# could not be read: {}\n", one_line(&fault.to_string())))
        .collect();
    if !left.is_empty() || !faults.is_empty() {
        text.push_str("\n# Left out:\n");
    }
    for group in &left {
        let why = why_left(group).unwrap_or_default();
        let (name, region) = (one_line(&group.name), &group.id.region);
        let _ = writeln!(text, "# group `{name}` in {region}: {}", one_line(&why));
    }
    text + &faults.concat()
}

fn head(args: &InitArgs) -> String {
    let cloud = args.provider.name();
    let regions: Vec<String> = args.regions.iter().map(|region| quoted(region)).collect();
    let mut text = format!(
        "# Made by `neap init`. `neap check` names what is still missing, `neap plan` shows what neap\n\
         # would do. Nothing is changed before `mode` is \"act\".\n\
         mode = \"observe\"\n\
         poll_interval = \"{}\"\n\
         state_dir = \"{}\"\n\
         kill_switch = \"{}\"\n\
         \n\
         [provider.{cloud}]\n\
         kind = \"{cloud}\"\n\
         regions = [{}]\n",
        Defaults::POLL_INTERVAL,
        Defaults::STATE_DIR,
        Defaults::KILL_SWITCH,
        regions.join(", ")
    );
    if !args.account_roles.is_empty() {
        let external = args.external_id.as_deref();
        let external = external.map(|id| format!(", external_id = {}", quoted(id)));
        let external = external.unwrap_or_default();
        let role = |arn: &String| format!("    {{ role_arn = {}{external} }},\n", quoted(arn));
        let roles: String = args.account_roles.iter().map(role).collect();
        let _ = writeln!(text, "accounts = [\n{roles}]");
    }
    if let Some(url) = &args.endpoint_url {
        let _ = writeln!(text, "endpoint_url = {}", quoted(url));
    }
    text
}

/// The group's name, with region and account where another group has the same.
fn service_names(groups: &[&GroupState]) -> BTreeMap<String, String> {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for group in groups {
        *seen.entry(&group.name).or_default() += 1;
    }
    let name = |group: &&GroupState| match seen.get(group.name.as_str()) {
        Some(1) => group.name.clone(),
        _ => format!("{}-{}-{}", group.name, group.id.region, group.id.account),
    };
    groups.iter().map(|group| (group.id.to_string(), name(group))).collect()
}

/// Why neap would not size a group.
fn why_left(group: &GroupState) -> Option<String> {
    if let Some(owner) = &group.owner {
        return Some(format!("{} owns it ({})", owner.name, owner.evidence));
    }
    if group.max.0 == 0 {
        return Some("its maximum is 0".to_owned());
    }
    if fleet::ServiceName::new(group.name.clone()).is_none() {
        return Some("its name cannot be written in a configuration".to_owned());
    }
    None
}

fn service(cloud: Cloud, group: &GroupState, name: &str, several_accounts: bool) -> String {
    let mut text = String::from("\n");
    let region = &group.id.region;
    let _ = writeln!(text, "# {}", one_line(&described(group)));
    let _ = writeln!(text, "[[service]]\nname = {}", quoted(name));
    let _ = writeln!(
        text,
        "# The total load, such as the requests of the load balancer: fill in its name, take the # away.\n\
         # demand = [{{ from = \"{}\", region = \"{region}\", {} }}]\n\
         \n\
         [[service.pool]]\n\
         provider = \"{}\"\n\
         region = \"{region}\"",
        cloud.name(),
        cloud.demand(),
        cloud.name()
    );
    if several_accounts {
        let _ = writeln!(text, "account = \"{}\"", group.id.account);
    }
    let actuate = if scales_by_itself(group).is_empty() { "desired" } else { "floor" };
    let _ = writeln!(
        text,
        "group = {}\n\
         {}\
         lead_time = \"{}\"\n\
         actuate = \"{actuate}\"\n\
         min = {}\n\
         max = {}",
        quoted(&group.name),
        cloud.capacity(),
        lead_time(group),
        group.min.0,
        group.max.0
    );
    text
}

fn described(group: &GroupState) -> String {
    let mut text = format!(
        "Group `{}` in {}: {} now, {} to {}.",
        group.name, group.id.region, group.desired, group.min.0, group.max
    );
    for policy in scales_by_itself(group) {
        let what = if policy.scales_in { "scales out and in" } else { "scales out" };
        let _ = write!(text, " Its policy `{}` {what}.", policy.name);
    }
    text
}

fn scales_by_itself(group: &GroupState) -> Vec<&NativePolicy> {
    group.policies.iter().filter(|policy| policy.enabled).collect()
}

/// The longest launch among the group's newest activities, else the default.
fn lead_time(group: &GroupState) -> Seconds {
    let launches = group.activities.iter().filter(|activity| {
        activity.kind == ActivityKind::Launch && activity.status == ActivityStatus::Successful
    });
    let longest = launches.filter_map(|a| Some(a.ended_at?.since(a.started_at))).max();
    // Never nothing, and no longer than a configuration may say.
    longest.map_or(Defaults::LEAD_TIME, |span| Seconds(span.0.clamp(1, Seconds::days(1).0)))
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Line breaks would end a comment.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use fleet::group::{Activity, Cause, NativePolicyKind, Owner};
    use fleet::{AccountId, FaultKind, GroupId, Timestamp, Units};

    use super::*;

    fn group(name: &str, region: &str) -> GroupState {
        GroupState {
            id: GroupId {
                provider: ProviderName::new("aws").unwrap(),
                account: AccountId::new("default").unwrap(),
                region: Region::new(region).unwrap(),
                id: format!("arn:{region}:{name}"),
            },
            name: name.to_owned(),
            read_at: Timestamp(0),
            desired: Units(3),
            min: Units(2),
            max: Units(9),
            instances: Vec::new(),
            tags: BTreeMap::new(),
            suspended: Default::default(),
            refresh: None,
            policies: Vec::new(),
            scheduled: Vec::new(),
            owner: None,
            new_instances_protected: false,
            health_check_grace: Seconds(0),
            warm_up: None,
            activities: Vec::new(),
            serving: fleet::group::MembersServing::Untold,
            buys_spot: false,
        }
    }

    fn launch(seconds: i64) -> Activity {
        Activity {
            id: "1".to_owned(),
            started_at: Timestamp(0),
            ended_at: Some(Timestamp(seconds)),
            kind: ActivityKind::Launch,
            status: ActivityStatus::Successful,
            cause: Cause::UserRequest,
            cause_text: String::new(),
            capacity_set_to: None,
            launch: None,
        }
    }

    fn args(regions: &[&str]) -> InitArgs {
        InitArgs {
            provider: Cloud::Aws,
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            account_roles: vec!["arn:aws:iam::111122223333:role/neap-read".to_owned()],
            external_id: Some("f3\"c1".to_owned()),
            endpoint_url: None,
        }
    }

    fn fleet() -> Vec<Result<Vec<GroupState>, Fault>> {
        let web =
            GroupState { activities: vec![launch(95), launch(130)], ..group("web", "eu-west-1") };
        let policy = NativePolicy {
            name: "cpu70".to_owned(),
            kind: NativePolicyKind::TargetTracking,
            enabled: true,
            scales_in: true,
        };
        let search = GroupState { policies: vec![policy], ..group("search", "eu-west-1") };
        let evidence = "tag `eks:nodegroup-name`\nmode = \"act\"".to_owned();
        let owner = Some(Owner { name: "EKS".to_owned(), evidence });
        let nodes = GroupState { owner, ..group("nodes", "eu-west-1") };
        let empty = GroupState { max: Units(0), min: Units(0), ..group("old", "eu-west-1") };
        let denied = Fault {
            kind: FaultKind::Denied { permission: None },
            operation: "DescribeAutoScalingGroups".to_owned(),
            detail: "no\nway".to_owned(),
            request_id: None,
        };
        vec![Ok(vec![web, search, nodes, empty]), Err(denied), Ok(vec![group("web", "us-east-1")])]
    }

    #[test]
    fn what_is_printed_is_one_service_a_group_and_reasons_for_the_rest() {
        insta::assert_snapshot!(render(&args(&["eu-west-1", "us-east-1"]), &fleet()), @r#"
        # Made by `neap init`. `neap check` names what is still missing, `neap plan` shows what neap
        # would do. Nothing is changed before `mode` is "act".
        mode = "observe"
        poll_interval = "1m"
        state_dir = "/var/lib/neap"
        kill_switch = "/etc/neap/stop"

        [provider.aws]
        kind = "aws"
        regions = ["eu-west-1", "us-east-1"]
        accounts = [
            { role_arn = "arn:aws:iam::111122223333:role/neap-read", external_id = 'f3"c1' },
        ]

        # Group `search` in eu-west-1: 3 units now, 2 to 9 units. Its policy `cpu70` scales out and in.
        [[service]]
        name = "search"
        # The total load, such as the requests of the load balancer: fill in its name, take the # away.
        # demand = [{ from = "aws", region = "eu-west-1", namespace = "AWS/ApplicationELB", metric = "RequestCount", stat = "Sum", dimensions = { LoadBalancer = "app/NAME/ID" }, when_missing = "zero" }]

        [[service.pool]]
        provider = "aws"
        region = "eu-west-1"
        group = "search"
        capacity_per_unit = "learn"
        target_utilisation = "70%"
        lead_time = "5m"
        actuate = "floor"
        min = 2
        max = 9

        # Group `web` in eu-west-1: 3 units now, 2 to 9 units.
        [[service]]
        name = "web-eu-west-1-default"
        # The total load, such as the requests of the load balancer: fill in its name, take the # away.
        # demand = [{ from = "aws", region = "eu-west-1", namespace = "AWS/ApplicationELB", metric = "RequestCount", stat = "Sum", dimensions = { LoadBalancer = "app/NAME/ID" }, when_missing = "zero" }]

        [[service.pool]]
        provider = "aws"
        region = "eu-west-1"
        group = "web"
        capacity_per_unit = "learn"
        target_utilisation = "70%"
        lead_time = "2m10s"
        actuate = "desired"
        min = 2
        max = 9

        # Group `web` in us-east-1: 3 units now, 2 to 9 units.
        [[service]]
        name = "web-us-east-1-default"
        # The total load, such as the requests of the load balancer: fill in its name, take the # away.
        # demand = [{ from = "aws", region = "us-east-1", namespace = "AWS/ApplicationELB", metric = "RequestCount", stat = "Sum", dimensions = { LoadBalancer = "app/NAME/ID" }, when_missing = "zero" }]

        [[service.pool]]
        provider = "aws"
        region = "us-east-1"
        group = "web"
        capacity_per_unit = "learn"
        target_utilisation = "70%"
        lead_time = "5m"
        actuate = "desired"
        min = 2
        max = 9

        # Left out:
        # group `nodes` in eu-west-1: EKS owns it (tag `eks:nodegroup-name` mode = "act")
        # group `old` in eu-west-1: its maximum is 0
        # could not be read: `DescribeAutoScalingGroups` denied: no way
        "#);
    }

    /// `check` names what only the operator knows, and nothing else.
    #[test]
    fn what_is_printed_lacks_only_the_demand() {
        let text = render(&args(&["eu-west-1", "us-east-1"]), &fleet());
        let faults = crate::settings::parse("neap.toml", &text).unwrap_err();
        let shown: Vec<String> = faults.iter().map(|fault| fault.key.clone()).collect();
        assert_eq!(
            shown,
            [
                "service.search.demand",
                "service.web-eu-west-1-default.demand",
                "service.web-us-east-1-default.demand"
            ]
        );
        let filled =
            crate::settings::parse("neap.toml", &text.replace("# demand", "demand")).unwrap();
        assert_eq!(filled.policy.services.len(), 3);
        assert_eq!(filled.policy.mode, planner::policy::Mode::Observe);
    }

    #[test]
    fn roles_and_regions_are_checked_before_anything_is_asked() {
        assert!(aws_config(&args(&["eu-west-1"])).is_ok());
        assert!(aws_config(&args(&[" "])).is_err());
        let role = InitArgs { account_roles: vec!["neap".to_owned()], ..args(&["eu-west-1"]) };
        assert!(aws_config(&role).unwrap_err().to_string().contains("role ARN"));
    }
}
