//! What lies in `deploy/` is checked by the programs it is for, and against what the server really exports.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::skip::skip;

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

/// Runs a program of the distribution; without it the test is skipped, except where everything must be there.
fn run(program: &str, args: &[&str], folder: &Path) {
    match Command::new(program).args(args).current_dir(folder).output() {
        Ok(out) => {
            let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
            assert!(out.status.success(), "{program} {args:?}:\n{text}");
        }
        Err(error) => {
            skip(&format!("the packages prometheus and prometheus-alertmanager ({program}: {error})"));
        }
    }
}

/// Its manual pages and completions are printed by the program itself, and the package depends on a C library.
#[test]
fn packages_are_refused_of_programs_that_they_cannot_be_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(file("one.c"), "#include <stdio.h>\nint main(void) { return puts(\"watchfire 0.1.0\") < 0; }\n").unwrap();
    run("cc", &["-static", "-o", "static", "one.c"], folder.path());
    // What an ELF header of another machine begins with, and nothing to run.
    let mut other = b"\x7fELF\x02\x01\x01".to_vec();
    other.resize(64, 0);
    other[18] = 183;
    std::fs::write(file("other"), other).unwrap();
    run("chmod", &["+x", "other"], folder.path());
    for (script, program, said) in [("deb/build", "static", "is static: the package"), ("release", "other", "package qemu-user-static")] {
        let out = Command::new(deploy(script)).args([file(program), file("out")]).env("SOURCE_DATE_EPOCH", "1").output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && text.contains(said), "{script}: {text}");
        assert!(!Path::new(&file("out")).exists(), "{script} has written something");
    }
    // Another machine's program is one reason of many.
    run("chmod", &["-x", "other"], folder.path());
    let out = Command::new(deploy("release")).args([file("other"), file("out")]).env("SOURCE_DATE_EPOCH", "1").output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && text.contains("cannot be run: Permission denied") && !text.contains("qemu"), "{text}");
}

#[test]
fn rules_and_configurations_pass_the_programs_they_are_for() {
    let folder = deploy("prometheus");
    run("promtool", &["check", "rules", "watchfire.rules.yml", "first-alert.yml"], &folder);
    run("promtool", &["test", "rules", "watchfire.rules.test.yml"], &folder);
    run("promtool", &["check", "config", "prometheus.yml"], &folder);
    run("amtool", &["check-config", "alertmanager.yml"], &deploy("alertmanager"));
}

/// Names of metrics in an expression.
fn metrics_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| word.starts_with("watchfire_")).map(str::to_owned).collect()
}

/// A family is only written once it has a sample.
pub fn one_of_each() -> watchfire::metrics::Metrics {
    let metrics = watchfire::metrics::Metrics::new();
    metrics.received("alertmanager", "accepted");
    metrics.delivered("slack", "ops", "sent", 1);
    metrics.attempt("slack", std::time::Duration::from_millis(1));
    metrics.batched("ops", 2);
    metrics.template_failure("slack", "ops");
    metrics.queue("ops", "waiting", 1);
    metrics.oldest("ops", std::time::Duration::ZERO);
    metrics.outlet("ops", std::time::Duration::ZERO, false);
    metrics.month_sent("ops", 1);
    metrics.receipt("twilio_sms", "ops", "delivered");
    metrics.self_alert("WatchfireDisk");
    metrics.heartbeat("Watchdog", 0, false);
    metrics.attempted("slack", "ops", "ok");
    metrics.delivered_after("slack", std::time::Duration::from_secs(1));
    metrics.first_notified("slack", "critical", std::time::Duration::from_secs(1));
    metrics.alerts("alertmanager", "firing", 1);
    metrics.stalled("ops", 1);
    metrics.restarted("worker", 1);
    metrics.listener("ops", Some(true));
    metrics.pressed("slack", "ack", "done");
    metrics.acked(std::time::Duration::from_secs(60));
    metrics.incidents_open("firing", "critical", 1);
    metrics.look_up_failed("slack", "unknown");
    metrics.limited("twilio_sms", "ops", "recipient");
    metrics.unrouted("alertmanager");
    metrics.escalation_step("sent");
    metrics.edited("shown");
    metrics.silence("made");
    metrics
}

/// The metrics that are exported.
fn exported() -> BTreeSet<String> {
    let text = one_of_each().write(watchfire::metrics::Format::OpenMetrics);
    text.lines().filter_map(|l| l.strip_prefix("# TYPE ")).filter_map(|l| l.split(' ').next()).map(str::to_owned).collect()
}

/// What is asked for and not exported, whatever is counted or summed of it.
fn unknown(wanted: BTreeSet<String>) -> Vec<String> {
    let exported = exported();
    let known = |name: &String| {
        let base = ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        exported.contains(base) || exported.contains(name)
    };
    wanted.into_iter().filter(|name| !known(name)).collect()
}

