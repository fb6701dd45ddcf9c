//! A message as HTML. Every text is escaped; addresses that are not http(s) are no links; nothing is fetched.

use std::fmt::Write;

use super::card::{Block, Line, Message, Style, Tint};

/// How the clients look, for a page that shows [`html`](super::html).
pub const STYLE: &str = include_str!("style.css");

/// What a page with messages may do: show styles of its own, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// A page that shows messages, each with a caption; the messages are [`html`](super::html)'s.
pub fn document(title: &str, messages: impl IntoIterator<Item = (String, String)>) -> String {
    let mut out = format!(
        "<!doctype html>\n<html><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"><title>{}</title>\n<style>\n{STYLE}</style></head><body>\n",
        escape(title)
    );
    for (caption, message) in messages {
        let _ = writeln!(out, "<figure><figcaption>{}</figcaption>{message}</figure>", escape(&caption));
    }
    out.push_str("</body></html>\n");
    out
}

pub(super) fn write(client: &str, message: &Message) -> String {
    let mut out = format!("<div class=\"lookalike {client}\"><div class=\"who\"><i>🔥</i><b>Watchfire</b></div><div class=\"message\">");
    for block in &message.blocks {
        put(block, &mut out);
    }
    out.push_str("</div></div>");
    out
}

fn put(block: &Block, out: &mut String) {
    // Writing to a text cannot fail.
    let _ = match block {
        Block::Heading(level, line) => write!(out, "<h{level}>{}</h{level}>", spans(line)),
        Block::Text(line) => write!(out, "<p>{}</p>", spans(line)),
        Block::Small(line) => write!(out, "<p class=\"small\">{}</p>", spans(line)),
        Block::Code(code) => write!(out, "<pre>{}</pre>", escape(code)),
        Block::Rule => write!(out, "<hr>"),
        Block::Gap => write!(out, "<div class=\"gap\"></div>"),
        Block::Quote(inner) => {
            out.push_str("<blockquote>");
            inner.iter().for_each(|block| put(block, out));
            write!(out, "</blockquote>")
        }
        Block::List(items) => {
            out.push_str("<ul>");
            for (number, line) in items {
                let number = number.as_ref().map(|number| format!("{}. ", escape(number))).unwrap_or_default();
                let class = if number.is_empty() { "" } else { " class=\"numbered\"" };
                let _ = write!(out, "<li{class}>{number}{}</li>", spans(line));
            }
            write!(out, "</ul>")
        }
        Block::Facts(facts) => {
            out.push_str("<table>");
            for (name, value) in facts {
                let _ = write!(out, "<tr><th>{}</th><td>{}</td></tr>", escape(name), spans(value));
            }
            write!(out, "</table>")
        }
        Block::Buttons(buttons) => {
            out.push_str("<div class=\"buttons\">");
            for button in buttons {
                let class = if button.primary { "button primary" } else { "button" };
                let _ = write!(out, "{}", anchor(&button.url, class, &escape(&button.label)));
            }
            write!(out, "</div>")
        }
        Block::Picture(url) => write!(out, "<div class=\"picture\">🖼 {}</div>", escape(url)),
        Block::Card { colour, head, blocks } => {
            let style = if colour.is_empty() { String::new() } else { format!(" style=\"--colour:{}\"", escape(colour)) };
            let _ = write!(out, "<div class=\"attachment\"{style}>");
            if !head.is_empty() {
                let _ = write!(out, "<div class=\"head\">{}</div>", spans(head));
            }
            blocks.iter().for_each(|block| put(block, out));
            write!(out, "</div>")
        }
        Block::Document { html, .. } => write!(out, "<iframe sandbox title=\"mail\" srcdoc=\"{}\"></iframe>", escape(html)),
    };
}

/// A link to http(s), else only its text.
fn anchor(url: &str, class: &str, inner: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    if url.starts_with("http://") || url.starts_with("https://") {
        let url = escape(url);
        format!("<a{class} href=\"{url}\" title=\"{url}\" rel=\"noreferrer noopener\">{inner}</a>")
    } else {
        format!("<span{class}>{inner}</span>")
    }
}

fn spans(line: &Line) -> String {
    line.iter().map(|span| styled(&escape(&span.text).replace('\n', "<br>"), &span.style)).collect()
}

fn styled(text: &str, style: &Style) -> String {
    let mut out = text.to_owned();
    let wraps = [(style.code, "code"), (style.bold, "b"), (style.italic, "em"), (style.underline, "u"), (style.strike, "s")];
    for (_, tag) in wraps.into_iter().filter(|(wanted, _)| *wanted) {
        out = format!("<{tag}>{out}</{tag}>");
    }
    if let Some(tint) = style.tint {
        out = format!("<span class=\"{}\">{out}</span>", name(tint));
    }
    if style.mention {
        out = format!("<span class=\"mention\">{out}</span>");
    }
    match &style.link {
        Some(url) => anchor(url, "", &out),
        None => out,
    }
}

fn name(tint: Tint) -> &'static str {
    match tint {
        Tint::Grey => "grey",
        Tint::Green => "green",
        Tint::Orange => "orange",
        Tint::Red => "red",
        Tint::Blue => "blue",
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
