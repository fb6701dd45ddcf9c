//! Bodies as senders post them: ordinary ones, large ones, and those in which somebody wrote what would do harm in a page that does not escape it.

use serde_json::{Map, Value, json};

/// What does something in a page that takes a text for markup, for an attribute, or for a link.
pub const ATTACKS: [&str; 27] = [
    "<script>window.pwned = 1</script>",
    "</script><script>window.pwned = 1</script>",
    "</title><script>window.pwned = 1</script>",
    "</textarea><script>window.pwned = 1</script>",
    "--><script>window.pwned = 1</script><!--",
    "\"><img src=x onerror=window.pwned=1>",
    "'><svg/onload=window.pwned=1>",
    "\" autofocus onfocus=\"window.pwned=1\" x=\"",
    "' onmouseover='window.pwned=1' x='",
    "\" style=\"position:fixed;inset:0;background:red\" x=\"",
    "<style>*{display:none}</style>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=\"0;url=//evil.example\">",
    "<iframe srcdoc=\"<script>parent.pwned=1</script>\"></iframe>",
    "<object data=//evil.example></object><embed src=//evil.example>",
    "<form action=//evil.example><button>Acknowledge</button></form>",
    "<x-pwned hx-get=/ui/audit hx-trigger=load hx-on:htmx:load=window.pwned=1></x-pwned>",
    "<b>bold</b> <font color=red>red</font> <at id=all></at> <!channel> <@U123> @all @everyone",
    "javascript:window.pwned=1",
    "data:text/html,<script>window.pwned=1</script>",
    "[a](javascript:window.pwned=1) ![x](//evil.example/x.png) <javascript:window.pwned=1|here>",
    "**bold** _slanted_ ~~gone~~ `code` ```\nblock\n``` > quote\n# heading\n| a | b |\n- item",
    "{{constructor.constructor('window.pwned=1')()}} {{> _say}} {{{raw}}} ${7*7} <%= 1 %>",
    "\u{202E}gnp.exe\u{202C} \u{2066}x\u{2069} \u{200B}\u{FEFF}",
    "line\r\nbreak\u{2028}and\u{1b}[31mred\u{7}",
    "%3Cscript%3Ewindow.pwned=1%3C/script%3E &lt;script&gt;window.pwned=1&lt;/script&gt; &#x3C;img&#x3E;",
];

/// An alert that has fired for so many minutes.
fn alert(labels: Value, annotations: Value, minutes: i64) -> Value {
    let since = jiff::Timestamp::now().as_second() - minutes * 60;
    let since = jiff::Timestamp::from_second(since).expect("a time");
    json!({
        "status": "firing", "labels": labels, "annotations": annotations, "startsAt": since, "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://prometheus.example.com/graph?g0.expr=up+%3D%3D+0&g0.tab=1"
    })
}

/// The same when it is over.
fn resolved(mut alert: Value) -> Value {
    alert["status"] = json!("resolved");
    alert["endsAt"] = json!(jiff::Timestamp::now());
    alert
}

/// A body of Alertmanager with these alerts, grouped by the labels named.
fn group(alerts: Vec<Value>, by: &[&str]) -> Value {
    let first = &alerts[0]["labels"];
    let labels: Map<String, Value> = by.iter().map(|name| ((*name).to_owned(), first[*name].clone())).collect();
    let key = format!("{{}}:{}", Value::from(labels.clone()));
    let status = if alerts.iter().any(|alert| alert["status"] == "firing") { "firing" } else { "resolved" };
    json!({
        "version": "4", "groupKey": key, "truncatedAlerts": 0, "status": status, "receiver": "ops", "groupLabels": labels,
        "commonLabels": labels, "commonAnnotations": {}, "externalURL": "https://alertmanager.example.com", "alerts": alerts
    })
}

/// The same attack wherever a sender can write a text.
fn everywhere(attack: &str) -> Value {
    let text = |place: &str| json!(format!("{place} {attack}"));
    let mut labels =
        json!({ "alertname": text("name"), "severity": "critical", "instance": text("instance"), "team": text("team"), "cluster": text("cluster") });
    labels[attack] = json!("a label's name");
    let mut annotations = json!({
        "summary": text("summary"), "description": format!("{attack}\n\n{attack}"), "message": text("message"), "value": text("value"),
        "runbook_url": attack, "dashboard_url": format!("https://grafana.example.com/{attack}"), "link": attack
    });
    annotations[attack] = json!("an annotation's name");
    let mut one = alert(labels, annotations, 9);
    for name in ["generatorURL", "silenceURL", "dashboardURL", "panelURL", "imageURL", "valueString", "fingerprint"] {
        one[name] = json!(attack);
    }
    let mut body = group(vec![one], &["alertname", "cluster"]);
    for name in ["receiver", "groupKey", "externalURL", "title", "message", "state"] {
        body[name] = json!(attack);
    }
    body
}

/// All attacks in one body, an alert each: the only body of a quick look.
pub fn worst() -> Value {
    let mut body = everywhere(&ATTACKS.join(" "));
    let alerts: Vec<Value> = ATTACKS.iter().map(|attack| everywhere(attack)["alerts"][0].clone()).collect();
    body["alerts"].as_array_mut().expect("alerts").extend(alerts);
    body
}

