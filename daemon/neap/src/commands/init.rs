//! `neap init`: a configuration from what the read-only role sees.
//!
//! `look.rs` asks the cloud; `find.rs`, `guess.rs`, `fit.rs` and `idle.rs` make guesses of what it
//! answers, `render.rs` prints them with `described.rs` and `text.rs`, all without a clock or a cloud.

mod described;
mod find;
mod fit;
mod guess;
mod idle;
mod look;
mod render;
#[cfg(test)]
mod tests;
mod text;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;
use config::{AlibabaConfig, ApiBudget, AwsConfig, CloudAccount, ProviderConfig};
use fleet::group::GroupState;
use fleet::{ProviderName, Region};

use crate::adapters;
use crate::clock::System;
use crate::options::{self, WrongUsage};

const EXAMPLES: &str = "\
Examples:
  neap init --provider aws --region eu-west-1 > neap.toml
  neap init --provider aws --region eu-west-1 --region us-east-1 \\
      --account-role arn:aws:iam::111122223333:role/neap-read > neap.toml
  neap init --provider alibaba --region ap-southeast-1 > neap.toml

To see at once what neap would do with it:
  neap init --provider aws --region eu-west-1 | neap plan --config -

Reads with the credentials that the cloud's own tools find, and changes nothing. Finds what feeds each
group (load balancers, target groups, queues), what a unit carries (the group's own policy, or two
weeks of load and CPU), lead times, prices and machines that look forgotten. Each guess carries a
comment with its evidence; what cannot be sized yet is printed behind a #, with what is missing.
Exits with 3 if a region could not be read. What could be read is still printed.";

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
}

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
    let gathered = runtime.block_on(look::look(args.provider, cloud.as_ref()));
    let text = render::render(args, &gathered.found(args.provider));
    crate::output::stdout().write_all(text.as_bytes())?;
    for fault in &gathered.dead {
        writeln!(crate::output::stderr(), "{fault}")?;
    }
    let complete = gathered.dead.is_empty();
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
