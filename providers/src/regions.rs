//! Regions that are looked for rather than named: what each account's cloud said last.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fleet::{AccountId, Fault, FaultKind, Region};

use crate::call::Call;

/// The regions of accounts, as they were found last. An answer stands until the next good one.
#[derive(Debug, Default)]
pub(crate) struct FoundRegions(Mutex<BTreeMap<AccountId, Vec<Region>>>);

impl FoundRegions {
    /// Keeps what an account's cloud named.
    ///
    /// # Errors
    /// Where it named none: every account has some, so that is no answer.
    pub(crate) fn keep(
        &self,
        call: Call,
        account: AccountId,
        mut regions: Vec<Region>,
    ) -> Result<(), Fault> {
        if regions.is_empty() {
            return Err(call.fault(FaultKind::Unreadable, "an answer without a region"));
        }
        regions.sort();
        regions.dedup();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(account, regions);
        Ok(())
    }

    /// What is known of an account.
    pub(crate) fn of(&self, account: &AccountId) -> Option<Vec<Region>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(account).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_good_answer_stands() {
        let call = Call::read("ec2", "DescribeRegions");
        let account = |name: &str| AccountId::new(name).unwrap();
        let region = |name: &str| Region::new(name).unwrap();
        let found = FoundRegions::default();
        assert_eq!(found.of(&account("1")), None);
        let two = vec![region("us-east-1"), region("eu-west-1"), region("us-east-1")];
        found.keep(call, account("1"), two).unwrap();
        let sorted = Some(vec![region("eu-west-1"), region("us-east-1")]);
        assert_eq!(found.of(&account("1")), sorted);
        let nothing = found.keep(call, account("1"), Vec::new()).unwrap_err();
        assert_eq!((nothing.kind, found.of(&account("1"))), (FaultKind::Unreadable, sorted));
        found.keep(call, account("1"), vec![region("eu-west-1")]).unwrap();
        assert_eq!(found.of(&account("1")), Some(vec![region("eu-west-1")]));
        assert_eq!(found.of(&account("2")), None, "each account for itself");
    }
}
