//! `neap completions` and `neap man`.

use std::io::Write;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;

use crate::options::WrongUsage;

const EXAMPLES: &str = "\
Examples:
  neap completions bash > /usr/share/bash-completion/completions/neap
  neap completions zsh > \"${fpath[1]}/_neap\"";

const MAN_EXAMPLES: &str = "\
Examples:
  neap man > /usr/share/man/man1/neap.1
  neap man plan | man -l -";

/// What `neap completions` takes.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// What `neap man` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MAN_EXAMPLES)]
pub struct ManArgs {
    /// The page of this command instead of that of `neap`.
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
}

/// Prints completions.
///
/// # Errors
/// Where stdout cannot be written.
pub fn run(args: &CompletionsArgs, mut root: Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut root, "neap", &mut script);
    crate::output::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a manual page.
///
/// # Errors
/// For a command that does not exist, or where stdout cannot be written.
pub fn run_man(args: &ManArgs, root: Command) -> anyhow::Result<ExitCode> {
    crate::output::stdout().write_all(&page(args.command.as_deref(), root)?)?;
    Ok(ExitCode::SUCCESS)
}

fn page(of: Option<&str>, mut root: Command) -> anyhow::Result<Vec<u8>> {
    root.build();
    let command = match of {
        None => root,
        Some(name) => {
            let unknown = || WrongUsage(format!("there is no command `{name}`"));
            root.find_subcommand(name).ok_or_else(unknown)?.clone()
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Command {
        Command::new("neap").subcommand(Command::new("plan").about("One cycle in dry run"))
    }

    #[test]
    fn pages_are_there_for_neap_and_for_each_command() {
        let text = |of| String::from_utf8(page(of, root()).unwrap()).unwrap();
        assert!(text(None).contains(".TH neap 1"), "{}", text(None));
        assert!(text(Some("plan")).contains("neap\\-plan"), "{}", text(Some("plan")));
        assert!(page(Some("nothing"), root()).is_err());
    }
}
