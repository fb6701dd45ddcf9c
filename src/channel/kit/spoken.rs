//! Text to be heard. Pure.

use super::phone::bare;
use crate::model::Language;

/// Text as a voice reads it: without ports and domains, names spelt as words (`DiskAlmostFull`, `my_db`), units in words, pauses in place of signs, one full
/// stop at the end of a sentence, and long numbers digit by digit, for "one billion three hundred ..." helps nobody.
pub fn spoken(text: &str, language: Language) -> String {
    let text = bare(text);
    let words: Vec<&str> = text.split(' ').collect();
    let said = words.iter().enumerate().map(|(at, one)| {
        let before = at.checked_sub(1).map(|at| words[at]);
        // `30m CPU` is a part of a processor.
        let is_share = !one.ends_with(['.', ',', ';'])
            && words.get(at + 1).is_some_and(|after| ["cpu", "core"].iter().any(|what| after.to_ascii_lowercase().starts_with(what)));
        let in_words = if language == Language::En && !is_share { unit(one, before) } else { None };
        in_words.unwrap_or_else(|| word(one))
    });
    let text = said.collect::<Vec<_>>().join(" ");
    let text = sentences(&text, language);
    digits(&text)
}

/// Minutes above this are none: Kubernetes writes half a processor as `500m`.
const MAX_MINUTES: u32 = 60;

/// A duration in words: `12 minutes` for `12m`, `minutes` for the `min` of `12 min`; `None` for any other word. `before` is the word before it.
fn unit(word: &str, before: Option<&str>) -> Option<String> {
    let end = word.trim_end_matches(['.', ',', ';', ')']).len();
    let (name, tail) = word.split_at(end);
    let (number, unit) = match (name, before) {
        ("min", Some(number)) if number.parse::<u32>().is_ok() => (number, "minute"),
        _ => {
            let (number, letter) = name.split_at_checked(name.len().checked_sub(1)?)?;
            let unit = match letter {
                "d" => "day",
                "h" => "hour",
                "m" if number.parse::<u32>().is_ok_and(|n| n < MAX_MINUTES) => "minute",
                "s" => "second",
                _ => return None,
            };
            (number, unit)
        }
    };
    let plural = if number.parse::<u32>().ok()? == 1 { "" } else { "s" };
    let number = if name == "min" { String::new() } else { format!("{number} ") };
    Some(format!("{number}{unit}{plural}{tail}"))
}

/// A word without what nobody says.
fn word(word: &str) -> String {
    let end = word.trim_end_matches([',', '.', ';', ':', ')', '，', '。', '；', '：']).len();
    let (name, tail) = word.split_at(end);
    let host = match name.rsplit_once(':') {
        Some((host, port))
            if !host.contains(':')
                && host.chars().any(char::is_alphanumeric)
                && port.len() >= 2
                && port.bytes().all(|b| b.is_ascii_digit())
                && !is_clock(host) =>
        {
            host
        }
        _ => name,
    };
    let labels: Vec<&str> = host.split('.').collect();
    let is_label = |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let is_domain = labels.len() >= 3
        && labels.iter().all(is_label)
        && labels[0].len() > 1
        && labels.last().is_some_and(|top| top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic()));
    let name = if is_domain { labels[0] } else { host };
    format!("{}{tail}", spelt(without_hash(name)))
}

/// What Kubernetes makes a pod's and a replica set's random names of, so that they hold no words:
/// <https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apimachinery/pkg/util/rand/rand.go>
const HASH_CHARACTERS: &str = "bcdfghjklmnpqrstvwxz2456789";

/// A pod's name without what its controller appends: `payments/api` for `payments/api-6d8f9c7b5d-2xk9q`.
fn without_hash(name: &str) -> &str {
    let is_hash = |part: &str| part.chars().all(|c| HASH_CHARACTERS.contains(c));
    let mut parts = name.rsplitn(3, '-');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(pod), Some(set), Some(name)) if pod.len() == 5 && is_hash(pod) && (8..=10).contains(&set.len()) && is_hash(set) && !name.is_empty() => {
            name
        }
        _ => name,
    }
}

/// `12` of `12:30`.
fn is_clock(hour: &str) -> bool {
    hour.len() <= 2 && hour.bytes().all(|b| b.is_ascii_digit())
}

/// `Disk Almost Full` for `DiskAlmostFull`, `HTTP Probe Failed` for `HTTPProbeFailed`, `my db host` for `my_db_host`. What is short is a unit (`GiB`).
fn spelt(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 8);
    for (at, c) in chars.iter().copied().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1).copied();
        let begins = c.is_ascii_uppercase()
            && before
                .is_some_and(|before| before.is_ascii_lowercase() || (before.is_ascii_uppercase() && after.is_some_and(|c| c.is_ascii_lowercase())));
        if begins && chars.len() > 4 {
            out.push(' ');
        }
        out.push(if c == '_' { ' ' } else { c });
    }
    out
}

