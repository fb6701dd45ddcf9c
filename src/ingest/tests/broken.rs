//! Bodies that cannot become an event: the exact words, with field and place, and the bounds of what is read at all.

use std::time::Duration;

use super::*;

#[test]
fn refusals_name_field_and_place() {
    for (body, error) in [
        ("", "the body is empty; send JSON (line 1, column 1)"),
        (" \n\t", "the body is empty; send JSON (line 1, column 1)"),
        ("\u{feff}", "the body is empty; send JSON (line 1, column 1)"),
        ("null", "expected an object or an array of alerts, found null (line 1, column 1)"),
        ("true", "expected an object or an array of alerts, found a boolean (line 1, column 1)"),
        (" 12.5", "expected an object or an array of alerts, found a number (line 1, column 2)"),
        (r#""a \" string""#, "expected an object or an array of alerts, found a string (line 1, column 1)"),
        ("<html>\n", "not JSON: the body begins with `<html>\\u{a}` (line 1, column 1)"),
        ("\n payload=%7B%7D", "not JSON: the body begins with `payload=%7B%7D` (line 2, column 2)"),
        ("[]", "no alert to deliver: the body is an empty array (line 1, column 1)"),
        ("[{}, null]", "no alert to deliver: the body is an array of empty entries (line 1, column 1)"),
        ("[5]", "no alert to deliver: the body is an array without an alert (line 1, column 1)"),
        (
            "{}",
            "no alert to deliver: there is no `alerts` list. Send Alertmanager's or Grafana's own body, or describe this one under `inputs` (line 1, column 1)",
        ),
        (
            r#"{"event": 1, "告警": {}, "c": 0, "d": 1}"#,
            "no alert to deliver: there is no `alerts` list; its members are `event`, `告警`, `c`, …. Send Alertmanager's or Grafana's own body, or \
             describe this one under `inputs` (line 1, column 1)",
        ),
        (r#"{"alerts": []}"#, "alerts: no alert to deliver: the list is empty (line 1, column 12)"),
        (r#"{"alerts": null}"#, "alerts: no alert to deliver: it is null (line 1, column 12)"),
        (r#"{"alerts": [{}, {"x": 1}]}"#, "alerts: no alert to deliver: none of its entries is an alert (line 1, column 12)"),
        (r#"{"alerts": {"a": 1}}"#, "alerts: no alert to deliver: it is an object that is no alert (line 1, column 12)"),
        (r#"{"alerts": "none"}"#, "alerts: expected an array of alerts, found a string (line 1, column 12)"),
        ("{\"alerts\": [\n  1,\n  \"two\"]}", "alerts: no alert to deliver: none of its entries is an alert (line 1, column 12)"),
        (r#"{"alerts": [[]]}"#, "alerts: no alert to deliver: its entries are all empty (line 1, column 12)"),
        (r#"{"groupLabels": "告警", "alerts": []}"#, "alerts: no alert to deliver: the list is empty (line 1, column 33)"),
        (
            r#"{"alerts": [{"labels": {"a": "b"#,
            "alerts[0].labels: not valid JSON: the body ends inside a string; it was cut off, or never finished (line 1, column 31)",
        ),
        (r#"{"alerts": [{"labels": {"a": }}]}"#, "alerts[0].labels: not valid JSON: expected a value, found `}` (line 1, column 30)"),
        (r#"{"alerts": [{"status": None}]}"#, "alerts[0].status: not valid JSON: expected a value, found `N` (line 1, column 24)"),
        (r#"{"a": 1,}"#, "not valid JSON: trailing comma (line 1, column 9)"),
        (r#"{"a" 1}"#, "not valid JSON: expected `:` (line 1, column 6)"),
        (r#"{"alerts": []} x"#, "not valid JSON: more text follows after the end of the value (line 1, column 16)"),
        (
            "{\"message\": \"a\nb\"}",
            "message: not valid JSON: a line break or another control character is inside a string; write it as `\\n` or `\\u00XX` (line 1, column 15)",
        ),
    ] {
        assert_eq!(read(body).unwrap_err().to_string(), error, "{body}");
    }
}

#[test]
fn an_error_is_one_short_line_whatever_the_body_holds() {
    let long = "\u{1b}[31m\u{202e}x\n".repeat(5000);
    let mut hostile = vec![long.clone(), format!("{{{}: 1}}", serde_json::to_string(&long).unwrap())];
    hostile.push(format!("{{{}: 1, {0}: 2, \"{}\": 3}}", serde_json::to_string(&long).unwrap(), "告".repeat(500)));
    for body in hostile {
        let error = read(&body).unwrap_err().to_string();
        assert!(error.len() < 1000 && !error.contains(['\n', '\u{1b}', '\u{202e}']), "{error}");
        assert!(error.matches('x').count() <= 60, "{error}");
    }
}

#[test]
fn depth_costs_neither_stack_nor_time() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    let error = |body: String| read(&body).unwrap_err().to_string();
    assert_eq!(error(deep("[", "]")), "no alert to deliver: the body is an array without an alert (line 1, column 1)");
    assert!(error("[".repeat(10_000)).starts_with("[0]: "));
    assert!(error(format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000))).starts_with("no alert to deliver"));
    assert_eq!(
        error(format!("{{\"alerts\":{}}}", deep("[", "]"))),
        "alerts: no alert to deliver: none of its entries is an alert (line 1, column 11)"
    );
    // Where any value is accepted, a deep one is text like any other.
    let event = read(&format!("{{\"x\":{0},\"alerts\":[{{\"labels\":{{\"deep\":{0}}},\"values\":{0}}}]}}", deep("[", "]"))).unwrap().event;
    assert_eq!(event.alerts[0].label("deep").len(), 20_000);
}

/// How long this thread has worked: what else a busy machine does is not counted (<https://docs.kernel.org/scheduler/sched-stats.html>).
fn worked() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// The largest body that is read has 8 MiB; the long suite tries it, the gate a quarter of it.
#[test]
fn the_largest_body_of_anything_is_bounded() {
    let size: usize = if std::env::var_os("WATCHFIRE_LONG").is_some() { 8 << 20 } else { 2 << 20 };
    let fill = |piece: &str| piece.repeat(size / piece.len());
    let trimmed = |piece: &str| fill(piece).trim_end_matches(',').to_owned();
    let bodies = [
        ("labels", format!("[{{\"labels\":{{{}}}}}]", (0..size / 14).map(|i| format!("\"{i:07}\":1,")).collect::<String>().trim_end_matches(','))),
        ("alerts", format!("[{}]", trimmed(r#"{"status":1},"#))),
        ("empty entries", format!("[{}]", trimmed("{},"))),
        ("matches", format!("{{\"ruleName\":\"x\",\"evalMatches\":[{}]}}", trimmed("{},"))),
        ("values", format!("{{\"alerts\":[{{\"values\":{{{}}}}}]}}", trimmed("\"a\":1,"))),
        ("members", format!("{{{}}}", trimmed("\"a\":1,"))),
        ("brackets", fill("[")),
        ("text", format!("{{\"alerts\":[{{\"labels\":{{\"alertname\":\"{}\"}}}}]}}", fill("a"))),
        ("escapes", format!("{{\"alerts\":[{{\"labels\":{{\"alertname\":\"{}\"}}}}]}}", fill("\\u0000\\\""))),
        ("white space", fill(" ")),
        ("numbers", fill("9")),
    ];
    for (name, body) in bodies {
        let begun = worked();
        let result = read(&body);
        let took = worked() - begun;
        // Some 30 times what an optimised build needs for 8 MiB; a quadratic reader would need minutes.
        assert!(took < Duration::from_secs(30) * (size >> 20) as u32 / 8, "{name} took {took:?}");
        match (name, result) {
            ("labels", Ok(read)) => assert_eq!(read.event.alerts[0].labels.len(), (size / 14).min(250_000)),
            ("alerts", Ok(read)) => assert_eq!((read.event.alerts.len(), read.event.truncated), (50_000, (size / 13 - 50_000) as u64)),
            ("text" | "escapes" | "matches" | "values", Ok(_)) => {}
            ("empty entries" | "brackets" | "white space" | "numbers" | "members", Err(_)) => {}
            (_, result) => panic!("{name}: {:?}", result.err()),
        }
    }
}
