//! Files that hold a secret: a configuration names them, and never holds what is in them.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fleet::text::without_mark;
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

    /// Those of them that others may read, and who: `is_own` tells groups of the daemon's and of those
    /// who answer for it, by their number.
    pub fn exposed_secrets(
        &self,
        is_own: impl Fn(u32) -> bool,
    ) -> Vec<(String, &SecretFile, Readers)> {
        let found = self.secrets().into_iter();
        found.filter_map(|(about, file)| Some((about, file, file.exposed_to(&is_own)?))).collect()
    }
}

/// Others who may read a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everybody on this machine.
    Everybody,
    /// The members of the group with this number.
    Group(u32),
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

    /// Who may read it besides its owner and the groups that `is_own` tells.
    pub fn exposed_to(&self, is_own: impl Fn(u32) -> bool) -> Option<Readers> {
        let data = std::fs::metadata(&self.path).ok()?;
        let (mode, group) = (data.permissions().mode(), data.gid());
        if mode & 0o004 != 0 {
            return Some(Readers::Everybody);
        }
        (mode & 0o040 != 0 && !is_own(group)).then_some(Readers::Group(group))
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
        match without_mark(&text).trim() {
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
    fn a_file_is_exposed_to_everybody_or_to_a_group_that_is_not_the_daemons() {
        let folder = tempfile::tempdir().unwrap();
        let group = std::fs::metadata(folder.path()).unwrap().gid();
        for mode in 0o400..=0o777 {
            let file = file(folder.path(), b"s3", mode);
            let [own, other] = [true, false].map(|own| file.exposed_to(|gid| gid != group || own));
            let expected = match (mode & 0o004 != 0, mode & 0o040 != 0) {
                (true, _) => [Some(Readers::Everybody); 2],
                (false, true) => [None, Some(Readers::Group(group))],
                (false, false) => [None; 2],
            };
            assert_eq!([own, other], expected, "{mode:o}");
        }
        let place = ConfigFault::in_file("neap.toml", (1, 1), "k", String::new(), None);
        let none = SecretFile::new(folder.path().join("none"), "token", place);
        assert_eq!(none.exposed_to(|_| false), None);
    }
}
