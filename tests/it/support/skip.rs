//! Tests that need what this machine does not have.

use std::io::Write;

/// Says which test is skipped and what it needs, past the capture of what tests print: a skip must be seen. Fails in CI.
pub fn skip(needs: &str) {
    assert!(std::env::var_os("WATCHFIRE_CI").is_none(), "the test needs {needs}");
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "SKIPPED {}: it needs {needs}", thread.name().unwrap_or("a test"));
}
