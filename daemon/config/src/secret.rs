//! Files that hold a secret: a configuration names them, and never holds what is in them.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Serialize;

use super::fault::ConfigFault;

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
        match text.trim() {
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
