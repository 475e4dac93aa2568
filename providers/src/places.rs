//! Accounts and regions: what is asked is shared out by place, so that a slow or dead one spoils its
//! own answers alone.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet::group::GroupState;
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

/// Does jobs side by side, each of which answers for what is at its indexes, in their order: one
/// answer each, `lost` where a job was broken off.
async fn gathered<T, F>(
    count: usize,
    lost: Fault,
    jobs: impl Iterator<Item = (Vec<usize>, F)>,
) -> Vec<Result<T, Fault>>
where
    T: Send + 'static,
    F: Future<Output = Vec<Result<T, Fault>>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for (indexes, job) in jobs {
        running.spawn(async move { (indexes, job.await) });
    }
    let lost = || Err(lost.clone());
    let mut answers: Vec<Result<T, Fault>> = std::iter::repeat_with(lost).take(count).collect();
    while let Some(done) = running.join_next().await {
        let Ok((indexes, read)) = done else { continue };
        for (index, answer) in indexes.into_iter().zip(read) {
            answers[index] = answer;
        }
    }
    answers
}

/// Asks for all at once, each by itself: one answer each, in their order, `lost` where reading was
/// broken off.
pub(crate) async fn each<Q, T, F>(
    asked: Vec<Q>,
    lost: Fault,
    read: impl Fn(Q) -> F,
) -> Vec<Result<T, Fault>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Fault>> + Send + 'static,
{
    let job = |(index, one)| {
        let read = read(one);
        (vec![index], async move { vec![read.await] })
    };
    gathered(asked.len(), lost, asked.into_iter().enumerate().map(job)).await
}

/// Asks for all at once, together for those of the same `batch`: one answer each, in their order,
/// `lost` where reading was broken off.
pub(crate) async fn together<Q: Clone, B: Ord, T, F>(
    asked: &[Q],
    batch: impl Fn(&Q) -> B,
    lost: Fault,
    read: impl Fn(B, Vec<Q>) -> F,
) -> Vec<Result<T, Fault>>
where
    T: Send + 'static,
    F: Future<Output = Vec<Result<T, Fault>>> + Send + 'static,
{
    let mut batches: BTreeMap<B, Vec<usize>> = BTreeMap::new();
    for (index, one) in asked.iter().enumerate() {
        batches.entry(batch(one)).or_default().push(index);
    }
    let job = |(batch, indexes): (B, Vec<usize>)| {
        let own = indexes.iter().map(|&index| asked[index].clone()).collect();
        (indexes, read(batch, own))
    };
    gathered(asked.len(), lost, batches.into_iter().map(job)).await
}

/// Asks once for what is the `same`: one answer each of those asked for, in their order.
pub(crate) async fn once<Q: Clone, K: Ord, T: Clone, F>(
    asked: &[Q],
    same: impl Fn(&Q) -> K,
    read: impl FnOnce(Vec<Q>) -> F,
) -> Vec<T>
where
    F: Future<Output = Vec<T>>,
{
    let mut known: BTreeMap<K, usize> = BTreeMap::new();
    let (mut distinct, mut places) = (Vec::new(), Vec::with_capacity(asked.len()));
    for one in asked {
        let place = *known.entry(same(one)).or_insert_with(|| {
            distinct.push(one.clone());
            distinct.len() - 1
        });
        places.push(place);
    }
    let answers = read(distinct).await;
    places.into_iter().map(|place| answers[place].clone()).collect()
}

/// The samples of one query, or why there are none.
#[cfg(feature = "alibaba")]
pub(crate) type SamplesAnswer = Result<Vec<fleet::metric::Sample>, Fault>;

/// What the groups of one place came to, by name.
pub(crate) type GroupAnswers = BTreeMap<String, Result<GroupState, Fault>>;

/// Reads groups place by place: one answer each, in the order asked.
pub(crate) async fn groups<F>(
    wanted: &[GroupRef],
    lost: Fault,
    read: impl Fn(Place, BTreeSet<String>) -> F,
) -> Vec<Result<GroupState, Fault>>
where
    F: Future<Output = GroupAnswers> + Send + 'static,
{
    let place = |group: &GroupRef| (group.account.clone(), group.region.clone());
    together(wanted, place, lost.clone(), |place, groups| {
        let read = read(place, groups.iter().map(|group| group.name.clone()).collect());
        let lost = lost.clone();
        async move {
            let answers = read.await;
            let of = |group: &GroupRef| answers.get(&group.name).cloned();
            groups.iter().map(|group| of(group).unwrap_or_else(|| Err(lost.clone()))).collect()
        }
    })
    .await
}
