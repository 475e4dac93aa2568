//! People at a keyboard: profiles of `aws sso login` and `aws login`, signed in or not any more.

use std::fs;
use std::path::Path;
use std::process::Command;

const PROFILES: &str = "[profile dev]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = ReadOnly
region = eu-west-1
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
sso_registration_scopes = sso:account:access
[profile old]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 111122223333
sso_role_name = ReadOnly
region = eu-west-1
[profile console]
login_session = arn:aws:sts::111122223333:assumed-role/x/y
region = eu-west-1
";

/// `~/.aws/sso/cache/`, by the SHA-1 of the session's name.
const CACHED: &str = "ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

fn init(home: &Path, profile: &str) -> String {
    let config = home.join("config");
    fs::write(&config, PROFILES).expect("a file");
    let arguments = [
        "init",
        "--provider",
        "aws",
        "--region",
        "eu-west-1",
        "--endpoint-url",
        "http://127.0.0.1:1",
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_neap-test"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", &config)
        .env("AWS_PROFILE", profile)
        .output()
        .expect("neap runs");
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_profile_that_is_not_signed_in_says_how_to_sign_in() {
    for (profile, command) in
        [("dev", "aws sso login"), ("old", "aws sso login"), ("console", "aws login")]
    {
        let home = tempfile::tempdir().expect("a folder");
        let told = init(home.path(), profile);
        assert!(!told.contains("cargo feature"), "{profile}: {told}");
        // Long lines are wrapped for terminals.
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = format!("`{command} --profile {profile}`");
        assert!(told.contains(&expected), "{profile}: {told}");
    }
}

#[test]
fn a_sign_in_that_has_ended_says_how_to_sign_in_again() {
    let home = tempfile::tempdir().expect("a folder");
    let cache = home.path().join(".aws/sso/cache");
    fs::create_dir_all(&cache).expect("a folder");
    let ended = r#"{ "accessToken": "t", "expiresAt": "2021-01-01T00:00:00Z",
                     "region": "eu-west-1", "startUrl": "https://corp.awsapps.com/start" }"#;
    fs::write(cache.join(CACHED), ended).expect("a file");
    let told = init(home.path(), "dev");
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("has expired"), "{told}");
    assert!(told.contains("`aws sso login --profile dev`"), "{told}");
}
