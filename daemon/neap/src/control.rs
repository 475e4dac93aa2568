//! The socket over which people answer: who may, what they ask, and what becomes of it.
//!
//! It lies beside the read-only one, with a right of its own. A request and its answer are each
//! one line of JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Gid, Group, Uid, User};
use planner::answer::NotTaken;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};

use report::asking::{ANSWER_WITHIN, Answer, Asked, Asking, CLIENTS_MAX, put};
use shadow::Recall;

/// Its name in the state directory.
pub const SOCKET: &str = "control.sock";

/// Bytes of a request or an answer.
const LINE_BYTES_MAX: u64 = 4096;
/// How long a client may take to say what it wants.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// Keeps the socket open; it is gone with this.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    sender: mpsc::Sender<Asked>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// The way to the daemon for those who were let in elsewhere.
    pub fn sender(&self) -> mpsc::Sender<Asked> {
        self.sender.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Opens the socket for the members of the group `approvers`, besides root and the daemon's own
/// user. Where there is no such group, for these two alone.
///
/// # Errors
/// Where the socket cannot be made.
pub fn serve(
    state_dir: &Path,
    approvers: &str,
) -> std::io::Result<(Server, mpsc::Receiver<Asked>)> {
    let path = state_dir.join(SOCKET);
    // The journal's lock says that no other daemon runs here.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    let group = Group::from_name(approvers).ok().flatten();
    let given = group.as_ref().is_some_and(|group| {
        std::os::unix::fs::chown(&path, None, Some(group.gid.as_raw())).is_ok()
    });
    std::fs::set_permissions(
        &path,
        std::fs::Permissions::from_mode(if given { 0o660 } else { 0o600 }),
    )?;
    if group.is_none() {
        tracing::info!(approvers, "no such group: only root and neap's own user may approve");
    }
    let (sender, receiver) = mpsc::channel(CLIENTS_MAX);
    let gate = Arc::new(Gate { approvers: approvers.to_owned() });
    let task = tokio::spawn(accept(listener, gate, sender.clone()));
    Ok((Server { path, sender, task }, receiver))
}

/// Takes back at once what somebody wants taken back, whatever the daemon is doing; everything goes
/// on to the daemon.
pub fn relay(mut asked: mpsc::Receiver<Asked>, recall: Arc<Recall>) -> mpsc::Receiver<Asked> {
    let (sender, receiver) = mpsc::channel(CLIENTS_MAX);
    tokio::spawn(async move {
        while let Some(asked) = asked.recv().await {
            if let Asking::Stage(wish) = &asked.ask {
                wish.recalls().iter().for_each(|ask| recall.note(ask));
            }
            if sender.send(asked).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// Who is let through.
#[derive(Debug)]
struct Gate {
    approvers: String,
}

impl Gate {
    /// The name of a user who may ask.
    ///
    /// # Errors
    /// Why not.
    fn admits(&self, uid: u32, gid: u32) -> Result<String, NotTaken> {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let name = user.map_or_else(|| format!("uid {uid}"), |user| user.name);
        if uid == 0 || Uid::from_raw(uid) == Uid::effective() {
            return Ok(name);
        }
        // Asked each time: a right that was taken away is gone at once.
        let group = Group::from_name(&self.approvers).ok().flatten();
        let member =
            group.is_some_and(|group| group.mem.contains(&name) || group.gid == Gid::from_raw(gid));
        if member {
            Ok(name)
        } else {
            Err(NotTaken::NoRight { name, group: self.approvers.clone() })
        }
    }
}

async fn accept(listener: UnixListener, gate: Arc<Gate>, sender: mpsc::Sender<Asked>) {
    let room = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (gate, sender) = (Arc::clone(&gate), sender.clone());
        tokio::spawn(async move {
            // A client that goes away or talks nonsense is its own affair.
            let _ = converse(stream, &gate, &sender).await;
            drop(permit);
        });
    }
}

async fn converse(
    mut stream: tokio::net::UnixStream,
    gate: &Gate,
    sender: &mpsc::Sender<Asked>,
) -> std::io::Result<()> {
    let peer = stream.peer_cred()?;
    let (read, mut write) = stream.split();
    let mut line = String::new();
    let mut read = tokio::io::BufReader::new(read.take(LINE_BYTES_MAX));
    tokio::time::timeout(REQUEST_WITHIN, read.read_line(&mut line)).await??;
    let answer = match gate.admits(peer.uid(), peer.gid()) {
        Ok(by) => answer(&line, by, sender).await,
        Err(why) => Answer::Refused { why: why.into() },
    };
    // An answer holds nothing that JSON refuses.
    let mut line = serde_json::to_string(&answer)?;
    line.push('\n');
    write.write_all(line.as_bytes()).await
}

async fn answer(line: &str, by: String, sender: &mpsc::Sender<Asked>) -> Answer {
    match serde_json::from_str::<Asking>(line) {
        Ok(ask) => put(ask, by, sender).await,
        Err(error) => {
            Answer::Refused { why: NotTaken::NoRequest { error: error.to_string() }.into() }
        }
    }
}

/// Why nothing could be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlFault {
    /// No daemon answers.
    #[error(
        "no daemon answers on `{path}`: {why}\n  hint: `systemctl status neap`; it must run with this state directory"
    )]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// The socket may not be opened.
    #[error(
        "`{path}` may not be opened\n  hint: approving takes membership of the group that `approvers` names"
    )]
    NoRight {
        /// The socket.
        path: PathBuf,
    },
    /// The answer cannot be understood.
    #[error("the daemon on `{path}` gave no answer that can be understood: {why}")]
    Unreadable {
        /// The socket.
        path: PathBuf,
        why: String,
    },
}

