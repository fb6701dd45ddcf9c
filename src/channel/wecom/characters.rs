//! Characters that WeCom takes. Pure. <https://developer.work.weixin.qq.com/document/path/90313>

/// A text without control characters, which JSON writes as `\uXXXX` and WeCom refuses (40033). In `plain` text, `<a` opens no link.
pub(super) fn shown(text: &str, plain: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_control() && c != '\n' && c != '\t' {
            continue;
        }
        out.push(c);
        let opens_tag = c == '<' && rest.peek().is_some_and(|next| matches!(next, 'a' | 'A' | '/'));
        if plain && opens_tag {
            out.push('\u{200b}');
        }
    }
    out
}
