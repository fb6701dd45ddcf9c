//! Mail addresses as people write them: `ops@example.com`, `On call <ops@example.com>`. Says which part is wrong, turns international domains
//! into their ASCII form, and lets nothing through that could break out of a command or header line. Knows no configuration and no wire.

use lettre::Address;
use lettre::message::Mailbox;

/// What is wrong with an address: the part and the reason, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Which part is wrong, and why.
    pub what: String,
    /// What to do.
    pub help: &'static str,
}

const SHAPE: &str = "write it like `ops@example.com` or `On call <ops@example.com>`";

/// The longest local part and domain, in octets: RFC 5321, sections 4.5.3.1.1 and 4.5.3.1.2.
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 255;

/// The longest display name that is worth a header.
const MAX_NAME: usize = 128;

fn flaw<T>(what: impl Into<String>, help: &'static str) -> Result<T, Flaw> {
    Err(Flaw { what: what.into(), help })
}

/// Reads `name@domain`. The domain comes out in ASCII; a non-ASCII name stays as it is (it then needs SMTPUTF8).
pub(super) fn address(text: &str) -> Result<Address, Flaw> {
    let text = text.trim();
    if text.is_empty() {
        return flaw("the address is empty", SHAPE);
    }
    if text.contains('\u{ff20}') {
        return flaw("its @ is the full-width character `＠`", "type it again with an ASCII @");
    }
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return flaw("it holds a space, a line break or another control character", SHAPE);
    }
    if text.contains(['<', '>']) {
        return flaw("an angle bracket is out of place", SHAPE);
    }
    let Some((local, domain)) = text.rsplit_once('@') else {
        return flaw("the @ is missing", SHAPE);
    };
    if !local.starts_with('"') && local.contains([',', ';', '@']) {
        return flaw("it seems to hold several addresses", "write each address as a list item of its own");
    }
    if local.is_empty() {
        return flaw("the part before the @ is empty", SHAPE);
    }
    if local.len() > MAX_LOCAL {
        return flaw(format!("the part before the @ is longer than {MAX_LOCAL} bytes"), "no mail server accepts it (RFC 5321, 4.5.3.1.1)");
    }
    let domain = ascii_domain(domain)?;
    if domain.len() > MAX_DOMAIN {
        return flaw(format!("the domain is longer than {MAX_DOMAIN} bytes"), "no mail server accepts it (RFC 5321, 4.5.3.1.2)");
    }
    match Address::new(local, &domain) {
        Ok(address) => Ok(address),
        Err(lettre::address::AddressError::InvalidUser) => {
            flaw(format!("the part before the @ (`{local}`) has a character or dot that is not allowed there"), SHAPE)
        }
        Err(_) => flaw(format!("the domain `{domain}` is not a valid one"), SHAPE),
    }
}

/// The domain in ASCII, so that it can be sent to through servers without SMTPUTF8.
fn ascii_domain(domain: &str) -> Result<String, Flaw> {
    if domain.is_empty() {
        return flaw("the part after the @ is empty", SHAPE);
    }
    if domain.starts_with('.') || domain.ends_with('.') || domain.contains("..") {
        return flaw(format!("the domain `{domain}` has a dot too many"), SHAPE);
    }
    if domain.is_ascii() {
        return Ok(domain.to_owned());
    }
    let lettered = domain.chars().all(|c| !c.is_ascii() || c.is_ascii_alphanumeric() || c == '-' || c == '.');
    // The URL type carries the IDNA mapping that a browser would use.
    let mapped = lettered.then(|| reqwest::Url::parse(&format!("http://{domain}/")).ok()).flatten();
    match mapped.as_ref().and_then(reqwest::Url::host_str) {
        Some(host) if host.is_ascii() => Ok(host.to_owned()),
        _ => flaw(format!("the international domain `{domain}` has no ASCII form"), "check its spelling, or write its `xn--` form"),
    }
}

