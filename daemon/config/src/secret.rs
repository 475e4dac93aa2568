//! Files that hold a secret: a configuration names them, and never holds what is in them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Serialize;

use super::fault::ConfigFault;
use super::{Config, Proof, ProviderConfig};

impl Config {
    /// Every file that nobody else should read, and what names it.
    pub fn secrets(&self) -> Vec<(String, &SecretFile)> {
        let mut found = Vec::new();
        for alert in &self.alerts {
            let about = format!("alert {}", alert.name);
            found.extend(alert.secrets().map(|file| (about.clone(), file)));
        }
        let headers = self.trace.iter().filter_map(|trace| trace.headers.as_ref());
        found.extend(headers.map(|file| ("trace".to_owned(), file)));
        if let Some(page) = &self.page {
            let keys = page.tls.iter().map(|tls| &tls.key);
            let tokens = page.tokens.iter().map(|token| &token.file);
            let proxy = page.proxy.iter().map(|proxy| &proxy.secret);
            let files = keys.chain(tokens).chain(proxy);
            found.extend(files.map(|file| ("page".to_owned(), file)));
        }
        for (name, provider) in &self.providers {
            let ProviderConfig::Prometheus(source) = provider else { continue };
            let proof = source.proof.iter().map(|proof| match proof {
                Proof::Basic { password_file: file, .. } | Proof::BearerTokenFile(file) => file,
            });
            let key = source.client_certificate.iter().map(|[_, key]| key);
            found.extend(proof.chain(key).map(|file| (format!("provider {name}"), file)));
        }
        found
    }

    /// Those of them that everybody on this machine may read.
    pub fn exposed_secrets(&self) -> Vec<(String, &SecretFile)> {
        let mut found = self.secrets();
        found.retain(|(_, file)| file.is_exposed());
        found
    }
}

/// A file that holds a secret, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretFile {
    path: PathBuf,
    /// What is in it, such as `address`.
    #[serde(skip)]
    what: String,
    /// Where the configuration names it; without a message.
    #[serde(skip)]
    place: ConfigFault,
}

impl SecretFile {
    pub(super) fn new(path: PathBuf, what: &str, place: ConfigFault) -> SecretFile {
        SecretFile { path, what: what.to_owned(), place }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether whoever runs this may read it.
    pub fn is_readable(&self) -> bool {
        std::fs::File::open(&self.path).is_ok()
    }

    /// Whether everybody on this machine may read it.
    pub fn is_exposed(&self) -> bool {
        let data = std::fs::metadata(&self.path);
        data.is_ok_and(|data| data.permissions().mode() & 0o004 != 0)
    }

    /// The secret, without the blanks and line breaks around it.
    ///
    /// # Errors
    /// Where it cannot be read, or nothing is in it.
    pub fn read(&self) -> Result<SecretString, ConfigFault> {
        let text = std::fs::read_to_string(&self.path).map_err(|error| {
            let what = &self.what;
            let hint =
                format!("the daemon reads the {what} when it starts and when it is reloaded");
            self.fault(&format!("cannot be read: {error}"), Some(hint))
        })?;
        // A byte order mark is what some editors begin a text with.
        match text.trim_start_matches('\u{feff}').trim() {
            "" => Err(self.fault(&format!("is empty, expected the {}", self.what), None)),
            text => Ok(SecretString::from(text)),
        }
    }

    /// What is wrong with the file, at the place where the configuration names it; `wrong` must not
    /// repeat what is in it.
    pub fn fault(&self, wrong: &str, hint: Option<String>) -> ConfigFault {
        let message = format!("the file `{}` {wrong}", self.path.display());
        ConfigFault { message, hint, ..self.place.clone() }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn file(folder: &Path, text: &[u8], mode: u32) -> SecretFile {
        let path = folder.join("secret");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let place = ConfigFault::in_file("neap.toml", (1, 1), "k", String::new(), None);
        SecretFile::new(path, "token", place)
    }

    #[test]
    fn what_surrounds_a_secret_is_none_of_it() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["s3", "s3\n", "\u{feff}s3\r\n", "\u{feff} s3 \n\n", "\t s3"] {
            let read = file(folder.path(), text.as_bytes(), 0o600).read().unwrap();
            assert_eq!(read.expose_secret(), "s3", "{text:?}");
        }
        for empty in ["", " \n", "\u{feff}", "\u{feff}\n"] {
            assert!(file(folder.path(), empty.as_bytes(), 0o600).read().is_err(), "{empty:?}");
        }
        assert!(file(folder.path(), b"\xff\xfes\x003\x00", 0o600).read().is_err());
    }

    #[test]
    fn a_file_that_everybody_may_read_is_exposed() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, exposed) in [
            (0o600, false),
            (0o640, false),
            (0o400, false),
            (0o602, false),
            (0o644, true),
            (0o604, true),
        ] {
            assert_eq!(file(folder.path(), b"s3", mode).is_exposed(), exposed, "{mode:o}");
        }
        let place = ConfigFault::in_file("neap.toml", (1, 1), "k", String::new(), None);
        assert!(!SecretFile::new(folder.path().join("none"), "token", place).is_exposed());
    }
}
