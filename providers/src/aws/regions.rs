//! Finds the regions that accounts have switched on.

use std::sync::Arc;

use aws_sdk_ec2::operation::describe_regions::DescribeRegionsOutput;
use fleet::{AccountId, Fault, Region};

use super::access::Access;
use crate::Deadline;
use crate::call::Call;
use crate::places;

pub(super) const DESCRIBE_REGIONS: Call = Call::read("ec2", "DescribeRegions");

/// Asks each account which regions it has, and keeps every good answer.
///
/// # Errors
/// The first account's that did not answer: what was known of it stands.
pub(super) async fn find(access: &Arc<Access>, deadline: Deadline) -> Result<(), Fault> {
    let accounts = access.settings.account_names();
    let answers = places::each(accounts, DESCRIBE_REGIONS.lost(), |account| {
        let access = Arc::clone(access);
        async move { DESCRIBE_REGIONS.by(deadline, of_account(&access, account, deadline)).await }
    });
    answers.await.into_iter().collect()
}

async fn of_account(access: &Access, account: AccountId, deadline: Deadline) -> Result<(), Fault> {
    let home = access.settings.home_region();
    let seat = access.seat(DESCRIBE_REGIONS, &account, &home).await?;
    // Those that are not switched on are left out.
    let send = seat.ec2.describe_regions().send();
    let answer = seat.call(DESCRIBE_REGIONS, deadline, send).await?;
    access.found.keep(DESCRIBE_REGIONS, account, names(&answer))
}

fn names(answer: &DescribeRegionsOutput) -> Vec<Region> {
    let on =
        answer.regions().iter().filter(|region| region.opt_in_status() != Some("not-opted-in"));
    on.filter_map(|region| region.region_name().and_then(Region::new)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_that_are_not_switched_on_are_left_out() {
        let region = |name: &str, status: Option<&str>| {
            let region = aws_sdk_ec2::types::Region::builder().region_name(name);
            region.set_opt_in_status(status.map(str::to_owned)).build()
        };
        let answer = DescribeRegionsOutput::builder()
            .regions(region("eu-west-1", Some("opt-in-not-required")))
            .regions(region("ap-east-1", Some("not-opted-in")))
            .regions(region("me-south-1", Some("opted-in")))
            .regions(region("us-east-1", None))
            .build();
        let names: Vec<String> = names(&answer).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["eu-west-1", "me-south-1", "us-east-1"]);
    }
}
