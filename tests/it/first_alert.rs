//! What `deploy/compose.yaml` starts, without containers: the shipped files of Prometheus and Alertmanager, the shipped routes.yaml, and a first alert
//! that comes through all three by itself. Only names of hosts and waits are changed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::prometheus_e2e::{Ended, installed, port, spawn};
use crate::support::skip::skip;

fn shipped(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Asks until the answer is as wanted.
async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !ask().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not happen within a minute");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_composed_parts_hand_over_a_first_alert_and_watch_each_other() {
    if !installed("prometheus") || !installed("prometheus-alertmanager") {
        skip("the packages prometheus and prometheus-alertmanager");
        return;
    }
    watchfire::channel::kit::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let (watchfire, alertmanager, prometheus) = (port(), port(), port());
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let changed = |text: String, pairs: &[(&str, &str)]| {
        pairs.iter().fold(text, |text, (old, new)| {
            assert!(text.contains(old), "`{old}` is not in the shipped file");
            text.replace(old, new)
        })
    };
    let (here, there) = (format!("127.0.0.1:{watchfire}"), format!("127.0.0.1:{alertmanager}"));
    write("routes.yaml", shipped("routes.yaml"));
    write(
        "alertmanager.yml",
        changed(
            shipped("deploy/alertmanager/alertmanager.yml"),
            &[("http://watchfire/", &format!("http://{here}/")), ("group_wait: 5s", "group_wait: 0s")],
        ),
    );
    let pairs = [("watchfire:80", here.as_str()), ("alertmanager:9093", &there), ("_interval: 15s", "_interval: 1s")];
    write("prometheus.yml", changed(shipped("deploy/prometheus/prometheus.yml"), &pairs));
    for name in ["first-alert.yml", "watchfire.rules.yml"] {
        write(name, shipped(&format!("deploy/prometheus/{name}")));
    }
    let out = std::fs::File::create(folder.path().join("out")).unwrap();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    // As in the image, but on a loopback address.
    serve.arg("serve").current_dir(folder.path()).env("WATCHFIRE_LISTEN", &here).env("WATCHFIRE_LOG_FORMAT", "json").env_remove("WATCHFIRE_CONFIG");
    let _watchfire = Ended(serve.stdout(out).stderr(Stdio::null()).spawn().unwrap());
    let listen = |port: u16| format!("--web.listen-address=127.0.0.1:{port}");
    let text = |text: &str| text.to_owned();
    let _alertmanager = spawn(
        "prometheus-alertmanager",
        folder.path(),
        &[text("--config.file=alertmanager.yml"), text("--storage.path=am"), listen(alertmanager), text("--cluster.listen-address=")],
    );
    let compose: Value = serde_yaml::from_str(&shipped("deploy/compose.yaml")).unwrap();
    let asked = compose["services"]["prometheus"]["command"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
    let mut arguments: Vec<String> = asked.map(|argument| argument.replace("/etc/prometheus/", "").replace("=/prometheus", "=data")).collect();
    arguments.push(listen(prometheus));
    let _prometheus = spawn("prometheus", folder.path(), &arguments);

    until("the first alert", async || {
        let shown = std::fs::read_to_string(folder.path().join("out")).unwrap();
        shown.contains("FirstAlert") && shown.contains("Watchdog")
    })
    .await;
    // The real Prometheus reads what is exported, and the shipped rules are active and silent.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |path: &str| -> Value {
        let answer = http.get(format!("http://127.0.0.1:{prometheus}/api/v1/{path}")).send().await;
        match answer {
            Ok(answer) => answer.json().await.unwrap_or_default(),
            Err(_) => Value::Null,
        }
    };
    let value = |answer: &Value| answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned);
    until("a scrape", async || value(&ask("query?query=up{job=\"watchfire\"}").await).as_deref() == Some("1")).await;
    until("a count", async || {
        let sent = value(&ask("query?query=watchfire_deliveries_total{channel=\"terminal\",outcome=\"sent\"}").await);
        sent.is_some_and(|sent| sent.parse::<u64>().unwrap() >= 2)
    })
    .await;
    assert_eq!(value(&ask("query?query=watchfire_deliveries_total{channel=\"terminal\",outcome=\"dead\"}").await).as_deref(), Some("0"));
    let rules = ask("rules?type=alert").await;
    let groups = rules["data"]["groups"].as_array().unwrap();
    let group = groups.iter().find(|group| group["name"] == "watchfire").unwrap();
    assert!(group["rules"].as_array().unwrap().len() >= 10);
    for rule in group["rules"].as_array().unwrap() {
        assert!(rule["health"] != "err" && rule["state"] == "inactive", "{rule}");
    }
}
