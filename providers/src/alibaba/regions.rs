//! Finds the regions that accounts may use.

use std::sync::Arc;

use fleet::{AccountId, Fault, FaultKind, Region};
use serde_json::Value;

use super::access::Access;
use super::endpoint::Product;
use crate::Deadline;
use crate::call::Call;
use crate::places;

pub(super) const DESCRIBE_REGIONS: Call = Call::read("ecs", "DescribeRegions");

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
    let seat = access.seat(DESCRIBE_REGIONS, &account, &access.settings.home_region())?;
    let params = seat.params();
    let answer: Value = seat.call(DESCRIBE_REGIONS, Product::Ecs, params, deadline).await?;
    let listed = answer.pointer("/Regions/Region").and_then(Value::as_array).ok_or_else(|| {
        DESCRIBE_REGIONS.fault(FaultKind::Unreadable, "an answer without regions")
    })?;
    let names =
        listed.iter().filter_map(|region| region["RegionId"].as_str().and_then(Region::new));
    access.found.keep(DESCRIBE_REGIONS, account, names.collect())
}