#[test]
fn dashboard_and_rules_ask_only_for_metrics_that_are_exported() {
    let rules = std::fs::read_to_string(deploy("prometheus/watchfire.rules.yml")).unwrap();
    let board: Value = serde_json::from_str(&std::fs::read_to_string(deploy("grafana/watchfire.json")).unwrap()).unwrap();
    let mut wanted = metrics_in(&rules);
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            wanted.extend(metrics_in(target["expr"].as_str().unwrap()));
        }
    }
    assert!(wanted.len() > 10, "{wanted:?}");
    assert_eq!(unknown(wanted), Vec::<String>::new());
}

/// Nodes that share a PostgreSQL count the same deliveries and incidents: their numbers are not added up.
#[test]
fn what_every_node_counts_of_one_store_is_shown_once() {
    let board: Value = serde_json::from_str(&std::fs::read_to_string(deploy("grafana/watchfire.json")).unwrap()).unwrap();
    let of_the_store =
        ["watchfire_incidents_open", "watchfire_queue_deliveries", "watchfire_queue_oldest_age_seconds", "watchfire_channel_month_sent"];
    let mut found = 0;
    for target in board["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let expression = target["expr"].as_str().unwrap();
        for (at, _) in of_the_store.iter().flat_map(|name| expression.match_indices(name)) {
            found += 1;
            let before = &expression[..at];
            assert!(before == "max(" || before.ends_with(") (") && before.contains("max by (job, "), "{expression}");
        }
    }
    assert!(found >= 5, "{found}");
}

/// As Prometheus' own tool reads them: the format, and that names, types and texts are as they should be.
#[test]
fn the_metrics_pass_promtool() {
    use std::io::Write;
    let mut child =
        match Command::new("promtool").args(["check", "metrics"]).stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => {
                skip(&format!("the package prometheus (promtool: {error})"));
                return;
            }
        };
    let text = one_of_each().write(watchfire::metrics::Format::Text);
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}\n{text}", String::from_utf8_lossy(&out.stderr));
    for name in [
        "watchfire_build_info{",
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
        "watchfire_end_to_end_duration_seconds_bucket{",
        "watchfire_attempts_total{",
        "watchfire_alerts_total{",
        "watchfire_unrouted_events_total{",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}\n{text}");
    }
}

/// Who copies a metric or an alarm out of the documents finds it.
#[test]
fn metrics_and_alarms_in_the_documents_exist() {
    let source = |name: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/delivery").join(name)).unwrap();
    let alarms = source("self_alert/mod.rs") + &source("heartbeat/mod.rs");
    let rules = std::fs::read_to_string(deploy("prometheus/watchfire.rules.yml")).unwrap();
    let (mut wanted, mut named) = (BTreeSet::new(), 0);
    for page in crate::docs_book::pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        wanted.extend(metrics_in(&text));
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            let alarm = word.strip_prefix("Watchfire").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
            named += usize::from(alarm);
            assert!(!alarm || alarms.contains(&format!("\"{word}\"")) || rules.contains(&format!("alert: {word}\n")), "{}: {word}", page.display());
        }
    }
    assert!(wanted.len() >= 8 && named >= 5, "{wanted:?} {named}");
    assert_eq!(unknown(wanted), Vec::<String>::new());
}

/// Every rule is shown to fire and to be silent; promtool only runs what is written.
#[test]
fn every_rule_is_tried_both_ways() {
    let read = |name: &str| serde_yaml::from_str::<Value>(&std::fs::read_to_string(deploy(name)).unwrap()).unwrap();
    let (rules, trials) = (read("prometheus/watchfire.rules.yml"), read("prometheus/watchfire.rules.test.yml"));
    let trials: Vec<&Value> = trials["tests"].as_array().unwrap().iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap()).collect();
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        let of_rule = || trials.iter().filter(|trial| trial["alertname"] == rule["alert"]);
        let fires = |trial: &&&Value| !trial["exp_alerts"].as_array().unwrap().is_empty();
        assert!(of_rule().any(|trial| fires(&trial)), "{} is never seen to fire", rule["alert"]);
        assert!(of_rule().any(|trial| !fires(&trial)), "{} is never seen to be silent", rule["alert"]);
    }
}

