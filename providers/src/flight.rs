//! One answer for several that ask the same at the same moment.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

/// How long after its begin a reading may still be joined: what it tells may be older than the
/// question by so much.
const JOINED_WITHIN: Duration = Duration::from_secs(2);

/// The reading that is under way. What has been answered is never given out again.
#[derive(Debug)]
pub(crate) struct Flight<T>(Option<(Instant, Weak<OnceCell<T>>)>);

impl<T> Default for Flight<T> {
    fn default() -> Flight<T> {
        Flight(None)
    }
}

impl<T> Flight<T> {
    /// Where the answer will be: of the reading under way, if it has only just begun, or of a new
    /// one. Whoever asks brings the reading along; the next one does it where the first gives up.
    pub(crate) fn join(&mut self) -> Arc<OnceCell<T>> {
        let begun = self.0.as_ref().filter(|(began, _)| began.elapsed() < JOINED_WITHIN);
        let under_way = begun.and_then(|(_, cell)| cell.upgrade());
        under_way.filter(|cell| !cell.initialized()).unwrap_or_else(|| {
            let cell = Arc::default();
            self.0 = Some((Instant::now(), Arc::downgrade(&cell)));
            cell
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn who_asks_meanwhile_has_the_same_answer_and_who_asks_afterwards_a_new_one() {
        let (mut flight, reads) = (Flight::default(), AtomicU32::new(0));
        let read = || async {
            tokio::task::yield_now().await;
            reads.fetch_add(1, Ordering::SeqCst)
        };
        let (one, two) = (flight.join(), flight.join());
        assert_eq!(tokio::join!(one.get_or_init(read), two.get_or_init(read)), (&0, &0));
        assert_eq!(flight.join().get_or_init(read).await, &1, "what is answered is old");
        let given_up = flight.join();
        drop(given_up);
        assert_eq!(flight.join().get_or_init(read).await, &2);
    }

    #[tokio::test]
    async fn what_began_a_while_ago_is_not_joined() {
        let mut flight = Flight::<u32>::default();
        let old = flight.join();
        let (began, _) = flight.0.as_mut().expect("it began");
        *began = began.checked_sub(JOINED_WITHIN).expect("a moment ago");
        assert!(!Arc::ptr_eq(&old, &flight.join()));
    }
}
