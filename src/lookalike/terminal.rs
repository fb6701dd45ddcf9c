//! A message for the terminal: ANSI styles, a bar beside cards and quotations, addresses beside what links to them.

use super::card::{Block, Line, Message, Style, Tint};

const RESET: &str = "\u{1b}[0m";
const DIM: &str = "\u{1b}[2m";

pub(super) fn write(message: &Message) -> String {
    let mut lines = Vec::new();
    if !message.notification.is_empty() {
        lines.push(format!("{DIM}notification: {}{RESET}", printable(&message.notification).replace('\n', " ")));
    }
    message.blocks.iter().for_each(|block| put(block, &mut lines));
    lines.join("\n") + "\n"
}

fn put(block: &Block, lines: &mut Vec<String>) {
    match block {
        Block::Heading(_, line) => add(lines, "", &spans(line, &Style { bold: true, ..Style::default() })),
        Block::Text(line) => add(lines, "", &spans(line, &Style::default())),
        Block::Small(line) => add(lines, "", &spans(line, &Style { tint: Some(Tint::Grey), ..Style::default() })),
        Block::Code(code) => add(lines, "  ", &printable(code)),
        Block::Rule => lines.push("────".to_owned()),
        Block::Gap => lines.push(String::new()),
        Block::Quote(inner) => within(inner, &format!("{DIM}│{RESET} "), lines),
        Block::List(items) => {
            for (number, line) in items {
                let mark = number.as_ref().map_or_else(|| "• ".to_owned(), |number| format!("{}. ", printable(number)));
                add(lines, &mark, &spans(line, &Style::default()));
            }
        }
        Block::Facts(facts) => {
            for (name, value) in facts {
                add(lines, "", &format!("{DIM}{}:{RESET} {}", printable(name), spans(value, &Style::default())));
            }
        }
        Block::Buttons(buttons) => {
            for button in buttons {
                let style = Style { bold: button.primary, ..Style::default() };
                let url = if button.url.is_empty() { String::new() } else { format!(" {DIM}{}{RESET}", printable(&button.url)) };
                add(lines, "", &format!("{}{url}", dressed(&format!("[ {} ]", printable(&button.label)), &style)));
            }
        }
        Block::Picture(url) => add(lines, "", &format!("[ picture ] {DIM}{}{RESET}", printable(url))),
        Block::Card { colour, head, blocks } => {
            let bar = rgb(colour).map_or_else(|| "┃ ".to_owned(), |(r, g, b)| format!("\u{1b}[38;2;{r};{g};{b}m┃{RESET} "));
            if !head.is_empty() {
                add(lines, &bar, &spans(head, &Style { bold: true, ..Style::default() }));
            }
            within(blocks, &bar, lines);
        }
        Block::Document { text, .. } => add(lines, "", &printable(text)),
    }
}

fn within(blocks: &[Block], bar: &str, lines: &mut Vec<String>) {
    let mut inner = Vec::new();
    blocks.iter().for_each(|block| put(block, &mut inner));
    lines.extend(inner.into_iter().map(|line| format!("{bar}{line}")));
}

fn add(lines: &mut Vec<String>, before: &str, text: &str) {
    lines.extend(text.lines().map(|line| format!("{before}{line}")));
}

fn spans(line: &Line, outer: &Style) -> String {
    let mut out = String::new();
    for span in line {
        let style = Style { bold: span.style.bold || outer.bold, tint: span.style.tint.or(outer.tint), ..span.style.clone() };
        // A style holds for one line, because each line may get a bar.
        let parts: Vec<String> = printable(&span.text).split('\n').map(|part| dressed(part, &style)).collect();
        out.push_str(&parts.join("\n"));
        match &span.style.link {
            Some(url) if *url != span.text => out.push_str(&format!(" {DIM}{}{RESET}", printable(url))),
            _ => {}
        }
    }
    out
}

fn dressed(text: &str, style: &Style) -> String {
    let tint = style.tint.map(|tint| match tint {
        Tint::Grey => "2",
        Tint::Green => "32",
        Tint::Orange => "33",
        Tint::Red => "31",
        Tint::Blue => "34",
    });
    let on = [
        (style.bold, "1"),
        (style.italic, "3"),
        (style.underline || style.link.is_some(), "4"),
        (style.code, "36"),
        (style.mention, "7"),
        (style.strike, "9"),
    ];
    let codes: Vec<&str> = on.iter().filter(|(on, _)| *on).map(|(_, code)| *code).chain(tint).collect();
    if codes.is_empty() || text.is_empty() { text.to_owned() } else { format!("\u{1b}[{}m{text}{RESET}", codes.join(";")) }
}

fn rgb(colour: &str) -> Option<(u8, u8, u8)> {
    let part = |at: usize| u8::from_str_radix(colour.get(at..at + 2)?, 16).ok();
    Some((part(1)?, part(3)?, part(5)?))
}

/// Without what moves a cursor or changes a terminal's state: bodies carry what others wrote.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}
