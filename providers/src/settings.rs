//! What an operator says of a cloud, whichever it is: regions, accounts, where to reach it, and how
//! much to ask.

use fleet::{AccountId, Fault, FaultKind, ProviderName, Region};

use crate::call::Call;
use crate::home::Home;
use crate::places::Place;
use crate::regions::FoundRegions;
use crate::{Budget, RoleAccount, Timeouts};

/// The account's name where the credentials decide which one it is.
const DEFAULT_ACCOUNT: &str = "default";

/// What every cloud's adapter is made from; what only one of them asks stands beside it. `S` is how
/// the cloud writes roles.
#[derive(Clone, Debug)]
pub struct CloudSettings<S> {
    pub provider: ProviderName,
    /// The regions that are looked through; groups and metrics name their own. Where every region is,
    /// these alone are until the others are found.
    pub regions: Vec<Region>,
    /// Whether all regions that an account has are looked through.
    pub every_region: bool,
    /// The accounts, each through a role; empty for the one account that the cloud's own chain of
    /// credentials belongs to.
    pub accounts: Vec<RoleAccount<S>>,
    /// Where every service is reached instead of the cloud's own endpoints.
    pub endpoint_url: Option<String>,
    /// How long a single call may take.
    pub timeouts: Timeouts,
    /// How much may be asked, account by account.
    pub budget: Budget,
}

impl<S> CloudSettings<S> {
    /// The cloud's own chain of credentials in these regions, with the documented defaults.
    pub fn new(provider: ProviderName, regions: Vec<Region>) -> CloudSettings<S> {
        CloudSettings {
            provider,
            regions,
            every_region: false,
            accounts: Vec::new(),
            endpoint_url: None,
            timeouts: Timeouts::default(),
            budget: Budget::default(),
        }
    }

    /// The names of the accounts that are entered.
    pub(crate) fn account_names(&self) -> Vec<AccountId> {
        match self.accounts.as_slice() {
            [] => vec![default_account()],
            roles => roles.iter().map(|role| role.role_arn.account().clone()).collect(),
        }
    }

    /// The region that is asked which others there are.
    pub(crate) fn home_region(&self) -> Region {
        let first = self.regions.first().cloned();
        first.unwrap_or_else(|| Region::new("us-east-1").expect("the name is sound"))
    }

    /// Every account that is entered, in every region.
    pub(crate) fn places(&self, found: &FoundRegions) -> Vec<Place> {
        let each = |account: AccountId| {
            let found = if self.every_region { found.of(&account) } else { None };
            let regions = found.unwrap_or_else(|| self.regions.clone());
            regions.into_iter().map(move |region| (account.clone(), region))
        };
        self.account_names().into_iter().flat_map(each).collect()
    }

    /// The same, each with the provider's name.
    pub(crate) fn named_places(&self, found: &FoundRegions) -> Vec<fleet::Place> {
        let named = |(account, region)| {
            let provider = self.provider.clone();
            fleet::Place { provider, account, region }
        };
        self.places(found).into_iter().map(named).collect()
    }

    /// An account in a region, under the name that the caller has for it.
    pub(crate) fn home(&self, account: &AccountId, region: &Region) -> Home {
        let provider = self.provider.clone();
        Home { provider, account: account.clone(), region: region.clone() }
    }

    /// An account as it is entered: under its own name, with the role to take; `default` and no role
    /// for the credentials that are found, which serve any account when no role is configured.
    ///
    /// # Errors
    /// Refused for an account that is not configured.
    pub(crate) fn entered(
        &self,
        call: Call,
        account: &AccountId,
    ) -> Result<(AccountId, Option<&RoleAccount<S>>), Fault> {
        let role = match self.accounts.as_slice() {
            [] => return Ok((default_account(), None)),
            [only] if account.as_str() == DEFAULT_ACCOUNT => only,
            roles => {
                let found = roles.iter().find(|role| role.role_arn.account() == account);
                found.ok_or_else(|| {
                    let known = roles.iter().map(|role| role.role_arn.account()).collect();
                    call.fault(FaultKind::Refused, NotConfigured { account, known })
                })?
            }
        };
        Ok((role.role_arn.account().clone(), Some(role)))
    }
}

fn default_account() -> AccountId {
    AccountId::new(DEFAULT_ACCOUNT).expect("the name is sound")
}

/// An account that has no role among the configured ones.
#[derive(Debug, thiserror::Error)]
#[error("account `{account}` is not among those of {}", listed(known))]
struct NotConfigured<'a> {
    account: &'a AccountId,
    known: Vec<&'a AccountId>,
}

fn listed(accounts: &[&AccountId]) -> String {
    let names: Vec<String> = accounts.iter().map(|account| format!("`{account}`")).collect();
    names.join(", ")
}
