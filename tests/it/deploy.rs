//! What lies in `deploy/` is checked by the programs it is for, and against what the server really exports.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

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
            assert!(std::env::var_os("WATCHFIRE_CI").is_none(), "{program}: {error}");
            println!("SKIPPED: install the packages prometheus and prometheus-alertmanager to run this test");
        }
    }
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

#[test]
fn dashboard_and_rules_ask_only_for_metrics_that_are_exported() {
    // A family is only written once it has a sample: one of each.
    let metrics = watchfire::metrics::Metrics::new();
    metrics.received("alertmanager", "accepted");
    metrics.delivered("slack", "ops", "sent", 1);
    metrics.attempt("slack", std::time::Duration::from_millis(1));
    metrics.merged("ops", 2);
    metrics.render_fallback("slack", "ops");
    metrics.queue("ops", "waiting", 1);
    metrics.oldest("ops", std::time::Duration::ZERO);
    metrics.outlet("ops", std::time::Duration::ZERO, false);
    metrics.month("ops", 1);
    metrics.alarm("WatchfireDisk");
    let text = metrics.text();
    let described: BTreeSet<String> =
        text.lines().filter_map(|l| l.strip_prefix("# TYPE ")).filter_map(|l| l.split(' ').next()).map(str::to_owned).collect();
    let rules = std::fs::read_to_string(deploy("prometheus/watchfire.rules.yml")).unwrap();
    let board: Value = serde_json::from_str(&std::fs::read_to_string(deploy("grafana/watchfire.json")).unwrap()).unwrap();
    let mut wanted = metrics_in(&rules);
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            wanted.extend(metrics_in(target["expr"].as_str().unwrap()));
        }
    }
    assert!(wanted.len() > 10, "{wanted:?}");
    for name in wanted {
        let base = ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        assert!(described.contains(base) || described.contains(&name), "{name} is not among {described:?}");
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
    assert_eq!(kinds, ["ConfigMap", "Secret", "Service", "StatefulSet", "PodDisruptionBudget"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("routes.yaml");
    std::fs::write(&file, manifests[0]["data"]["routes.yaml"].as_str().unwrap()).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_watchfire")).args(["check", "--without-secrets", "--config"]).arg(&file).output().unwrap();
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
}
