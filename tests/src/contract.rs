//! The providers' contract, run on a peer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use providers::contract::{Bench, cases};

/// Runs every case, and tells each.
///
/// # Panics
/// Where some do not hold; with their names.
pub fn keep(bench: &dyn Bench) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut broken = Vec::new();
    for case in cases() {
        runtime.block_on(bench.calm());
        let begun = Instant::now();
        let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on((case.run)(bench))));
        let how = if ran.is_ok() { "ok" } else { "BROKEN" };
        eprintln!("{} {:?}: {how}", case.name, begun.elapsed());
        if ran.is_err() {
            broken.push(case.name);
        }
    }
    assert!(broken.is_empty(), "{} cases do not hold: {broken:?}", broken.len());
}

/// Runs what may block where it may.
///
/// # Panics
/// Where it panics.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the peer did as it was told")
}
