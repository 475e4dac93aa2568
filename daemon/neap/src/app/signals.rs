//! Signals, and what they ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What wakes the daemon besides the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Reload,
    Stop,
}

/// Signals: what they ask is done between cycles, but a stop forbids new calls at once.
pub(super) fn listen() -> anyhow::Result<(Arc<AtomicBool>, mpsc::UnboundedReceiver<Wake>)> {
    let stopping = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let flag = Arc::clone(&stopping);
    tokio::spawn(async move {
        loop {
            let wake = tokio::select! {
                _ = terminate.recv() => Wake::Stop,
                _ = interrupt.recv() => Wake::Stop,
                _ = hang_up.recv() => Wake::Reload,
            };
            if wake == Wake::Stop {
                flag.store(true, Ordering::SeqCst);
            }
            if sender.send(wake).is_err() {
                return;
            }
        }
    });
    Ok((stopping, receiver))
}
