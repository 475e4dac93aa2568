//! Where alerts go: an address is a secret, since whoever has it may write there.

use std::net::IpAddr;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use config::{ConfigFault, SecretFile};

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
        Ok(Address { url: whole(url), host: host.into(), local })
    }

    /// One that everybody knows; it must be an address.
    pub fn known(text: &'static str) -> Address {
        let url = Url::parse(text).expect("an address in the source is one");
        let host = url.host_str().unwrap_or_default().to_owned();
        Address { local: is_local(&host), url: whole(url), host: host.into() }
    }

    /// The address itself, with more behind it, for the request alone.
    pub fn with(&self, query: Option<&str>) -> String {
        let url = self.url.expose_secret();
        match query {
            Some(query) if url.contains('?') => format!("{url}&{query}"),
            Some(query) => format!("{url}?{query}"),
            None => url.to_owned(),
        }
    }

    /// Takes it out of somebody else's words.
    pub fn scrub(&self, words: &str) -> String {
        let words = words.replace(self.url.expose_secret(), "[address]");
        words.replace(self.host.expose_secret(), "[host]")
    }
}

/// Without a fragment, which is never sent.
fn whole(mut url: Url) -> SecretString {
    url.set_fragment(None);
    String::from(url).into()
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
