//! Texts from outside: escaped, and never obeyed.

use maud::{Markup, html};

use crate::http::page::build::turns;

/// A text from outside. Controls that turn the direction of text are shown, not obeyed.
pub(in super::super) fn shown(text: &str) -> Markup {
    if !text.contains(turns) {
        return html! { (text) };
    }
    let mut rest = text;
    html! {
        @while let Some(at) = rest.find(turns) {
            @let control = rest[at..].chars().next().unwrap_or_default();
            (&rest[..at]) span.bidi title="a control of the direction of text, shown instead of obeyed" { (format!("U+{:04X}", u32::from(control))) }
            @let () = rest = &rest[at + control.len_utf8()..];
        }
        (rest)
    }
}

/// The same for an attribute.
pub(in super::super) fn plain(text: &str) -> String {
    text.chars().map(|c| if turns(c) { format!("[U+{:04X}]", u32::from(c)) } else { c.to_string() }).collect()
}

/// A label.
pub(in super::super) fn label(name: &str, value: &str) -> Markup {
    html! { span.lab { (shown(name)) "=" b { (shown(value)) } } }
}

/// A link to an address from outside, where it is one of http or https; else nothing.
pub(in super::super) fn link(address: &str, body: Markup) -> Option<Markup> {
    let lower = address.to_ascii_lowercase();
    let sound = (lower.starts_with("https://") || lower.starts_with("http://"))
        && !address.contains(|c: char| c.is_control() || c.is_whitespace() || turns(c));
    sound.then(|| html! { a.b href=(address) rel="noopener noreferrer nofollow" target="_blank" { (body) } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_its_direction_is_not_turned() {
        assert_eq!(shown("<b>a</b> & \"c\"").into_string(), "&lt;b&gt;a&lt;/b&gt; &amp; &quot;c&quot;");
        let turned = shown("x\u{202E}gnp.exe\u{2066}").into_string();
        assert!(turned.contains("U+202E</span>gnp.exe<span") && turned.ends_with("U+2066</span>") && !turned.contains('\u{202E}'), "{turned}");
        assert_eq!(plain("a\u{200F}b"), "a[U+200F]b");
    }

    #[test]
    fn links_lead_to_http_only() {
        let to = |address: &str| link(address, html! { "x" }).map(Markup::into_string);
        assert!(to("https://a.example/?b=\"").is_some_and(|html| html.contains("href=\"https://a.example/?b=&quot;\"") && html.contains("nofollow")));
        assert!(to("HTTP://a").is_some());
        for bad in ["javascript:alert(1)", "//a", "data:text/html,x", "https://a b", "https://a\u{202E}", ""] {
            assert_eq!(to(bad), None, "{bad}");
        }
    }
}