/// Prometheus reads every expression of the dashboard, and its panels are side by side.
#[test]
fn the_dashboard_is_one_that_grafana_can_show() {
    let board: Value = serde_json::from_str(&std::fs::read_to_string(deploy("grafana/watchfire.json")).unwrap()).unwrap();
    assert_eq!(board["templating"]["list"][0]["type"], "datasource");
    let (mut rules, mut ids, mut cells) = (String::from("groups:\n- name: board\n  rules:\n"), BTreeSet::new(), BTreeSet::new());
    for panel in board["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels have the id {}", panel["id"]);
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{} does not say what it shows", panel["title"]);
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{}", panel["title"]);
        for (x, y) in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(cells.insert((x, y)), "{} covers another panel", panel["title"]);
        }
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap().replace("$__rate_interval", "1m");
            rules.push_str(&format!(
                "  - {{ record: \"board:{}:{}\", expr: {} }}\n",
                panel["id"],
                target["refId"].as_str().unwrap(),
                Value::from(expression)
            ));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("board.yml"), rules).unwrap();
    run("promtool", &["check", "rules", "--lint=none", "board.yml"], folder.path());
}

/// What the Dockerfile copies is what the sources embed: a file that is missing there breaks the image only.
#[test]
fn the_image_is_built_from_all_that_the_sources_embed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dockerfile = std::fs::read_to_string(root.join("Dockerfile")).unwrap();
    let copied: Vec<&str> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|rest| !rest.starts_with("--"))
        .flat_map(|rest| rest.split(' ').rev().skip(1))
        .collect();
    assert!(["src", "Cargo.lock", "build.rs"].iter().all(|name| copied.contains(name)), "{copied:?}");
    assert!(dockerfile.contains("ARG WATCHFIRE_REVISION"), "an image has no git folder: its build takes the commit as an argument");
    for name in &copied {
        assert!(root.join(name).exists(), "the Dockerfile copies {name}, which is not there");
    }
    // A target without its path is looked for, and not found there.
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for target in ["[[bench]]", "[[example]]", "[[test]]"].iter().flat_map(|kind| manifest.split(kind).skip(1)) {
        let target = target.split("\n[").next().unwrap();
        assert!(target.lines().any(|line| line.starts_with("path = ")), "a target of Cargo.toml has no `path`: the image cannot be built\n{target}");
    }
    let mut open = vec![root.join("src")];
    let mut embedded = BTreeSet::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path())
                    .filter(|path| !path.ends_with("tests") && !path.ends_with("tests.rs")),
            );
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
        for found in ["include_str!(\"", "include_bytes!(\"", "include_dir!(\""].iter().flat_map(|call| text.split(call).skip(1)) {
            let name = found.split('"').next().unwrap();
            let whole = match name.strip_prefix("$CARGO_MANIFEST_DIR/") {
                Some(name) => root.join(name),
                None => path.parent().unwrap().join(name),
            };
            embedded.insert(whole.canonicalize().unwrap().strip_prefix(root.canonicalize().unwrap()).unwrap().to_owned());
        }
    }
    assert!(embedded.len() >= 4, "{embedded:?}");
    for path in embedded {
        assert!(copied.iter().any(|name| path.starts_with(name)), "the Dockerfile does not copy {}", path.display());
    }
}

