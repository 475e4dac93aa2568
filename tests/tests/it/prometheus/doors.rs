//! Ways to a store: certificates made on the spot, and servers of few words that stand in between.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tempfile::TempDir;

/// The name and the password that [`Papers::web`] asks for, and the password's bcrypt hash.
pub const USER: &str = "neap";
pub const PASSWORD: &str = "word-of-the-tests";
const HASH: &str = "$2b$04$eLvW1.233Fl8uVa/gWB2T.GH//KwcYytx4/VdS/dOqaH7POw.Hws.";

/// An authority, and what it signed: all of it in files.
pub struct Papers {
    folder: TempDir,
}

impl Papers {
    /// `ca.pem`; `server.pem` for the loopback address and `client.pem`, each with its `.key`.
    pub fn made() -> Papers {
        let folder = TempDir::new().expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let papers = Papers { folder };
        papers.write("ca.pem", &authority.pem());
        for (name, names, purpose) in [
            ("server", vec!["127.0.0.1".to_owned()], ExtendedKeyUsagePurpose::ServerAuth),
            ("client", vec!["neap".to_owned()], ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let mut params = CertificateParams::new(names).expect("sound names");
            params.extended_key_usages = vec![purpose];
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &authority).expect("a signature");
            papers.write(&format!("{name}.pem"), &certificate.pem());
            papers.write(&format!("{name}.key"), &key.serialize_pem());
        }
        papers.write("password", PASSWORD);
        papers
    }

    /// A file of theirs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the file is written");
    }

    /// The file that makes a store ask for TLS, a certificate of the authority's and the password.
    pub fn web(&self) -> PathBuf {
        let at = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "tls_server_config:\n  cert_file: {}\n  key_file: {}\n  client_ca_file: {}\n  \
             client_auth_type: RequireAndVerifyClientCert\nbasic_auth_users:\n  {USER}: {HASH}\n",
            at("server.pem"),
            at("server.key"),
            at("ca.pem")
        );
        self.write("web.yml", &text);
        self.path("web.yml")
    }

    /// The folder they are in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A request as it came: its head in lower case but for values, and its body.
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// Answers every request on a connection of its own with the bytes that `answer` makes; an empty
/// answer is none, on a connection that stays open.
pub fn serve(mut answer: impl FnMut(&Request) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("its number");
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let Some(request) = read(&mut stream) else { continue };
            let answer = answer(&request);
            if answer.is_empty() {
                kept.push(stream);
            } else {
                let _ = stream.write_all(&answer);
            }
        }
    });
    address
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let mut some = [0; 4096];
        let length = stream.read(&mut some).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&some[..length]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut request = Request { head, body: bytes[end + 4..].to_vec() };
        let length = request.header("content-length").and_then(|length| length.parse().ok());
        let missing = length.unwrap_or(0_usize).saturating_sub(request.body.len());
        let mut rest = vec![0; missing];
        stream.read_exact(&mut rest).ok()?;
        request.body.extend(rest);
        return Some(request);
    }
}

/// An answer after which the connection ends.
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What the store at `to` answers to the same request.
pub fn passed_on(request: &Request, to: SocketAddr) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).expect("the store listens");
    let head = format!("{}\r\nConnection: close\r\n\r\n", request.head);
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&request.body)).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    answer
}
