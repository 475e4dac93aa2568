//! The binary `neap` as the tests run it: the same program, with the clock that a test moves.

fn main() -> std::process::ExitCode {
    neap::cli::main()
}
