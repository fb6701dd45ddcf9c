//! Names the commit that an optimised build was made from, for `watchfire --version` and `watchfire_build_info`.
//!
//! `WATCHFIRE_REVISION` of the environment comes first (images are built without git's folder), then git, where this folder is a repository of its own.
//! An archive has neither, and both leave it out. Debug builds have none: they would be compiled again after every commit.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=WATCHFIRE_REVISION");
    let set = |name: &str| std::env::var(name).unwrap_or_default();
    if set("PROFILE") != "release" || !set("WATCHFIRE_REVISION").is_empty() {
        return;
    }
    let folder = set("CARGO_MANIFEST_DIR");
    // An archive that was unpacked inside another repository is not of that repository's commit.
    if git(&folder, &["rev-parse", "--show-toplevel"]).is_none_or(|top| Path::new(&top) != Path::new(&folder)) {
        return;
    }
    let Some(revision) = git(&folder, &["rev-parse", "--verify", "HEAD"]) else { return };
    println!("cargo::rustc-env=WATCHFIRE_REVISION={revision}");
    // The log of HEAD grows with every commit and checkout.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&folder, &["rev-parse", "--path-format=absolute", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// What git prints; `None` without git, or when it refuses.
fn git(folder: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| output.status.success() && !text.is_empty())
}