/// Asks the daemon of a state directory.
///
/// # Errors
/// Where it cannot be asked; that it refuses is an [`Answer`].
pub fn ask(state_dir: &Path, ask: &impl Serialize) -> Result<Answer, ControlFault> {
    let path = state_dir.join(SOCKET);
    let unreadable = |why: String| ControlFault::Unreadable { path: path.clone(), why };
    let mut stream = UnixStream::connect(&path).map_err(|why| match why.kind() {
        std::io::ErrorKind::PermissionDenied => ControlFault::NoRight { path: path.clone() },
        _ => ControlFault::NoDaemon { path: path.clone(), why },
    })?;
    let patience = ANSWER_WITHIN + REQUEST_WITHIN;
    stream.set_read_timeout(Some(patience)).map_err(|e| unreadable(e.to_string()))?;
    let request = serde_json::to_string(ask).map_err(|e| unreadable(e.to_string()))?;
    writeln!(stream, "{request}").map_err(|e| unreadable(e.to_string()))?;
    let mut line = String::new();
    let mut read = BufReader::new(stream.take(LINE_BYTES_MAX));
    read.read_line(&mut line).map_err(|e| unreadable(e.to_string()))?;
    serde_json::from_str(&line).map_err(|e| unreadable(e.to_string()))
}

#[cfg(test)]
mod tests {
    use fleet::{OrTold, RuleName};
    use planner::idle::snapshot::Ask;

    use super::*;

    fn release() -> Ask {
        Ask::Release { rule: RuleName("dev".to_owned()) }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_request_reaches_the_daemon_with_its_name_and_comes_back() {
        let folder = tempfile::TempDir::new().unwrap();
        let (_server, mut asked) = serve(folder.path(), "no-such-group-here").unwrap();
        let mode = std::fs::metadata(folder.path().join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let place = folder.path().to_owned();
        let client = tokio::task::spawn_blocking(move || ask(&place, &release()).unwrap());
        let request = asked.recv().await.unwrap();
        assert_eq!(request.ask, Asking::Idle(release()));
        let own = User::from_uid(Uid::effective()).unwrap().unwrap().name;
        assert_eq!(request.by, own);
        let why = NotTaken::NoRule { rule: RuleName("dev".to_owned()) };
        request.answer.send(Err(why.clone())).unwrap();
        let answer = client.await.unwrap();
        assert_eq!(answer, Answer::Refused { why: why.into() });
        // The sentence comes along, the value does not.
        let Answer::Refused { why: OrTold::Told(_) } = answer else { panic!("{answer:?}") };
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nonsense_is_refused_and_the_socket_goes_with_the_daemon() {
        let folder = tempfile::TempDir::new().unwrap();
        let (server, asked) = serve(folder.path(), "no-such-group-here").unwrap();
        let path = folder.path().join(SOCKET);
        let mut stream = UnixStream::connect(&path).unwrap();
        writeln!(stream, "{{\"approve\": 7}}").unwrap();
        let mut line = String::new();
        tokio::task::block_in_place(|| BufReader::new(stream).read_line(&mut line)).unwrap();
        assert!(line.contains("not a request"), "{line}");
        drop((server, asked));
        assert!(matches!(ask(folder.path(), &release()), Err(ControlFault::NoDaemon { .. })));
    }

    #[test]
    fn strangers_are_told_which_group_it_takes() {
        let gate = Gate { approvers: "no-such-group-here".to_owned() };
        let why = gate.admits(54_321, 54_321).unwrap_err();
        assert_eq!(why.to_string(), "uid 54321 is not in group `no-such-group-here`");
        assert!(gate.admits(0, 0).is_ok());
    }
}
