//! Where alerts go: an address is a secret, since whoever has it may write there.

use std::net::IpAddr;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::config::{ConfigFault, SecretFile};

/// What an address should look like, for messages.
const EXPECTED: &str = "an address such as `https://hooks.example.com/…`, in one line";

/// An address of a receiver. It is never printed.
#[derive(Clone, Debug)]
pub(super) struct Address {
    url: SecretString,
    host: SecretString,
    /// Whether it is on this machine.
    pub local: bool,
}

impl Address {
    /// Reads it from its file.
    pub fn read(file: &SecretFile) -> Result<Address, ConfigFault> {
        let text = file.read()?;
        let text = text.expose_secret();
        let sound = !text.contains(|c: char| c.is_whitespace() || c.is_control());
        let url = Url::parse(text).ok().filter(|_| sound);
        let Some((url, host)) = url.and_then(|url| Some((url.clone(), url.host_str()?.to_owned())))
        else {
            return Err(file.fault(&format!("holds no address, expected {EXPECTED}"), None));
        };
        let local = is_local(&host);
        match url.scheme() {
            "https" => {}
            "http" if local => {}
            "http" => {
                let hint = "`http://` is for receivers on this machine alone".to_owned();
                let wrong = "holds an address that is not encrypted, expected `https://`";
                return Err(file.fault(wrong, Some(hint)));
            }
            _ => {
                return Err(
                    file.fault("holds an address of another scheme, expected `https://`", None)
                );
            }
        }
        Ok(Address { url: String::from(url).into(), host: host.into(), local })
    }

    /// The address itself, for the request alone.
    pub fn expose(&self) -> &str {
        self.url.expose_secret()
    }

    /// Takes it out of somebody else's words.
    pub fn scrub(&self, words: &str) -> String {
        let words = words.replace(self.expose(), "[address]");
        words.replace(self.host.expose_secret(), "[host]")
    }
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn local_is_this_machine_alone() {
        for local in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_local(local), "{local}");
        }
        for other in ["localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "[::2]", ""] {
            assert!(!is_local(other), "{other}");
        }
    }
}