/// A name and a summary without a place to break.
pub fn unbroken() -> Value {
    let text = "NameWithoutAnEnd".repeat(40);
    let labels = json!({ "alertname": text, "severity": "info", "instance": text });
    let runbook = format!("https://runbooks.example.com/{text}");
    group(vec![alert(labels, json!({ "summary": text, "description": text, "runbook_url": runbook }), 1)], &["alertname"])
}

/// What real senders post.
fn ordinary() -> Vec<Value> {
    let runbook = "https://runbooks.example.com/high-error-rate";
    let errors = |service: &str, share: &str, severity: &str, minutes: i64| {
        let labels = json!({ "alertname": "HighErrorRate", "severity": severity, "service": service, "namespace": "shop", "cluster": "eu-west-1" });
        let summary = format!("{service} answers {share} of requests with 5xx");
        alert(labels, json!({ "summary": summary, "description": "Customers see errors when they pay.", "runbook_url": runbook }), minutes)
    };
    let node = |n: usize| {
        let severity = if n < 3 { "critical" } else { "warning" };
        let labels = json!({ "alertname": "NodeDown", "severity": severity, "instance": format!("web-{n:02}.prod.example.com:9100"), "rack": format!("r{}", n / 4) });
        alert(labels, json!({ "summary": format!("web-{n:02} does not answer") }), 5 + n as i64)
    };
    let pod = |n: usize| {
        let pod = format!("worker-{}-7d9f8b6c5-x{n:03}", n % 10);
        let labels =
            json!({ "alertname": "KubePodNotReady", "severity": "warning", "namespace": "search", "pod": pod, "prometheus": "monitoring/k8s" });
        alert(labels, json!({ "summary": "Pod has been in a non-ready state for more than 15 minutes.", "description": pod }), 15)
    };
    let chinese =
        json!({ "alertname": "主机磁盘使用率过高", "severity": "critical", "instance": "10.20.30.41:9100", "env": "生产", "team": "数据库组" });
    let words = json!({ "summary": "10.20.30.41 的 /data 磁盘使用率超过 95%", "description": "当前使用率 97.2%，约 38 分钟后写满。", "runbook_url": "https://wiki.example.com/磁盘告警处理" });
    let steps: String =
        (1..40).map(|n| format!("- step {n}: batch {} differs from the provider's statement by {}.{n:02} EUR\n", 1000 + n * 37, n * 127)).collect();
    let long = json!({ "summary": "The ledger and the provider's statement differ", "description": format!("What happened:\n{steps}") });
    let names = |name: &str, severity: &str| json!({ "alertname": name, "severity": severity, "instance": "a:1" });
    vec![
        group(vec![errors("checkout", "12.4%", "critical", 23), resolved(errors("cart", "6.1%", "warning", 47))], &["alertname", "cluster"]),
        group(vec![resolved(errors("payments", "31%", "critical", 80))], &["alertname", "service"]),
        group((0..12).map(node).collect(), &["alertname"]),
        group((0..100).map(pod).collect(), &["alertname"]),
        group(vec![alert(chinese, words, 12)], &["alertname"]),
        group(vec![alert(names("LedgerReconciliationFailed", "error"), long, 65)], &["alertname"]),
        group(vec![alert(json!({ "alertname": "InstanceDown", "instance": "10.0.3.17:9100" }), json!({}), 7)], &["alertname"]),
        group(vec![alert(names("Watchdog", "none"), json!({ "summary": "It fires always." }), 60 * 24 * 9)], &["alertname"]),
        group(vec![alert(names("ClockSkew", "warning"), json!({ "summary": "the sender's clock is ahead" }), -3)], &["alertname"]),
        group(vec![alert(names("Old", "page"), json!({ "message": "x" }), 60 * 24 * 400)], &["alertname"]),
        grafana(),
        json!({ "events": [{ "check": { "name": "Free disk space is less than 5% on volume C:", "level": "High", "output": "C: 3.1 GB free of 120 GB", "state": "PROBLEM" }, "host": "win-app-07" }], "site": "Frankfurt" }),
    ]
}

/// Grafana's own fields, with values and a picture.
fn grafana() -> Value {
    let labels = json!({ "alertname": "API latency p99", "grafana_folder": "Checkout", "service": "checkout-api", "severity": "critical" });
    let mut one = alert(labels, json!({ "summary": "p99 of checkout-api is [no value] s (limit 1 s)" }), 6);
    let page = "https://grafana.example.com/d/chk01?from=1&orgId=1&to=2";
    one["silenceURL"] = json!("https://grafana.example.com/alerting/silence/new?alertmanager=grafana&matcher=service%3Dcheckout-api");
    one["dashboardURL"] = json!(page);
    one["panelURL"] = json!(format!("{page}&viewPanel=7"));
    one["imageURL"] = json!("https://grafana.example.com/render/x.png");
    one["values"] = json!({ "A": 2.4137, "B": 2.4137, "C": 1 });
    one["valueString"] = json!("[ var='A' labels={service=checkout-api} value=2.4137 ]");
    let mut body = group(vec![one], &["alertname", "grafana_folder"]);
    for (name, value) in
        [("version", "1"), ("state", "alerting"), ("title", "[FIRING:1] API latency p99 Checkout"), ("message", "**Firing**\n\nValue: A=2.4")]
    {
        body[name] = json!(value);
    }
    body["orgId"] = json!(1);
    body
}

/// All of them, the worst first.
pub fn all() -> Vec<Value> {
    let mut all = vec![worst(), unbroken()];
    all.extend(ATTACKS.iter().map(|attack| everywhere(attack)));
    all.extend(ordinary());
    all
}
