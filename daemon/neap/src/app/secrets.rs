//! What the configuration keeps secrets of, opened before anything starts.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use alerts::Channel;
use config::{Config, Readers, SecretFile};
use nix::unistd::{Gid, Group};
use providers::Now;

use crate::clock::System;
use crate::traces;

/// What the configuration keeps secrets of.
pub struct Secrets {
    /// Channels of alerts.
    pub(super) channels: Vec<Channel>,
    /// The page's doors.
    pub(super) access: Option<page::Access>,
    /// What goes along with traces.
    pub(super) headers: traces::Headers,
}

/// Opens what the configuration keeps secrets of.
pub fn open(config: &Config) -> Result<Secrets, Vec<config::ConfigFault>> {
    // Receivers' clocks are the world's, whatever a simulation's shows.
    let world: Arc<dyn Now> = Arc::new(System);
    let channels = alerts::open(&config.alerts, alerts::Options::default(), &world);
    let access = config.page.as_ref().map(page::Access::open).transpose();
    let headers = config.trace.as_ref().and_then(|trace| trace.headers.as_ref());
    let headers = headers.map(traces::Headers::read).transpose().map_err(|fault| vec![fault]);
    match (channels, access, headers) {
        (Ok(channels), Ok(access), Ok(headers)) => {
            Ok(Secrets { channels, access, headers: headers.unwrap_or_default() })
        }
        (channels, access, headers) => {
            let faults = [channels.err(), access.err(), headers.err()];
            Err(faults.into_iter().flatten().flatten().collect())
        }
    }
}

/// A file with a secret that others may read.
#[derive(Debug)]
pub struct Exposed<'a> {
    /// What of the configuration names it.
    pub about: String,
    /// It.
    pub file: &'a SecretFile,
    /// Who may read it, for people.
    pub who: String,
    /// What takes that from them, without the file.
    pub remedy: &'static str,
}

/// The files of secrets that others than the daemon may read.
///
/// The group of the state directory is the daemon's, and the group of approvers is asked into files of
/// the page. Where there is no state directory yet, nobody knows which group the daemon will have.
pub fn exposed(config: &Config) -> Vec<Exposed<'_>> {
    let daemons = std::fs::metadata(&config.state_dir).map(|state| state.gid()).ok();
    let approvers = Group::from_name(&config.approvers).ok().flatten();
    let approvers = approvers.map(|group| group.gid.as_raw());
    let is_own = |group| daemons.is_none_or(|own| own == group) || approvers == Some(group);
    let found = config.exposed_secrets(is_own).into_iter();
    let told = |(about, file, readers)| {
        let (who, remedy) = match readers {
            Readers::Everybody => ("everybody on this machine".to_owned(), "chmod o="),
            Readers::Group(gid) => {
                let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
                let name = group.map_or_else(|| gid.to_string(), |group| group.name);
                (format!("group `{name}`"), "chmod g=")
            }
        };
        Exposed { about, file, who, remedy }
    };
    found.map(told).collect()
}

/// Says which files of secrets others may read.
pub fn warn_of_exposed(config: &Config) {
    for Exposed { about, file, who, .. } in exposed(config) {
        tracing::warn!(about, file = %file.path().display(), "{who} may read a secret");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_group_that_is_not_the_state_directorys_is_named() {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let text = format!(
            "state_dir = \"{}\"\napprovers = \"no-such-group\"\n[provider.aws]\nkind = \"aws\"\nregions \
             = [\"eu-west-1\"]\n[[service]]\nname = \"web\"\ndemand = [{{ namespace = \"a\", metric = \
             \"m\" }}]\n[[service.pool]]\ngroup = \"web\"\n[page]\nlisten = \"127.0.0.1:0\"\n\
             [[page.token]]\nname = \"li\"\nright = \"approve\"\ntoken_file = \"{}\"\n",
            at("state").display(),
            at("token").display()
        );
        let config = crate::settings::parse("neap.toml", &text);
        let config = config.unwrap_or_else(|faults| panic!("{faults:?}"));
        std::fs::write(at("token"), "s3").unwrap();
        let told = |mode: u32| {
            std::fs::set_permissions(at("token"), PermissionsExt::from_mode(mode)).unwrap();
            exposed(&config).into_iter().map(|one| (one.who, one.remedy)).collect::<Vec<_>>()
        };
        let everybody = ("everybody on this machine".to_owned(), "chmod o=");
        // Nobody knows yet who the daemon is.
        assert_eq!((told(0o640), told(0o644)), (vec![], vec![everybody.clone()]));
        std::fs::create_dir(at("state")).unwrap();
        assert_eq!((told(0o640), told(0o644)), (vec![], vec![everybody]));
        // Only root can give a file away.
        let another = std::fs::metadata(at("token")).unwrap().gid() + 54_321;
        if chown(at("token"), None, Some(another)).is_ok() {
            assert_eq!(told(0o640), [(format!("group `{another}`"), "chmod g=")]);
            assert_eq!(told(0o600), []);
            chown(at("state"), None, Some(another)).unwrap();
            assert_eq!(told(0o640), []);
        }
    }
}
