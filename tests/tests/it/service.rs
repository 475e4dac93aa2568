//! What systemd is told, heard on the socket on which it listens.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tests::clock::signal;
use tests::story::PATIENCE;

const BINARY: &str = env!("CARGO_BIN_EXE_neap-test");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config.example.toml");

/// Ended with its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything in a folder, with what others than its owner may do there.
fn open_to_others(folder: &Path, found: &mut Vec<(PathBuf, u32)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let about = fs::symlink_metadata(&path).expect("it is there");
        let mode = about.permissions().mode() & 0o077;
        if mode != 0 {
            found.push((path.clone(), mode));
        }
        if about.is_dir() {
            open_to_others(&path, found);
        }
    }
}

#[test]
fn whatever_the_mask_of_the_shell_nothing_in_the_state_directory_is_open_to_others() {
    for mask in ["000", "022", "027", "077"] {
        let folder = TempDir::new().expect("a folder");
        let example = fs::read_to_string(EXAMPLE).expect("the example reads");
        let state = folder.path().join("above/state");
        let moved = example.replace("./neap-state", &state.display().to_string());
        assert_ne!(example, moved);
        fs::write(folder.path().join("neap.toml"), moved).expect("the configuration is written");
        let ran = Command::new("sh")
            .args([
                "-c",
                &format!("umask {mask}; exec \"$0\" run --config neap.toml --once"),
                BINARY,
            ])
            .current_dir(folder.path())
            .output()
            .expect("it runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let mut found = Vec::new();
        open_to_others(&state, &mut found);
        assert_eq!(found, [], "{mask}");
        assert!(state.join("journal/store").is_dir());
        // Those who approve come through to the socket, whatever the mask.
        for dir in [&state, &folder.path().join("above")] {
            let mode = fs::metadata(dir).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o711, "{mask}: {}", dir.display());
        }
    }
}

#[test]
fn systemd_is_told_of_the_start_of_cycles_of_a_reload_and_of_the_stop() {
    let folder = TempDir::new().expect("a folder");
    let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let example = fs::read_to_string(EXAMPLE).expect("the example reads");
    let slower = example.replace("speed = 1000", "speed = 200");
    assert_ne!(example, slower);
    fs::write(folder.path().join("neap.toml"), slower).expect("the configuration is written");
    let mut neap = Command::new(BINARY);
    neap.args(["run", "--config", "neap.toml"]).current_dir(folder.path());
    neap.env("NOTIFY_SOCKET", folder.path().join("notify")).env("WATCHDOG_USEC", "1000000");
    neap.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut neap = Ended(neap.spawn().expect("it runs"));
    let heard = || {
        let mut words = [0; 512];
        let length = socket.recv(&mut words).expect("it says something");
        String::from_utf8_lossy(&words[..length]).into_owned()
    };
    let heard_after_cycles = || loop {
        let words = heard();
        if words != "WATCHDOG=1\n" {
            return words;
        }
    };
    // Ten minutes and twice the interval of a minute, as the unit asked for less.
    let ready = "READY=1\nWATCHDOG_USEC=720000000\n";
    assert_eq!(heard(), ready);
    for _ in 0..3 {
        assert_eq!(heard(), "WATCHDOG=1\n");
    }
    signal(neap.0.id(), "HUP");
    let reloading = heard_after_cycles();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(heard(), ready);
    assert_eq!(heard(), "WATCHDOG=1\n");
    signal(neap.0.id(), "TERM");
    assert_eq!(heard_after_cycles(), "STOPPING=1\n");
    assert!(neap.0.wait().expect("it ends").success());
}

#[test]
fn the_unit_starts_after_the_network_and_the_time_are_there() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/neap.service");
    let unit = std::fs::read_to_string(path).expect("the unit");
    for key in ["After=", "Wants="] {
        let names: Vec<&str> = unit
            .lines()
            .filter_map(|line| line.strip_prefix(key))
            .flat_map(str::split_whitespace)
            .collect();
        assert_eq!(names, ["network-online.target", "time-sync.target"], "{key}");
    }
}
