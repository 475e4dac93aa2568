//! A cloud in a process of its own: moto's server on a free port, gone with its owner.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::python::python;

/// A running server.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Moto {
    /// Starts a server with empty accounts, and comes back when it listens.
    ///
    /// It reads from us, so that it ends with this process, however this process ends.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start() -> Moto {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join("serve.py");
        let mut child = Command::new(python())
            .arg(script)
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("moto: {error}"));
        let mut line = String::new();
        let out = child.stdout.take().expect("its output is ours");
        BufReader::new(out).read_line(&mut line).expect("its output reads");
        let port: u16 = line.trim().parse().unwrap_or_else(|_| {
            let run = Command::new(python()).args(["-c", "import moto.server"]).output();
            panic!("moto does not start: {run:?}")
        });
        Moto { child, address: (Ipv4Addr::LOCALHOST, port).into() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
