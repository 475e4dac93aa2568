//! The read-only socket in the state directory: a daemon's journal for those who look on.
//!
//! A request and its answer are each a length (u32 LE) and so many bytes of postcard. What goes
//! over it are raw records, so that a reader does the same with them as with a store of its own.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

use super::engine::{Entry, Tree};
use super::eras::Eras;
use super::head::Head;
use super::open::Local;
use super::source::Source;
use super::{Damage, Journal, JournalFault, RecordId, SOCKET};

/// Tells what `neap status` shows.
pub type StatusSource = Arc<dyn Fn() -> Value + Send + Sync>;

/// Clients served at a time; the next one waits.
const CLIENTS_MAX: usize = 16;

/// Bytes of a request: the longest one names a tree and an id.
const REQUEST_BYTES_MAX: usize = 256;

/// Bytes of an answer that a reader takes: a page and the largest record.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// How long either side waits for the other's next bytes.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Request {
    Head,
    Scan { tree: u8, from: RecordId },
    Last { tree: u8, to: RecordId },
    Bytes,
    Files,
    Status,
    Eras,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum SocketAnswer {
    Head(Box<Head>),
    Entries(Vec<Entry>),
    Bytes(u64),
    Files(Vec<Damage>),
    /// JSON text.
    Status(String),
    Fault(String),
    Eras(Eras),
}

/// The socket, served until it is dropped.
pub struct Server {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Serves the journal and the status at `neap.sock` in the journal's state directory, mode 0600.
/// Must be called within a tokio runtime; runs until the server is dropped.
///
/// # Errors
/// [`JournalFault::Unusable`] where the socket cannot be made.
pub fn serve(journal: &Journal, status: StatusSource) -> Result<Server, JournalFault> {
    let path = journal.state_dir().join(SOCKET);
    let unusable = |error: std::io::Error| super::unusable(&path, &error);
    // The journal's lock is ours, so a socket that is there is what a killed daemon left.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(unusable)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(unusable)?;
    let source = Arc::new(Local { shared: journal.shared(), _held: None });
    let task = tokio::spawn(accept(listener, source, status));
    Ok(Server { path, task })
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        // Somebody may have removed it before; a reader then opens the store.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, source: Arc<Local>, status: StatusSource) {
    let room = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: the clients that hold them go away.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (source, status) = (Arc::clone(&source), Arc::clone(&status));
        tokio::spawn(async move {
            // A client that goes away or talks nonsense is its own affair.
            let _ = converse(stream, source, status).await;
            drop(permit);
        });
    }
}

async fn converse(
    mut stream: tokio::net::UnixStream,
    source: Arc<Local>,
    status: StatusSource,
) -> std::io::Result<()> {
    loop {
        let length = tokio::time::timeout(PATIENCE, stream.read_u32_le()).await??;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > REQUEST_BYTES_MAX {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut bytes)).await??;
        let (source, status) = (Arc::clone(&source), Arc::clone(&status));
        let answer = tokio::task::spawn_blocking(move || answer(&bytes, &source, &status)).await?;
        // A `Vec` takes any length, and an answer holds nothing that postcard refuses.
        let bytes = postcard::to_stdvec(&answer).expect("an answer serializes");
        let length = u32::try_from(bytes.len()).map_err(|_| std::io::ErrorKind::InvalidData)?;
        tokio::time::timeout(PATIENCE, stream.write_u32_le(length)).await??;
        tokio::time::timeout(PATIENCE, stream.write_all(&bytes)).await??;
    }
}

fn answer(bytes: &[u8], source: &Local, status: &StatusSource) -> SocketAnswer {
    let tree = |index: u8| Tree::from_index(usize::from(index)).ok_or("no such tree".to_string());
    let told = |fault: JournalFault| fault.to_string();
    let result =
        postcard::from_bytes(bytes).map_err(|error| error.to_string()).and_then(|request| {
            match request {
                Request::Head => {
                    source.head().map(|head| SocketAnswer::Head(Box::new(head))).map_err(told)
                }
                Request::Scan { tree: index, from } => tree(index)
                    .and_then(|t| source.scan(t, from).map(SocketAnswer::Entries).map_err(told)),
                Request::Last { tree: index, to } => tree(index).and_then(|t| {
                    let last = source.last(t, to).map_err(told)?;
                    Ok(SocketAnswer::Entries(last.into_iter().collect()))
                }),
                Request::Bytes => source.bytes().map(SocketAnswer::Bytes).map_err(told),
                Request::Files => source.files().map(SocketAnswer::Files).map_err(told),
                Request::Eras => source.eras().map(SocketAnswer::Eras).map_err(told),
                Request::Status => Ok(SocketAnswer::Status(status().to_string())),
            }
        });
    result.unwrap_or_else(SocketAnswer::Fault)
}

