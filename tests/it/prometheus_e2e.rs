//! End to end with the real Prometheus and Alertmanager from the distribution's packages: a rule fires, four platforms hear of it, and of its end;
//! and what people read of a group that Alertmanager truncates.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::app::{Four, TestApp};
use crate::support::skip::skip;

/// Ends its program when it goes.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program of the distribution in a folder; what it says goes to a file there.
pub fn spawn(program: &str, folder: &Path, args: &[String]) -> Ended {
    let log = std::fs::File::create(folder.join(format!("{program}.log"))).unwrap();
    let child = Command::new(program).args(args).current_dir(folder).stdout(Stdio::null()).stderr(log).spawn();
    Ended(child.unwrap_or_else(|e| panic!("{program} does not start: {e}")))
}

/// Whether a program is there.
pub fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// A port that is free now.
pub fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_fires_and_ends_is_told_on_four_platforms() {
    if !installed("prometheus") || !installed("prometheus-alertmanager") {
        skip("the packages prometheus and prometheus-alertmanager");
        return;
    }
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    let folder = tempfile::tempdir().unwrap();
    let (am, prom) = (port(), port());
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "alertmanager.yml",
        format!(
            "route: {{ receiver: watch.fire, group_wait: 0s, group_interval: 1s, repeat_interval: 1h, group_by: [alertname] }}\nreceivers:\n- name: watch.fire\n  webhook_configs: [{{ url: \"{}\", send_resolved: true }}]\n",
            app.url("/webhook/alertmanager")
        ),
    );
    let rules = |expr: &str| {
        format!(
            "groups:\n- name: g\n  interval: 1s\n  rules:\n  - alert: RealThing\n    expr: {expr}\n    labels: {{ severity: critical }}\n    annotations: {{ summary: \"it happened\" }}\n"
        )
    };
    write("rules.yml", rules("vector(1) > 0"));
    write(
        "prometheus.yml",
        format!(
            "global: {{ evaluation_interval: 1s }}\nrule_files: [rules.yml]\nalerting:\n  alertmanagers: [{{ static_configs: [{{ targets: [\"127.0.0.1:{am}\"] }}] }}]\n"
        ),
    );
    let text = |s: &str| s.to_owned();
    let _alertmanager = spawn(
        "prometheus-alertmanager",
        folder.path(),
        &[
            text("--config.file=alertmanager.yml"),
            text("--storage.path=am"),
            format!("--web.listen-address=127.0.0.1:{am}"),
            text("--cluster.listen-address="),
        ],
    );
    let _prometheus = spawn(
        "prometheus",
        folder.path(),
        &[
            text("--config.file=prometheus.yml"),
            text("--storage.tsdb.path=data"),
            format!("--web.listen-address=127.0.0.1:{prom}"),
            text("--web.enable-lifecycle"),
            text("--rules.alert.resend-delay=1s"),
        ],
    );
    let long = Duration::from_secs(60);
    assert!(four.slack.rec.wait(long, |r| !r.accepted().is_empty()).await, "no firing message on Slack");
    write("rules.yml", rules("vector(0) > 0"));
    let reloaded = app.http.post(format!("http://127.0.0.1:{prom}/-/reload")).send().await.unwrap();
    assert!(reloaded.status().is_success());
    for (name, rec) in [("slack", &four.slack.rec), ("dingtalk", &four.ding.rec), ("wecom", &four.wecom.rec)] {
        assert!(rec.wait(long, |r| r.accepted().len() >= 2).await, "{name} did not hear both: {:?}", rec.all());
        let accepted = rec.accepted();
        assert!(accepted.iter().all(|r| r.text.contains("RealThing")), "{name}");
        assert!(
            accepted[0].text.contains("Critical") && accepted[1].text.contains("Resolved"),
            "{name}: {} / {}",
            accepted[0].text,
            accepted[1].text
        );
    }
    app.settled().await;
    let mails = four.smtp.mails();
    assert!(
        mails.len() >= 4 && mails.iter().all(|m| m.subject().contains("RealThing")),
        "{:?}",
        mails.iter().map(|m| m.subject().to_owned()).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_what_alertmanager_lists_is_not_told_as_the_end_of_what_it_leaves_out() {
    if !installed("prometheus-alertmanager") {
        skip("the package prometheus-alertmanager");
        return;
    }
    let four = Four::start().await;
    // Every notification is a message: what each of them says is the question here.
    let routes = ["email", "slack", "dingtalk", "wecom"]
        .iter()
        .fold(four.routes(), |routes, platform| routes.replace(&format!(": {{ {platform}: {{"), &format!(": {{ living: off, {platform}: {{")));
    let app = TestApp::start(&routes).await;
    let folder = tempfile::tempdir().unwrap();
    let am = port();
    let config = format!(
        "route: {{ receiver: watch.fire, group_wait: 1s, group_interval: 1s, repeat_interval: 1h, group_by: [alertname] }}\nreceivers:\n- name: watch.fire\n  \
         webhook_configs: [{{ url: \"{}\", send_resolved: true, max_alerts: 1 }}]\n",
        app.url("/webhook/alertmanager")
    );
    std::fs::write(folder.path().join("alertmanager.yml"), config).unwrap();
    let listen = format!("--web.listen-address=127.0.0.1:{am}");
    let args = ["--config.file=alertmanager.yml", "--storage.path=am", &listen, "--cluster.listen-address="].map(str::to_owned);
    let _alertmanager = spawn("prometheus-alertmanager", folder.path(), &args);
    // It lists the alerts of a group in the order of their labels.
    let post = async |fire: &[&str], ended: &[&str]| {
        let now = jiff::Timestamp::now();
        let labels = |host: &str| json!({ "alertname": "DiskFull", "severity": "critical", "instance": host });
        let one = |host: &&str, ends: jiff::Timestamp| json!({ "labels": labels(host), "startsAt": now - Duration::from_secs(60), "endsAt": ends });
        let body: Vec<_> = fire.iter().map(|host| one(host, now + Duration::from_secs(600))).chain(ended.iter().map(|host| one(host, now))).collect();
        app.http.post(format!("http://127.0.0.1:{am}/api/v2/alerts")).json(&body).send().await.is_ok_and(|answer| answer.status().is_success())
    };
    let told = async |count: usize| {
        let mut texts = Vec::new();
        for (name, rec) in [("slack", &four.slack.rec), ("dingtalk", &four.ding.rec), ("wecom", &four.wecom.rec)] {
            assert!(rec.wait(Duration::from_secs(60), |r| r.accepted().len() >= count).await, "{name} heard {:?}", rec.accepted());
            texts.push((name.to_owned(), rec.accepted()[count - 1].text.clone()));
        }
        app.settled().await;
        let mail = four.smtp.mails().pop().unwrap();
        texts.push(("email".to_owned(), format!("{} {}", mail.header("from").unwrap_or_default(), mail.text())));
        texts
    };
    let mut begun = false;
    for _ in 0..400 {
        begun = post(&["db-2"], &[]).await;
        if begun {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun, "Alertmanager does not come up");
    for (name, text) in told(1).await {
        assert!(text.contains("Critical") && text.contains("db-2"), "{name}: {text}");
    }
    assert!(post(&["db-1", "db-2", "db-3"], &[]).await);
    for (name, text) in told(2).await {
        assert!(text.contains("Critical") && text.contains("db-1") && !text.contains("db-2"), "{name}: {text}");
    }
    // Three were reported, two of them by number, and the one that is listed ends. Alertmanager truncates before it computes the status, so it calls the
    // group resolved. Version 0.25, of Debian, sends no reason beside it; later ones do, and it is not `all alerts resolved`.
    assert!(post(&["db-2", "db-3"], &["db-1"]).await);
    for (name, text) in told(3).await {
        assert!(text.contains("1 resolved, 2 not listed") && !text.contains('✅'), "{name}: {text}");
        assert!(name == "email" || text.contains("The sender left out 2 alerts; some of them may still fire"), "{name}: {text}");
    }
    // The second one ends. The third was only ever counted, and it still fires.
    assert!(post(&["db-3"], &["db-2"]).await);
    for (name, text) in told(4).await {
        assert!(text.contains("1 resolved, 1 not listed") && text.contains("db-2") && !text.contains('✅'), "{name}: {text}");
    }
    // The last one ends, and nothing is left out: the group is over.
    assert!(post(&[], &["db-3"]).await);
    for (name, text) in told(5).await {
        assert!(text.contains("Resolved") && text.contains("db-3") && text.contains('✅') && !text.contains("not listed"), "{name}: {text}");
    }
}