/// A change of the sources builds no dependency again, and what the image says of itself is true.
#[test]
fn the_image_keeps_its_dependencies_and_says_what_it_is() {
    let dockerfile = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap();
    let at = |part: &str| dockerfile.find(part).unwrap_or_else(|| panic!("the Dockerfile has no `{part}`"));
    let build = "cargo build --profile dist --locked --bin watchfire";
    let (first, second) = (at(build), dockerfile.rfind(build).unwrap());
    let list = at("COPY Cargo.toml Cargo.lock build.rs");
    assert!(list < first && first < at("COPY src src") && at("COPY src src") < second, "the dependencies are built before the sources are there");
    let between = &dockerfile[first..second];
    assert!(between.contains("ARG WATCHFIRE_REVISION"), "another commit is no other dependency");
    assert!(between.contains("touch src/lib.rs src/main.rs"), "sources from before the first build would be taken for built");
    assert!(at("FROM --platform=$BUILDPLATFORM") < first && at("ARG TARGETARCH") < list, "the compiler is not emulated");
    for (label, value) in [
        ("title", "Watchfire"),
        ("description", env!("CARGO_PKG_DESCRIPTION")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", "$WATCHFIRE_REVISION"),
    ] {
        at(&format!("org.opencontainers.image.{label}=\"{value}\""));
    }
}

#[test]
fn the_files_that_compose_mounts_are_there() {
    let compose: Value = serde_yaml::from_str(&std::fs::read_to_string(deploy("compose.yaml")).unwrap()).unwrap();
    for (name, service) in compose["services"].as_object().unwrap() {
        for volume in service["volumes"].as_array().unwrap() {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            let known = compose["volumes"].get(source).is_some() || deploy(source).exists();
            assert!(known, "{name} mounts {source}, which is neither a volume nor a file");
        }
    }
}

#[test]
fn the_configuration_in_the_manifests_passes_the_check() {
    use serde::Deserialize;
    let text = std::fs::read_to_string(deploy("kubernetes/watchfire.yaml")).unwrap();
    let manifests: Vec<Value> = serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect();
    let kinds: Vec<&str> = manifests.iter().map(|m| m["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ConfigMap", "Service", "StatefulSet", "PodDisruptionBudget"], "a Secret in the file would be one that everybody knows");
    // Every file that the configuration names lies in something that is mounted, and every key of the Secret is made by the commands of the pages.
    let made = ["../docs/install.md", "../docs/install.zh-CN.md"].map(|name| std::fs::read_to_string(deploy(name)).unwrap());
    let pod = &manifests[2]["spec"]["template"]["spec"]["containers"][0];
    let mounts: Vec<&str> = pod["volumeMounts"].as_array().unwrap().iter().map(|mount| mount["mountPath"].as_str().unwrap()).collect();
    let routes = manifests[0]["data"]["routes.yaml"].as_str().unwrap();
    let store = routes.split("sqlite:").nth(1).unwrap().lines().next().unwrap();
    for file in routes.split("file: ").skip(1).map(|rest| rest.split([' ', '}', ',']).next().unwrap()).chain([store]) {
        let (folder, name) = file.rsplit_once('/').unwrap();
        assert!(mounts.contains(&folder), "{file} is in no mount of {mounts:?}");
        let commented = routes.lines().any(|line| line.contains(file) && line.trim_start().starts_with('#'));
        let command = format!("create secret generic watchfire --from-literal={name}=\"$(openssl rand -hex 32)\"");
        let is_made = made.iter().chain([&text]).all(|text| text.split("apply -f deploy/kubernetes").next().unwrap().contains(&command));
        assert!(!folder.ends_with("secrets") || commented || is_made, "nobody makes the key {name} of the Secret");
    }
    for probe in ["readinessProbe", "livenessProbe"] {
        assert!(["/-/ready", "/-/healthy"].contains(&pod[probe]["httpGet"]["path"].as_str().unwrap()), "{probe}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("routes.yaml");
    std::fs::write(&file, manifests[0]["data"]["routes.yaml"].as_str().unwrap()).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_watchfire")).args(["check", "--without-secrets", "--config"]).arg(&file).output().unwrap();
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
}

/// Who is woken by a rule finds the place in the book that says what to do.
#[test]
fn every_rule_says_what_to_do_and_where_it_is_written() {
    let text = std::fs::read_to_string(deploy("prometheus/watchfire.rules.yml")).unwrap();
    assert_eq!(std::fs::read_to_string(deploy("helm/watchfire/files/watchfire.rules.yml")).unwrap(), text, "the chart has the same rules");
    let rules: Value = serde_yaml::from_str(&text).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 12);
    for rule in rules {
        let said = |key: &str| rule["annotations"][key].as_str().unwrap_or_else(|| panic!("{} has no {key}", rule["alert"]));
        assert!(said("description").ends_with('.') && said("description") != said("summary"), "{rule}");
        assert!(said("runbook_url").contains(".html#") && is_in_the_book(said("runbook_url")), "{} is not in the book", said("runbook_url"));
    }
}

/// Whether an address leads to a page of the book, and to a heading of it where it names one.
fn is_in_the_book(url: &str) -> bool {
    let Some(path) = url.strip_prefix("https://watchfire.example.com/book/") else { return false };
    let (page, anchor) = path.split_once('#').map_or((path, None), |(page, anchor)| (page, Some(anchor)));
    let Some(page) = page.strip_suffix(".html") else { return false };
    let page = std::fs::read_to_string(crate::docs_book::root().join(format!("docs/{page}.md")));
    page.is_ok_and(|page| anchor.is_none_or(|anchor| crate::docs_book::anchors(&page).contains(anchor)))
}

/// Who sees something odd on the dashboard finds the place in the book that explains it.
#[test]
fn the_dashboard_leads_into_the_book() {
    let board: Value = serde_json::from_str(&std::fs::read_to_string(deploy("grafana/watchfire.json")).unwrap()).unwrap();
    let url = |link: &Value| link["url"].as_str().unwrap_or_default().to_owned();
    let top: Vec<String> = board["links"].as_array().unwrap().iter().map(url).collect();
    assert!(top.len() >= 3 && top.iter().all(|url| is_in_the_book(url)), "{top:?}");
    for panel in board["panels"].as_array().unwrap() {
        let links: Vec<String> = panel["links"].as_array().into_iter().flatten().map(url).collect();
        assert!(!links.is_empty() && links.iter().all(|url| url.contains('#') && is_in_the_book(url)), "{}: {links:?}", panel["title"]);
    }
    assert!(!is_in_the_book("https://watchfire.example.com/book/alerts.html#nothing"));
}
