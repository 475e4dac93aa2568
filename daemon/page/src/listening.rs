//! The address where the page listens, asked for until it is free.
//!
//! The daemon sizes groups whether or not somebody can look on: another program on the port, or an
//! address that the machine does not have yet, keeps the page closed and nothing else.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How soon it is asked for again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// After so many attempts it is said again that it cannot be had.
const REMIND_AFTER: u32 = 600;

/// Whether the page is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It listens here.
    Open(SocketAddr),
    /// Its address cannot be had so far, for this reason; it is asked for again and again.
    Waiting(io::ErrorKind),
}

/// What others are told of it.
#[derive(Clone, Debug)]
pub(super) struct Told(Arc<Mutex<Standing>>);

impl Told {
    pub(super) fn new(standing: Standing) -> Told {
        Told(Arc::new(Mutex::new(standing)))
    }

    pub(super) fn get(&self) -> Standing {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, standing: Standing) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }
}

/// Waits until the address can be had; `fault` is what came of the first attempt.
pub(super) async fn wait(
    address: SocketAddr,
    fault: io::Error,
    told: &Told,
) -> (TcpListener, SocketAddr) {
    let tell = |fault: &io::Error, new: bool| {
        told.set(Standing::Waiting(fault.kind()));
        if new {
            let why =
                "the page cannot be opened, and is tried again until it can; all else goes on";
            tracing::warn!(%address, %fault, "{why}");
        }
    };
    wait_for(|| bind(address), AGAIN_AFTER, fault, tell).await
}

/// Asks for the address once.
pub(super) fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Tries until it succeeds. Each fault is handed on, with whether there is something new to say.
async fn wait_for<T>(
    mut attempt: impl FnMut() -> io::Result<T>,
    again_after: Duration,
    first: io::Error,
    mut tell: impl FnMut(&io::Error, bool),
) -> T {
    let (mut fault, mut said, mut attempts) = (first, None, 0_u32);
    loop {
        let new = said != Some(fault.kind()) || attempts.is_multiple_of(REMIND_AFTER);
        tell(&fault, new);
        said = Some(fault.kind());
        tokio::time::sleep(again_after).await;
        match attempt() {
            Ok(had) => return had,
            Err(next) => fault = next,
        }
        attempts += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn whatever_stands_in_the_way_is_waited_for_and_told_when_it_changes() {
        let faults = [
            ErrorKind::AddrInUse,
            ErrorKind::AddrNotAvailable,
            ErrorKind::AddrNotAvailable,
            ErrorKind::PermissionDenied,
            ErrorKind::Other,
            ErrorKind::AddrInUse,
        ];
        let mut left = faults.into_iter().skip(1);
        let mut told = Vec::new();
        let attempt = || left.next().map_or(Ok("open"), |kind| Err(kind.into()));
        let tell = |fault: &io::Error, new: bool| told.push((fault.kind(), new));
        let first = faults[0].into();
        assert_eq!(wait_for(attempt, Duration::ZERO, first, tell).await, "open");
        let new = [true, true, false, true, true, true];
        assert_eq!(told, faults.into_iter().zip(new).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_lasts_is_told_from_time_to_time() {
        let mut attempts = 0;
        let attempt = || {
            attempts += 1;
            if attempts > 1500 { Ok(()) } else { Err(ErrorKind::AddrInUse.into()) }
        };
        let mut said = 0;
        let tell = |_: &io::Error, new: bool| said += u32::from(new);
        wait_for(attempt, Duration::ZERO, ErrorKind::AddrInUse.into(), tell).await;
        assert_eq!(said, 3, "at the start, and after every ten minutes");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_had_once_it_is_free() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("it listens");
        let fault = bind(address).expect_err("it is taken");
        let told = Told::new(Standing::Waiting(fault.kind()));
        let freed = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(told.get(), Standing::Waiting(ErrorKind::AddrInUse));
            drop(taken);
        };
        let ((_, had), ()) = tokio::join!(wait(address, fault, &told), freed);
        assert_eq!(had, address);
    }
}
