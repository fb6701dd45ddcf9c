//! The watchfire binary: see `watchfire --help`.

fn main() -> std::process::ExitCode {
    watchfire::cli::main()
}
