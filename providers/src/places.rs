//! Accounts and regions: what is asked is shared out by place, so that a slow or dead one spoils its
//! own answers alone.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet::group::GroupState;
use fleet::metric::Sample;
use fleet::{AccountId, Fault, GroupRef, Region};
use tokio::task::JoinSet;

/// An account in a region.
pub(crate) type Place = (AccountId, Region);

/// One thing for each key, made when it is first needed.
#[derive(Debug)]
pub(crate) struct OnePer<K, T>(Mutex<BTreeMap<K, Arc<T>>>);

impl<K, T> Default for OnePer<K, T> {
    fn default() -> OnePer<K, T> {
        OnePer(Mutex::default())
    }
}

impl<K: Ord, T> OnePer<K, T> {
    fn locked(&self) -> MutexGuard<'_, BTreeMap<K, Arc<T>>> {
        // Whoever panicked while holding it left nothing half made.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is already.
    #[cfg(feature = "aws")]
    pub(crate) fn get(&self, key: &K) -> Option<Arc<T>> {
        self.locked().get(key).cloned()
    }

    /// What there is already, or what is made now.
    pub(crate) fn get_or_make(&self, key: K, make: impl FnOnce(&K) -> T) -> Arc<T> {
        let mut all = self.locked();
        Arc::clone(all.entry(key).or_insert_with_key(|key| Arc::new(make(key))))
    }

    /// All that there are.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.locked().values().cloned().collect()
    }
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

/// The samples of one query, or why there are none.
pub(crate) type SamplesAnswer = Result<Vec<Sample>, Fault>;

/// What the groups of one place came to, by name.
pub(crate) type GroupAnswers = BTreeMap<String, Result<GroupState, Fault>>;

/// Reads groups place by place: one answer each, in the order asked.
pub(crate) async fn groups<F>(
    wanted: &[GroupRef],
    lost: &Fault,
    read: impl Fn(Place, BTreeSet<String>) -> F,
) -> Vec<Result<GroupState, Fault>>
where
    F: Future<Output = GroupAnswers> + Send + 'static,
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
