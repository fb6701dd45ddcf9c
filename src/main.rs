//! The watchfire binary: see `watchfire --help`.

// Alerts are many small texts that one thread makes and another drops: the allocator is a third of the work with glibc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay`: how long freed pages are kept for the next allocation, milliseconds.
/// <https://microsoft.github.io/mimalloc/group__options.html>
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> std::process::ExitCode {
    // A body of 8 MiB takes 100 MB while it is read, and each of its channels reads it once more on another thread. Kept for the default of a second,
    // what one has freed is added to what the next one takes, and a container with 256 MiB ends.
    // SAFETY: sets a number; any thread may call it at any time.
    #[allow(unsafe_code)]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, 0);
    }
    // An empty variable counts as one that is not set, as in routes.yaml: compose files and charts pass on what nobody has filled in.
    for (name, _) in std::env::vars_os().filter(|(name, value)| value.is_empty() && name.to_string_lossy().starts_with("WATCHFIRE_")) {
        // SAFETY: no other thread runs yet.
        #[allow(unsafe_code)]
        unsafe {
            std::env::remove_var(name);
        }
    }
    watchfire::cli::main()
}

#[cfg(test)]
mod tests {
    /// The numbers of options are the library's: a new version may number them differently.
    #[test]
    #[allow(unsafe_code)]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: reads a number.
        let default = unsafe { libmimalloc_sys::mi_option_get(super::PURGE_DELAY) };
        assert_eq!(default, 1000, "mimalloc keeps freed pages for a second by default");
    }
}
