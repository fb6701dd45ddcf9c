//! The watchfire binary: see `watchfire --help`.

// Alerts are many small texts that one thread makes and another drops: the allocator is a third of the work with glibc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    watchfire::cli::main()
}
