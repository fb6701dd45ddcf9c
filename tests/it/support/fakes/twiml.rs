//! TwiML as Twilio reads it: well-formed XML, root `<Response>`, known verbs in their places. The result is what
//! the callee hears.

/// The words that are spoken, or why the document fails (Twilio's 12100, 12200).
pub fn spoken(xml: &str) -> Result<String, String> {
    let mut rest = xml.trim();
    if let Some(after) = rest.strip_prefix("<?xml") {
        rest = after.split_once("?>").ok_or("12100 the XML declaration does not end")?.1.trim_start();
    }
    let (mut stack, mut heard): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut closed = false;
    while !rest.is_empty() {
        if closed {
            return Err("12100 content after the root element".to_owned());
        }
        let Some(after) = rest.strip_prefix('<') else {
            let end = rest.find('<').ok_or("12100 text outside of the root element")?;
            let text = unescape(&rest[..end])?;
            match stack.last().map(String::as_str) {
                Some("Say") => heard.push(text),
                Some("Play" | "Redirect") => {}
                _ if text.trim().is_empty() => {}
                _ => return Err(format!("12200 text in {:?}", stack.last())),
            }
            rest = &rest[end..];
            continue;
        };
        let end = tag_end(after).ok_or("12100 a tag does not end")?;
        let (tag, remainder) = (&after[..end], &after[end + 1..]);
        rest = if stack.len() == 1 && tag.starts_with('/') || stack.is_empty() { remainder.trim_start() } else { remainder };
        if let Some(name) = tag.strip_prefix('/') {
            if stack.pop().as_deref() != Some(name.trim()) {
                return Err(format!("12100 </{name}> closes nothing"));
            }
            closed = stack.is_empty();
            continue;
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |t| (t, true));
        let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        check_attributes(attributes)?;
        check_place(name, stack.last().map(String::as_str))?;
        if !empty {
            stack.push(name.to_owned());
        } else if stack.is_empty() {
            closed = true;
        }
    }
    if closed { Ok(heard.join("\n")) } else { Err("12100 the document does not end".to_owned()) }
}

fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None, '>') => return Some(i),
            (_, '<') => return None,
            _ => {}
        }
    }
    None
}

fn check_attributes(text: &str) -> Result<(), String> {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or("12100 an attribute without a value")?;
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or("12100 an attribute value without quotes")?;
        let end = after[1..].find(quote).ok_or("12100 an attribute value does not end")?;
        unescape(&after[1..=end])?;
        if name.trim().is_empty() || !name.trim().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b':') {
            return Err(format!("12100 bad attribute name {name:?}"));
        }
        rest = after[end + 2..].trim_start();
    }
    Ok(())
}

fn check_place(name: &str, parent: Option<&str>) -> Result<(), String> {
    let good = match parent {
        None => name == "Response",
        Some("Response") => matches!(name, "Say" | "Pause" | "Gather" | "Play" | "Hangup" | "Redirect"),
        Some("Gather") => matches!(name, "Say" | "Pause" | "Play"),
        Some(_) => false,
    };
    if good { Ok(()) } else { Err(format!("12200 <{name}> cannot stand in {}", parent.unwrap_or("the document"))) }
}

fn unescape(text: &str) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let end = rest[at..].find(';').ok_or("12100 a bare &")?;
        let name = &rest[at + 1..at + end];
        let number = |s: &str, radix| u32::from_str_radix(s, radix).ok().and_then(char::from_u32);
        let c = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => name.strip_prefix("#x").map_or_else(|| name.strip_prefix('#').and_then(|n| number(n, 10)), |n| number(n, 16)),
        };
        out.push(c.ok_or_else(|| format!("12100 the entity &{name}; is unknown"))?);
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    if out.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
        return Err("12100 a control character".to_owned());
    }
    Ok(out)
}

/// Where a key leads that is pressed while this document is said; `None` when it waits for none. Twilio posts only to an address with its scheme.
/// <https://www.twilio.com/docs/voice/twiml/gather#gather-attributes>
pub fn action(xml: &str) -> Option<String> {
    spoken(xml).ok()?;
    let tag = xml.split_once("<Gather ")?.1;
    let tag = &tag[..tag_end(tag)?];
    let attribute = |name: &str| {
        let value = tag.split_once(&format!("{name}=\""))?.1;
        unescape(&value[..value.find('"')?]).ok()
    };
    let one_key = attribute("numDigits").as_deref() == Some("1") && attribute("method").as_deref() == Some("POST");
    attribute("action").filter(|url| one_key && url.starts_with("https://"))
}
