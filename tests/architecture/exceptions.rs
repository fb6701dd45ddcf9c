//! What still breaks a rule, listed in `exceptions.txt`. The list may only shrink.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What breaks a rule that has exceptions: the rule, what breaks it, and by how much.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excess {
    pub rule: &'static str,
    pub what: String,
    pub size: usize,
}

impl Excess {
    /// The module, as far as counts must not rise in it: `src/store`, `tests`.
    pub fn module(&self) -> String {
        let path = self.what.split(' ').next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').collect();
        if parts[0] == "src" && parts.len() > 1 { parts[..2].join("/").trim_end_matches(".rs").to_owned() } else { parts[0].to_owned() }
    }
}

pub const EXCEPTIONS: &str = "tests/architecture/exceptions.txt";
/// Compares what breaks a rule with the exceptions. Fails with what is new or larger.
pub fn within_exceptions(rule: &str, found: &[Excess], details: impl Fn(&Excess) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXCEPTIONS);
    let text = fs::read_to_string(&path).expect(EXCEPTIONS);
    let listed: Vec<(&str, usize)> = text
        .lines()
        .filter_map(|line| line.strip_prefix(rule)?.strip_prefix(' ')?.rsplit_once(' '))
        .map(|(what, size)| (what, size.parse().expect("a size at the end of the line")))
        .collect();
    let sum = |module: &str, of: &[(String, usize)]| of.iter().filter(|(m, _)| m == module).map(|(_, size)| size).sum::<usize>();
    let before: Vec<(String, usize)> =
        listed.iter().map(|(what, size)| (Excess { rule: "", what: (*what).into(), size: *size }.module(), *size)).collect();
    // Listed in steps, so that a line or a word more in a large file is no event.
    let step = match rule {
        "lines" => 20,
        "words" => 10,
        _ => 1,
    };
    let listed_as = |excess: &Excess| excess.size.next_multiple_of(step);
    let now: Vec<(String, usize)> = found.iter().map(|excess| (excess.module(), listed_as(excess))).collect();
    let grown: BTreeSet<&String> = now.iter().map(|(m, _)| m).filter(|m| sum(m, &now) > sum(m, &before)).collect();
    if std::env::var_os("UPDATE").is_some() && grown.is_empty() {
        // The tests of the other rules may be writing the same file.
        static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _turn = TURN.lock();
        let text = fs::read_to_string(&path).expect(EXCEPTIONS);
        let mut lines: Vec<String> = text.lines().filter(|line| !line.starts_with(&format!("{rule} "))).map(str::to_owned).collect();
        lines.extend(found.iter().map(|excess| format!("{rule} {} {}", excess.what, listed_as(excess))));
        fs::write(&path, lines.join("\n") + "\n").expect("write");
        return;
    }
    let known = |excess: &Excess| {
        let files = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        listed
            .iter()
            .any(|(what, size)| (*what == excess.what || rule == "cycle" && files(&excess.what).is_subset(&files(what))) && excess.size <= *size)
    };
    let broken: Vec<String> =
        found.iter().filter(|excess| !known(excess)).map(|excess| format!("{} {}: {}", excess.rule, excess.what, details(excess))).collect();
    assert!(
        broken.is_empty(),
        "\n{}\nWhat {EXCEPTIONS} lists may shrink only; after a rename or an improvement: UPDATE=1 cargo test --test architecture\n",
        broken.join("\n")
    );
}
