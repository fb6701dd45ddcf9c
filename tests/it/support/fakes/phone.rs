//! What the SMS and voice clouds have in common: numbers, templates, the segments of an SMS.

/// A number in the form `+<country><number>`; mainland forms (`139...`, `86139...`, `0086139...`) become `+86139...`.
/// `None`: not a number that a carrier would take.
pub fn e164(text: &str) -> Option<String> {
    let digits = text.strip_prefix('+').or_else(|| text.strip_prefix("00")).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let explicit = digits.len() != text.len();
    let mainland = |n: &str| n.len() == 11 && n.starts_with('1') && n.as_bytes()[1] >= b'3';
    match digits.strip_prefix("86") {
        Some(rest) if mainland(rest) => Some(format!("+86{rest}")),
        Some(_) if explicit => None,
        _ if !explicit && mainland(digits) => Some(format!("+86{digits}")),
        _ if explicit && (7..=15).contains(&digits.len()) && !digits.starts_with('0') => Some(format!("+{digits}")),
        _ => None,
    }
}

/// The names between `open` and `close`, in order: the variables of a template.
pub fn variables<'a>(template: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(open) {
        rest = &rest[at + open.len()..];
        let Some(end) = rest.find(close) else { break };
        found.push(&rest[..end]);
        rest = &rest[end..];
    }
    found
}

/// Whether a variable smuggles in a link.
pub fn has_url(text: &str) -> bool {
    text.contains("://") || text.contains("www.")
}

/// How many segments an SMS takes: GSM-7 160/153 septets, UCS-2 70/67 code units.
pub fn segments(text: &str) -> usize {
    const GSM: &str =
        "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    const TWICE: &str = "^{}\\[~]|€";
    let septets: Option<usize> = text.chars().map(|c| if GSM.contains(c) { Some(1) } else { TWICE.contains(c).then_some(2) }).sum();
    let (length, single, many) = septets.map_or_else(|| (text.encode_utf16().count(), 70, 67), |n| (n, 160, 153));
    if length <= single { 1 } else { length.div_ceil(many) }
}
