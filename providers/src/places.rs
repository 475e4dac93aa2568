//! Accounts and regions: what is asked is shared out by place, so that a slow or dead one spoils its
//! own answers alone.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use fleet::group::GroupState;
use fleet::{AccountId, Fault, GroupRef, Region};
use tokio::task::JoinSet;

/// An account in a region.
pub(crate) type Place = (AccountId, Region);

/// The account's name where the credentials decide which one it is.
pub(crate) const DEFAULT_ACCOUNT: &str = "default";

/// An account that is entered through a role.
pub(crate) trait Entered {
    /// The account that the role lives in.
    fn account(&self) -> &AccountId;
}

/// The accounts that are entered: those of the roles, or `default`.
pub(crate) fn accounts<R: Entered>(roles: &[R]) -> Vec<AccountId> {
    match roles {
        [] => AccountId::new(DEFAULT_ACCOUNT).into_iter().collect(),
        roles => roles.iter().map(|role| role.account().clone()).collect(),
    }
}

/// The role to take for an account; `None` for the credentials that are found, which serve any
/// account when no role is configured.
///
/// # Errors
/// In words, for an account that is not configured.
pub(crate) fn role_of<'r, R: Entered>(
    roles: &'r [R],
    account: &AccountId,
) -> Result<Option<&'r R>, String> {
    match roles {
        [] => Ok(None),
        [only] if account.as_str() == DEFAULT_ACCOUNT => Ok(Some(only)),
        roles => {
            let found = roles.iter().find(|role| role.account() == account);
            found.map(Some).ok_or_else(|| {
                let known: Vec<String> =
                    roles.iter().map(|role| format!("`{}`", role.account())).collect();
                format!("account `{account}` is not among those of {}", known.join(", "))
            })
        }
    }
}

/// Every account in every region.
pub(crate) fn all(accounts: &[AccountId], regions: &[Region]) -> Vec<Place> {
    let each = |account: &AccountId| {
        let account = account.clone();
        regions.iter().map(move |region| (account.clone(), region.clone()))
    };
    accounts.iter().flat_map(each).collect()
}

/// Reads all places at once: one answer each, in their order, `lost` where reading was broken off.
pub(crate) async fn each<T, F>(
    places: Vec<Place>,
    lost: &Fault,
    read: impl Fn(Place) -> F,
) -> Vec<Result<T, Fault>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Fault>> + Send + 'static,
{
    let count = places.len();
    let mut jobs = JoinSet::new();
    for (index, place) in places.into_iter().enumerate() {
        let read = read(place);
        jobs.spawn(async move { (index, read.await) });
    }
    let mut answers = BTreeMap::new();
    while let Some(done) = jobs.join_next().await {
        answers.extend(done.ok());
    }
    (0..count).map(|n| answers.remove(&n).unwrap_or_else(|| Err(lost.clone()))).collect()
}

/// What the groups of one place came to, by name.
pub(crate) type Answers = BTreeMap<String, Result<GroupState, Fault>>;

/// Reads groups place by place: one answer each, in the order asked.
pub(crate) async fn groups<F>(
    wanted: &[GroupRef],
    lost: &Fault,
    read: impl Fn(Place, BTreeSet<String>) -> F,
) -> Vec<Result<GroupState, Fault>>
where
    F: Future<Output = Answers> + Send + 'static,
{
    let mut places: BTreeMap<Place, BTreeSet<String>> = BTreeMap::new();
    for group in wanted {
        let place = (group.account.clone(), group.region.clone());
        places.entry(place).or_default().insert(group.name.clone());
    }
    let mut jobs = JoinSet::new();
    for (place, names) in places {
        let read = read(place.clone(), names);
        jobs.spawn(async move { (place, read.await) });
    }
    let mut answers = BTreeMap::new();
    while let Some(done) = jobs.join_next().await {
        answers.extend(done.ok());
    }
    let answer = |group: &GroupRef| {
        let of_place = answers.get(&(group.account.clone(), group.region.clone()));
        let found = of_place.and_then(|answers| answers.get(&group.name)).cloned();
        found.unwrap_or_else(|| Err(lost.clone()))
    };
    wanted.iter().map(answer).collect()
}
