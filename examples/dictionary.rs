//! Makes a dictionary for stored bodies and pages: `cargo run --example dictionary -- target/debug/watchfire src/store/packed/2.zdict`.
//!
//! Posts generated alerts to a server with a channel of several platforms each, reads what it stored, trains a dictionary on three quarters of that, and
//! prints what the rest of it takes without a dictionary and with this one. The alerts are those of the usual rule sets (node exporter, Kubernetes,
//! databases, blackbox, Grafana), in English and Chinese, not those that the benchmarks send. Loopback only.

use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use serde_json::{Value, json};

/// Bytes of the dictionary. Twice as many save a few per cent more, and cost a cache as much.
const SIZE: usize = 32 << 10;
/// Events.
const EVENTS: usize = 600;
/// As the store packs.
const LEVEL: i32 = 3;

/// Name, severity, further labels, summary, description. `{n}` is a number, `{h}` a host.
type Rule = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

const RULES: &[Rule] = &[
    (
        "NodeFilesystemAlmostOutOfSpace",
        "critical",
        &[
            ("job", "node-exporter"),
            ("instance", "{h}:9100"),
            ("device", "/dev/nvme0n1p1"),
            ("fstype", "ext4"),
            ("mountpoint", "/var/lib"),
            ("cluster", "prod-eu-1"),
        ],
        "Filesystem has less than 3% space left.",
        "Filesystem on /dev/nvme0n1p1, mounted on /var/lib, at {h}:9100 has only {n}.{n}% available space left.",
    ),
    (
        "NodeHighNumberConntrackEntriesUsed",
        "warning",
        &[("job", "node-exporter"), ("instance", "{h}:9100"), ("cluster", "prod-eu-1")],
        "Number of conntrack are getting close to the limit.",
        "{n}% of conntrack entries are used.",
    ),
    (
        "HostHighCpuLoad",
        "warning",
        &[("job", "node"), ("instance", "{h}:9100"), ("team", "platform"), ("env", "production")],
        "High CPU load on {h}",
        "CPU load is above 80% for 10 minutes.\n  VALUE = {n}.42",
    ),
    (
        "HostOutOfMemory",
        "critical",
        &[("job", "node"), ("instance", "{h}:9100"), ("env", "production"), ("region", "eu-west-1")],
        "Host out of memory (instance {h}:9100)",
        "Node memory is filling up (< 10% left)\n  VALUE = {n}.1\n  LABELS = map[instance:{h}:9100 job:node]",
    ),
    (
        "KubePodCrashLooping",
        "warning",
        &[
            ("job", "kube-state-metrics"),
            ("instance", "10.42.7.{n}:8080"),
            ("namespace", "payments"),
            ("pod", "payments-api-7d9f8b6c5-x{n}"),
            ("container", "api"),
            ("reason", "CrashLoopBackOff"),
            ("service", "kube-state-metrics"),
            ("prometheus", "monitoring/k8s"),
            ("uid", "0c2f6f0e-3a2b-4d5e-8f90-aabbccddee{n}"),
        ],
        "Pod is crash looping.",
        "Pod payments/payments-api-7d9f8b6c5-x{n} (api) is in waiting state (reason: \"CrashLoopBackOff\") on cluster prod-eu-1.",
    ),
    (
        "KubeDeploymentReplicasMismatch",
        "warning",
        &[("namespace", "shop"), ("deployment", "checkout-{n}"), ("job", "kube-state-metrics"), ("prometheus", "monitoring/k8s")],
        "Deployment has not matched the expected number of replicas.",
        "Deployment shop/checkout-{n} has not matched the expected number of replicas for longer than 15 minutes.",
    ),
    (
        "KubePersistentVolumeFillingUp",
        "critical",
        &[("namespace", "logging"), ("persistentvolumeclaim", "data-elasticsearch-{n}"), ("job", "kubelet"), ("node", "ip-10-0-{n}-12.ec2.internal")],
        "PersistentVolume is filling up.",
        "The PersistentVolume claimed by data-elasticsearch-{n} in Namespace logging is only {n}.5% free.",
    ),
    (
        "KubeNodeNotReady",
        "critical",
        &[("node", "ip-10-0-{n}-12.ec2.internal"), ("condition", "Ready"), ("status", "true"), ("job", "kube-state-metrics")],
        "Node is not ready.",
        "ip-10-0-{n}-12.ec2.internal has been unready for more than 15 minutes.",
    ),
    (
        "TargetDown",
        "warning",
        &[("job", "checkout"), ("namespace", "shop"), ("service", "checkout")],
        "One or more targets are unreachable.",
        "{n}% of the checkout/checkout targets in shop namespace are down.",
    ),
    (
        "ProbeFailed",
        "critical",
        &[("job", "blackbox"), ("instance", "https://shop.example.com/health/{n}"), ("module", "http_2xx")],
        "Probe failed (https://shop.example.com/health/{n})",
        "The probe of https://shop.example.com/health/{n} has failed for 5 minutes. Status code: 503",
    ),
    (
        "SslCertificateExpiringSoon",
        "warning",
        &[("job", "blackbox"), ("instance", "https://shop{n}.example.com")],
        "SSL certificate expires soon",
        "The certificate of https://shop{n}.example.com expires in {n} days.",
    ),
    (
        "PostgresqlDown",
        "critical",
        &[("job", "postgres"), ("instance", "{h}:9187"), ("server", "{h}:5432"), ("team", "dba")],
        "Postgresql down (instance {h}:9187)",
        "Postgresql instance is down\n  VALUE = 0",
    ),
    (
        "MysqlReplicationLag",
        "warning",
        &[("job", "mysql"), ("instance", "{h}:9104"), ("team", "dba"), ("env", "prod")],
        "MySQL replication lag on {h}",
        "Replication lag is {n} seconds. Check the slave threads and long running transactions.",
    ),
    (
        "RedisMemoryHigh",
        "warning",
        &[("job", "redis"), ("instance", "redis://{h}:6379"), ("team", "cache")],
        "Redis out of configured maxmemory",
        "Redis is running out of configured maxmemory (> 90%): {n}.7%",
    ),
    (
        "KafkaConsumerGroupLag",
        "warning",
        &[("job", "kafka-exporter"), ("consumergroup", "orders-{n}"), ("topic", "orders"), ("partition", "{n}")],
        "Kafka consumer group orders-{n} lags",
        "Consumer group orders-{n} is {n}000 messages behind on topic orders.",
    ),
    (
        "HighErrorRate",
        "critical",
        &[("job", "api-gateway"), ("service", "api"), ("route", "/v1/orders/{n}"), ("method", "POST"), ("code", "500"), ("env", "production")],
        "High rate of HTTP 5xx on /v1/orders/{n}",
        "The error rate is {n}.3% over the last 5 minutes (threshold 1%).",
    ),
    (
        "HighRequestLatency",
        "warning",
        &[("job", "api-gateway"), ("service", "search"), ("quantile", "0.99")],
        "p99 latency of search is above 1s",
        "99th percentile latency is 1.{n}s for 10 minutes.",
    ),
    (
        "PrometheusRuleFailures",
        "critical",
        &[
            ("job", "prometheus-k8s"),
            ("instance", "10.42.3.{n}:9090"),
            ("namespace", "monitoring"),
            ("rule_group", "/etc/prometheus/rules/k8s-{n}.yaml;node.rules"),
        ],
        "Prometheus is failing rule evaluations.",
        "Prometheus monitoring/prometheus-k8s-0 has failed to evaluate {n} rules in the last 5m.",
    ),
    (
        "EtcdHighFsyncDurations",
        "warning",
        &[("job", "etcd"), ("instance", "10.0.{n}.5:2379")],
        "etcd cluster 99th percentile fsync durations are too high.",
        "etcd cluster \"etcd\": 99th percentile fsync durations are {n}ms on etcd instance 10.0.{n}.5:2379.",
    ),
    (
        "磁盘空间不足",
        "critical",
        &[("job", "node"), ("instance", "{h}:9100"), ("mountpoint", "/data"), ("团队", "数据库")],
        "{h} 磁盘使用率超过 95%",
        "当前使用率 {n}%,请尽快清理日志或扩容。联系人:运维值班",
    ),
    (
        "接口响应超时",
        "warning",
        &[("service", "订单服务"), ("instance", "{h}:8080"), ("env", "生产")],
        "订单服务接口平均响应时间超过 3 秒",
        "最近 5 分钟平均响应时间 {n} 秒,错误率 {n}%。",
    ),
    (
        "主机宕机",
        "critical",
        &[("job", "node"), ("instance", "192.168.1.{n}:9100"), ("机房", "上海")],
        "主机 192.168.1.{n} 已宕机",
        "主机已超过 1 分钟无响应,请立即处理",
    ),
];

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn body(n: usize, numbers: &mut Numbers) -> Value {
    let (name, severity, labels, summary, description) = RULES[numbers.below(RULES.len() as u64) as usize];
    let count = [1, 1, 1, 2, 3, 5, 12][numbers.below(7) as usize];
    let resolved = numbers.below(4) == 0;
    let status = if resolved { "resolved" } else { "firing" };
    let alerts: Vec<Value> = (0..count)
        .map(|_| {
            let host = format!("{}-{}.prod.example.com", ["db", "web", "cache", "node", "k8s-worker"][numbers.below(5) as usize], numbers.below(90));
            let number = (1 + numbers.below(98)).to_string();
            let fill = |text: &str| text.replace("{h}", &host).replace("{n}", &number);
            let mut all = serde_json::Map::from_iter(labels.iter().map(|(name, value)| ((*name).to_owned(), Value::from(fill(value)))));
            all.insert("alertname".into(), name.into());
            all.insert("severity".into(), severity.into());
            let (hour, minute) = (numbers.below(24), numbers.below(60));
            let ends = if resolved { format!("2026-11-25T{hour:02}:{minute:02}:30.123Z") } else { "0001-01-01T00:00:00Z".to_owned() };
            json!({
                "status": status,
                "labels": all,
                "annotations": { "summary": fill(summary), "description": fill(description), "runbook_url": format!("https://runbooks.prometheus-operator.dev/runbooks/general/{}", name.to_lowercase()) },
                "startsAt": format!("2026-11-24T{hour:02}:{minute:02}:05.371Z"),
                "endsAt": ends,
                "generatorURL": format!("http://prometheus.example.com:9090/graph?g0.expr=sum%28rate%28http_requests_total%7Bjob%3D%22api%22%7D%5B5m%5D%29%29+%3E+{number}&g0.tab=1"),
                "fingerprint": format!("{:08x}{:08x}", numbers.below(1 << 31), numbers.below(1 << 31)),
            })
        })
        .collect();
    json!({
        "version": "4", "receiver": "watchfire", "status": status, "externalURL": "http://alertmanager.example.com:9093", "truncatedAlerts": 0,
        "groupKey": format!("{{}}/{{severity=\"{severity}\"}}:{{alertname=\"{name}\", n=\"{n}\"}}"),
        "groupLabels": { "alertname": name }, "commonLabels": { "alertname": name, "severity": severity }, "commonAnnotations": {}, "alerts": alerts,
    })
}

