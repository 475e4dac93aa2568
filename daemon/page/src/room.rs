//! Room for connections, and who makes room for the next one.
//!
//! Whoever asks how the daemon does must get in, however many hold connections on which nothing is
//! said, or little, or nothing is read: where all places are taken, the connection that has been
//! quiet for longest is ended. Those whose requests are worked on stay, and there are far fewer.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// So many connections.
#[derive(Debug)]
pub(super) struct Room {
    most: usize,
    held: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    /// Counts what happens, which tells sooner from later.
    moments: u64,
    /// By the moment at which they came.
    places: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    quiet_since: u64,
    working: usize,
    end: oneshot::Sender<()>,
}

impl Connections {
    fn moment(&mut self) -> u64 {
        self.moments += 1;
        self.moments
    }

    /// Ends whoever has been quiet for longest; all may be at work.
    fn make_room(&mut self) {
        let quiet = self.places.iter().filter(|(_, taken)| taken.working == 0);
        let longest = quiet.min_by_key(|(_, taken)| taken.quiet_since).map(|(came, _)| *came);
        if let Some(taken) = longest.and_then(|came| self.places.remove(&came)) {
            // It may have ended by itself.
            let _ = taken.end.send(());
        }
    }
}

impl Room {
    /// Room for so many.
    pub(super) fn new(most: usize) -> Room {
        Room { most, held: Mutex::default() }
    }

    /// Takes a place for a connection; `None` where all the others are at work.
    pub(super) fn enter<S>(self: &Arc<Room>, stream: S) -> Option<(Held<S>, Arc<Visitor>)> {
        let mut held = self.held();
        if held.places.len() >= self.most {
            held.make_room();
        }
        if held.places.len() >= self.most {
            return None;
        }
        let (end, ended) = oneshot::channel();
        let came = held.moment();
        held.places.insert(came, Taken { quiet_since: came, working: 0, end });
        let visitor = Visitor { room: Arc::clone(self), came };
        Some((Held { stream, ended: Some(ended), over: false }, Arc::new(visitor)))
    }

    fn held(&self) -> MutexGuard<'_, Connections> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; it is free again with this.
#[derive(Debug)]
pub(super) struct Visitor {
    room: Arc<Room>,
    came: u64,
}

impl Visitor {
    /// One of its requests is worked on, as long as this is kept.
    pub(super) fn at_work(self: &Arc<Visitor>) -> AtWork {
        self.note(|taken| taken.working += 1);
        AtWork(Arc::clone(self))
    }

    fn note(&self, change: impl FnOnce(&mut Taken)) {
        let mut held = self.room.held();
        let now = held.moment();
        // Its place may have been given to somebody else.
        if let Some(taken) = held.places.get_mut(&self.came) {
            change(taken);
            taken.quiet_since = now;
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.room.held().places.remove(&self.came);
    }
}

/// A request that is worked on.
#[derive(Debug)]
pub(super) struct AtWork(Arc<Visitor>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.note(|taken| taken.working -= 1);
    }
}

/// A connection that fails once its place is somebody else's, in whatever it is waiting for: a
/// handshake, a request, or that an answer is read.
#[derive(Debug)]
pub(super) struct Held<S> {
    stream: S,
    ended: Option<oneshot::Receiver<()>>,
    over: bool,
}

impl<S> Held<S> {
    fn still(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if let Some(ended) = &mut self.ended
            && let Poll::Ready(told) = Pin::new(ended).poll(context)
        {
            // A place that was given back has no one to end this any more.
            (self.over, self.ended) = (told.is_ok(), None);
        }
        if self.over { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.still(context)?;
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.still(context)?;
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.still(context)?;
        Pin::new(&mut this.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.still(context)?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn who_has_been_quiet_for_longest_makes_room() {
        let room = Arc::new(Room::new(3));
        let enter = || {
            let (near, far) = duplex(64);
            let (held, visitor) = room.enter(near).expect("somebody makes room");
            (held, visitor, far)
        };
        let (mut first, one, mut far) = enter();
        let (mut second, _two, _far_2) = enter();
        let (mut third, three, _far_3) = enter();
        // The first works, so that the second is ended; then the third, as the first did something since.
        let working = one.at_work();
        let _four = enter();
        assert!(second.read_u8().await.is_err(), "it waits no longer");
        drop(working);
        let _five = enter();
        assert!(third.write_u8(1).await.is_err());
        far.write_u8(7).await.expect("it is there");
        assert_eq!(first.read_u8().await.expect("it is still there"), 7);
        // Who was ended and is at work after all changes nothing for others.
        drop(three.at_work());
        drop(three);
        assert_eq!(room.held().places.len(), 3);
    }

    #[tokio::test]
    async fn who_waits_is_woken_when_it_ends() {
        let room = Arc::new(Room::new(1));
        let (near, _far) = duplex(64);
        let (mut held, _visitor) = room.enter(near).expect("there is room");
        let waiting = tokio::spawn(async move { held.read_u8().await.map_err(|e| e.kind()) });
        tokio::task::yield_now().await;
        let _next = room.enter(()).expect("room is made");
        assert_eq!(waiting.await.expect("it ends"), Err(io::ErrorKind::ConnectionAborted));
    }

    #[test]
    fn where_all_are_at_work_nobody_gets_in_until_one_has_ended() {
        let room = Arc::new(Room::new(2));
        let (_one, first) = room.enter(()).expect("there is room");
        let (_two, second) = room.enter(()).expect("there is room");
        let (working, again, _other) = (first.at_work(), first.at_work(), second.at_work());
        assert!(room.enter(()).is_none());
        drop(working);
        assert!(room.enter(()).is_none(), "its other request is still worked on");
        drop(first);
        drop(again);
        assert!(room.enter(()).is_some());
    }
}
