//! The binary `neap`.

use std::process::ExitCode;

fn main() -> ExitCode {
    neap::cli::main()
}