/// A text in which what was cut ends as a sentence does: `…` behind a word and before a blank.
fn ended(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut parts = text.split("… ").peekable();
    while let Some(part) = parts.next() {
        out.push_str(part);
        if parts.peek().is_some() {
            out.push_str(if part.ends_with(char::is_alphanumeric) { ". " } else { "… " });
        }
    }
    out
}

/// Pauses where people pause, one full stop at a time, and a capital after it.
fn sentences(text: &str, language: Language) -> String {
    let (comma, stop) = if language == Language::Zh { ("，", "。") } else { (", ", ". ") };
    let mut out = String::with_capacity(text.len() + 8);
    let mut parts: Vec<String> = Vec::new();
    // A dot ends a sentence only before a blank: `97.2%` and `db-1.prod` go on.
    for part in ended(text).replace("。", ". ").split(". ") {
        let part = part.replace(" · ", comma).replace('·', comma);
        let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        let part = part.trim_matches(['.', '。', ',', '，', ' ', ':', '：', '-', '…']).to_owned();
        if !part.is_empty() {
            parts.push(part);
        }
    }
    for part in parts {
        let mut chars = part.chars();
        let first = chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
        out.push_str(&first);
        out.push_str(chars.as_str());
        out.push_str(if part.ends_with(['!', '?', '！', '？']) { " " } else { stop });
    }
    out.trim_end().to_owned()
}

fn digits(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = rest[start..].chars().take_while(char::is_ascii_digit).count();
        out.push_str(&rest[..start]);
        let number = &rest[start..start + digits];
        if digits > 4 {
            out.push_str(&number.chars().map(String::from).collect::<Vec<_>>().join(" "));
        } else {
            out.push_str(number);
        }
        rest = &rest[start + digits..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_what_a_person_would_say() {
        for (text, said) in [
            (
                "critical. Firing. DiskAlmostFull · db-1.prod.example.com:9100. /var/lib/postgresql on db-1 is 97.2% full. ",
                "Critical. Firing. Disk Almost Full, db-1. /var/lib/postgresql on db-1 is 97.2% full.",
            ),
            (
                "warning. KubePodCrashLooping · payments/api. Pod is crash looping.. ",
                "Warning. Kube Pod Crash Looping, payments/api. Pod is crash looping.",
            ),
            ("node_disk_full · my_db_host_01:9100", "Node disk full, my db host 01."),
            ("HTTPProbeFailed · 10.0.3.17:9100. at 12:30, 3 GiB left", "HTTP Probe Failed, 10.0.3.17. At 12:30, 3 GiB left."),
            (
                "Critical alert. Latency · api. p99 over 5m is 4s, limit 500m. for 12 min. ",
                "Critical alert. Latency, api. P99 over 5 minutes is 4 seconds, limit 500m. For 12 minutes.",
            ),
            (
                "KubePodCrashLooping · payments/payments-api-6d8f9c7b5d-2xk9q. web-server-01 is up",
                "Kube Pod Crash Looping, payments/payments-api. Web-server-01 is up.",
            ),
            ("Resolved after 1h 17m. for 1 min. ms 1h", "Resolved after 1 hour 17 minutes. For 1 minute. Ms 1 hour."),
            ("Critical alert. Disk · db-cluster01-node1:9100. Broken. ", "Critical alert. Disk, db-cluster01-node1. Broken."),
            ("Resolved after 20 min. CPU · db-1", "Resolved after 20 minutes. CPU, db-1."),
            ("db-kafka2prod-proxy is at limit 30m CPU of 2 cores", "Db-kafka2prod-proxy is at limit 30m CPU of 2 cores."),
            ("Queue is full. See https://wiki.example.com/queue. For 7 minutes.", "Queue is full. See. For 7 minutes."),
            ("(https://wiki.example.com/queue). For 7 minutes.", "For 7 minutes."),
            ("the volume of the replica… for 7 minutes.", "The volume of the replica. For 7 minutes."),
            ("… does not answer. node-… is full", "Does not answer. Node-… is full."),
            ("🔴 Disk 97.5% on db-1, see https://x.example/y\nid 1234567", "Disk 97.5% on db-1, see id 1 2 3 4 5 6 7."),
            ("", ""),
        ] {
            assert_eq!(spoken(text, Language::En), said);
        }
        for (text, said) in [
            ("严重. 告警中. 磁盘已满 · 10.20.30.41:9100. 使用率超过 95%。. ", "严重。告警中。磁盘已满，10.20.30.41。使用率超过 95%。"),
            ("已恢复。DiskFull · db-1", "已恢复。Disk Full，db-1。"),
            (
                "严重告警。磁盘 · db-cluster01-node1:9100。 详见https://wiki.example.com/x。持续7分钟",
                "严重告警。磁盘，db-cluster01-node1。详见。持续7分钟。",
            ),
        ] {
            assert_eq!(spoken(text, Language::Zh), said);
        }
    }
}