fn routes(port: u16, sink: u16) -> String {
    let base = format!("api_base: \"http://127.0.0.1:{sink}\"");
    let mut channels = String::new();
    for (name, platform) in [
        ("slack", format!("slack: {{ token: t, channel: C1, {base} }}")),
        ("ding", format!("dingtalk: {{ access_token: t, {base} }}")),
        ("feishu", format!("feishu: {{ token: t, {base} }}")),
        ("telegram", format!("telegram: {{ token: \"1:t\", chat: -1, {base} }}")),
        ("discord", format!("discord: {{ webhook: \"http://127.0.0.1:{sink}/api/webhooks/1/t\", {base} }}")),
    ] {
        for language in ["en", "zh"] {
            channels.push_str(&format!("  {name}-{language}: {{ rate_limit: off, digest: off, language: {language}, {platform} }}\n"));
        }
    }
    let all = ["slack", "ding", "feishu", "telegram", "discord"].map(|name| format!("{name}-en, {name}-zh")).join(", ");
    format!("server: {{ listen: \"127.0.0.1:{port}\" }}\nstore: sqlite:w.db\nchannels:\n{channels}route: {{ to: [{all}] }}\n")
}

/// What is stored in a column, as JSON.
fn stored(db: &rusqlite::Connection, sql: &str) -> Vec<Vec<u8>> {
    let mut select = db.prepare(sql).expect("a query");
    let rows = select.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("rows");
    rows.map(|row| watchfire::store::unpack(&row.expect("a row")).expect("JSON").into_owned()).collect()
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let binary = std::fs::canonicalize(args.next().expect("the server's binary")).expect("the server's binary");
    let output = args.next().expect("the dictionary's file");
    watchfire::channel::kit::install_crypto();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let sink = listener.local_addr().expect("an address").port();
    let taken = json!({ "ok": true, "ts": "1.1", "channel": "C1", "errcode": 0, "errmsg": "ok", "code": 0, "msg": "ok", "result": { "message_id": 1 }, "id": "1" });
    let app = Router::new().fallback(move || async move { axum::Json(taken) });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let folder = std::env::temp_dir().join(format!("watchfire-dictionary-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("routes.yaml"), routes(port, sink)).expect("routes.yaml");
    let mut child = Command::new(&binary)
        .args(["serve", "--no-watch"])
        .current_dir(&folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let base = format!("http://127.0.0.1:{port}");
    while !client.get(format!("{base}/-/ready")).send().await.is_ok_and(|r| r.status().is_success()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut numbers = Numbers(7);
    for n in 0..EVENTS {
        let sent = client.post(format!("{base}/webhook")).body(body(n, &mut numbers).to_string()).send().await.expect("an answer");
        assert!(sent.status().is_success(), "event {n}: {}", sent.status());
    }
    let db = rusqlite::Connection::open(folder.join("w.db")).expect("the database");
    let open = |db: &rusqlite::Connection| {
        db.query_row("SELECT count(*) FROM delivery WHERE state = 'waiting'", [], |row| row.get::<_, i64>(0)).unwrap_or(1)
    };
    for _ in 0..600 {
        if open(&db) == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("{} deliveries are left", open(&db));
    let bodies = stored(&db, "SELECT body FROM event ORDER BY id");
    let pages = stored(&db, "SELECT pages FROM message WHERE length(pages) > 0 ORDER BY id");
    child.kill().and_then(|()| child.wait()).expect("the server ends");
    std::fs::remove_dir_all(&folder).expect("the folder goes");
    let learn = |all: &[Vec<u8>]| all.iter().enumerate().filter(|(n, _)| n % 4 != 0).map(|(_, json)| json.clone()).collect::<Vec<_>>();
    // Each event has ten pages: as many of each are learnt.
    let some: Vec<Vec<u8>> = pages.iter().step_by(7).cloned().collect();
    let samples: Vec<Vec<u8>> = learn(&bodies).into_iter().chain(learn(&some)).collect();
    let dictionary = zstd::dict::from_samples(&samples, SIZE).expect("a dictionary");
    std::fs::write(&output, &dictionary).expect("the dictionary is written");
    println!("{} samples, dictionary of {} bytes in {output}", samples.len(), dictionary.len());
    for (what, all) in [("bodies", &bodies), ("pages", &some)] {
        let test: Vec<&Vec<u8>> = all.iter().step_by(4).collect();
        let plain: usize = test.iter().map(|json| json.len()).sum();
        let packed = |dictionary: &[u8]| {
            let mut compressor = zstd::bulk::Compressor::with_dictionary(LEVEL, dictionary).expect("a compressor");
            test.iter().map(|json| compressor.compress(json).expect("it is compressed").len()).sum::<usize>()
        };
        let n = test.len().max(1);
        println!("{what}: {n} of {} bytes on average, {} without a dictionary, {} with it", plain / n, packed(&[]) / n, packed(&dictionary) / n);
    }
}