/// Reads an address with or without a display name.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, Flaw> {
    let text = text.trim();
    let Some(inner) = text.strip_suffix('>') else {
        if text.contains('<') {
            return flaw("the closing `>` is missing", SHAPE);
        }
        return Ok(Mailbox::new(None, address(text)?));
    };
    let Some((name, addr)) = inner.rsplit_once('<') else {
        return flaw("the opening `<` is missing", SHAPE);
    };
    let name = name.trim();
    let name = match name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => name.to_owned(),
    };
    if name.contains(char::is_control) {
        return flaw("the name before the address holds a line break or another control character", SHAPE);
    }
    if name.chars().count() > MAX_NAME {
        return flaw(format!("the name before the address is longer than {MAX_NAME} characters"), "shorten it");
    }
    Ok(Mailbox::new((!name.is_empty()).then_some(name), address(addr)?))
}

/// Reads a comma-separated list; commas inside quotes and angle brackets do not separate. Empty entries are skipped.
pub(super) fn mailboxes(text: &str) -> Result<Vec<Mailbox>, Flaw> {
    let mut list = Vec::new();
    let (mut quoted, mut angled, mut start) = (false, false, 0);
    for (at, c) in text.char_indices().chain([(text.len(), ',')]) {
        let end = at == text.len();
        match c {
            '"' => quoted = !quoted,
            '<' if !quoted => angled = true,
            '>' if !quoted => angled = false,
            ',' if end || (!quoted && !angled) => {
                let entry = text[start..at].trim();
                if !entry.is_empty() {
                    list.push(mailbox(entry)?);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    Ok(list)
}

/// Whether an address cannot be sent to without SMTPUTF8.
pub(super) fn needs_utf8(address: &Address) -> bool {
    !AsRef::<str>::as_ref(address).is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let plain = |text: &str| mailbox(text).map(|m| (m.name, m.email.to_string()));
        assert_eq!(plain("ops@example.com"), Ok((None, "ops@example.com".into())));
        assert_eq!(plain(" <ops@example.com> "), Ok((None, "ops@example.com".into())));
        assert_eq!(plain("On call <ops@example.com>"), Ok((Some("On call".into()), "ops@example.com".into())));
        assert_eq!(plain("\"Doe, \\\"J\\\"\" <j@example.com>"), Ok((Some("Doe, \"J\"".into()), "j@example.com".into())));
        assert_eq!(plain("值班 <ops@例子.com>"), Ok((Some("值班".into()), "ops@xn--fsqu00a.com".into())));
        assert_eq!(plain("ops@[10.0.0.1]"), Ok((None, "ops@[10.0.0.1]".into())));
        assert!(needs_utf8(&address("运维@例子.com").unwrap()));
        assert!(!needs_utf8(&address("ops@例子.com").unwrap()));
    }

    #[test]
    fn names_the_part_that_is_wrong() {
        let long = format!("{}@example.com", "a".repeat(65));
        for (text, part) in [
            ("", "empty"),
            ("ops", "@ is missing"),
            ("ops＠example.com", "full-width"),
            ("@example.com", "before the @ is empty"),
            ("ops@", "after the @ is empty"),
            ("ops@example..com", "dot too many"),
            ("ops@-example.com", "domain `-example.com`"),
            ("ops@exa mple.com", "space"),
            ("ops@example.com\r\nBcc: x@y.z", "line break"),
            ("a@example.com,b@example.com", "several addresses"),
            (".ops@example.com", "before the @ (`.ops`)"),
            ("o(ps@example.com", "before the @"),
            ("Ops <ops@example.com", "closing"),
            ("ops@example.com>", "opening"),
            ("Ops\r\nX: y <ops@example.com>", "line break"),
            (long.as_str(), "longer than 64"),
            ("ops@例/子.com", "no ASCII form"),
        ] {
            let got = mailbox(text).expect_err(text);
            assert!(got.what.contains(part), "{text:?}: {}", got.what);
        }
    }

    #[test]
    fn splits_lists_at_the_right_commas() {
        let list = mailboxes("a@x.org, \"Doe, J\" <j@x.org>,, 值班 <b@x.org>").unwrap();
        assert_eq!(list.iter().map(|m| m.email.to_string()).collect::<Vec<_>>(), ["a@x.org", "j@x.org", "b@x.org"]);
        assert!(mailboxes("a@x.org, b").is_err());
        assert!(mailboxes(" , ").unwrap().is_empty());
        assert!(mailboxes("\"open <a@x.org>").is_ok_and(|l| l.len() == 1));
    }
}