/// The journal of a running daemon.
#[derive(Debug)]
pub(crate) struct Remote {
    path: PathBuf,
    stream: Mutex<UnixStream>,
}

impl Remote {
    /// `None` where no daemon answers.
    pub(crate) fn connect(state_dir: &Path) -> Result<Option<Remote>, JournalFault> {
        let path = state_dir.join(SOCKET);
        let Ok(stream) = UnixStream::connect(&path) else { return Ok(None) };
        let timed = stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        timed.map_err(|error| super::unusable(&path, &error))?;
        Ok(Some(Remote { path, stream: Mutex::new(stream) }))
    }

    fn ask(&self, request: &Request) -> Result<SocketAnswer, JournalFault> {
        let fault = |why: String| JournalFault::Socket { path: self.path.clone(), why };
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = exchange(&mut stream, request).map_err(|error| fault(error.to_string()))?;
        match postcard::from_bytes(&bytes).map_err(|error| fault(error.to_string()))? {
            SocketAnswer::Fault(why) => Err(fault(why)),
            answer => Ok(answer),
        }
    }

    fn other(&self) -> JournalFault {
        let why = "the answer is not to the question".to_string();
        JournalFault::Socket { path: self.path.clone(), why }
    }
}

fn exchange(stream: &mut UnixStream, request: &Request) -> std::io::Result<Vec<u8>> {
    // A `Vec` takes any length, and a request holds nothing that postcard refuses.
    let request = postcard::to_stdvec(request).expect("a request serializes");
    let length = u32::try_from(request.len()).map_err(|_| std::io::ErrorKind::InvalidData)?;
    stream.write_all(&length.to_le_bytes())?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > ANSWER_BYTES_MAX {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

impl Source for Remote {
    fn head(&self) -> Result<Head, JournalFault> {
        match self.ask(&Request::Head)? {
            SocketAnswer::Head(head) => Ok(*head),
            _ => Err(self.other()),
        }
    }

    fn eras(&self) -> Result<Eras, JournalFault> {
        match self.ask(&Request::Eras)? {
            SocketAnswer::Eras(eras) => Ok(eras),
            _ => Err(self.other()),
        }
    }

    fn scan(&self, tree: Tree, from: RecordId) -> Result<Vec<Entry>, JournalFault> {
        match self.ask(&Request::Scan { tree: tree.index() as u8, from })? {
            SocketAnswer::Entries(entries) => Ok(entries),
            _ => Err(self.other()),
        }
    }

    fn last(&self, tree: Tree, to: RecordId) -> Result<Option<Entry>, JournalFault> {
        match self.ask(&Request::Last { tree: tree.index() as u8, to })? {
            SocketAnswer::Entries(entries) => Ok(entries.into_iter().next()),
            _ => Err(self.other()),
        }
    }

    fn bytes(&self) -> Result<u64, JournalFault> {
        match self.ask(&Request::Bytes)? {
            SocketAnswer::Bytes(bytes) => Ok(bytes),
            _ => Err(self.other()),
        }
    }

    fn files(&self) -> Result<Vec<Damage>, JournalFault> {
        match self.ask(&Request::Files)? {
            SocketAnswer::Files(damage) => Ok(damage),
            _ => Err(self.other()),
        }
    }

    fn status(&self) -> Result<Option<Value>, JournalFault> {
        match self.ask(&Request::Status)? {
            SocketAnswer::Status(text) => serde_json::from_str(&text).map(Some).map_err(|error| {
                JournalFault::Socket { path: self.path.clone(), why: error.to_string() }
            }),
            _ => Err(self.other()),
        }
    }
}
