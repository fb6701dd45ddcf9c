//! Configurations of senders in the documents, tried as a reader pastes them: Alertmanager's own tool reads every `<!-- alertmanager -->` block alone, and
//! every `<!-- grafana -->` block is a contact point that this server would answer.

use std::fs;
use std::process::Command;

use serde_yaml::Value;

use crate::docs_book::{pages, root};
use crate::docs_examples::blocks;
use crate::support::app::TestApp;
use crate::support::skip::skip;

/// The `yaml` blocks with a mark: where each is, and its text.
fn marked(mark: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for path in pages() {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        for block in blocks(&fs::read_to_string(&path).unwrap()) {
            if block.language == "yaml" && block.mark == mark {
                out.push((format!("{name}:{}", block.line), block.text));
            }
        }
    }
    out
}

/// What `amtool check-config` refuses about a text; `None` where there is no amtool.
fn refused(text: &str) -> Option<Result<(), String>> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("alertmanager.yml"), text).unwrap();
    let out = Command::new("amtool").args(["check-config", "alertmanager.yml"]).current_dir(folder.path()).output().ok()?;
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    Some(if out.status.success() { Ok(()) } else { Err(said) })
}

#[test]
fn every_alertmanager_configuration_passes_amtool_as_it_is_pasted() {
    let all = marked("alertmanager");
    for page in ["README.md", "README.zh-CN.md", "docs/quick-start.md", "docs/quick-start.zh-CN.md", "docs/cookbook.md"] {
        assert!(all.iter().any(|(place, _)| place.starts_with(&format!("{page}:"))), "{page} has no `<!-- alertmanager -->` block");
    }
    let Some(without_route) = refused("receivers: [{ name: watchfire }]\n") else {
        return skip("the package prometheus-alertmanager (amtool)");
    };
    assert!(without_route.is_err_and(|why| why.contains("no routes provided")), "a block without a route would not be found");
    let wrong: Vec<String> = all.into_iter().filter_map(|(place, text)| refused(&text)?.err().map(|why| format!("{place}:\n{why}"))).collect();
    assert!(wrong.is_empty(), "configurations in the documents that Alertmanager refuses:\n{}", wrong.join("\n"));
}

/// The keys of a webhook in a provisioning file:
/// <https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning/>
#[test]
fn every_grafana_configuration_is_a_webhook_with_a_credential_and_a_policy_that_uses_it() {
    let all = marked("grafana");
    assert!(all.len() >= 4, "only {} were found", all.len());
    for (place, text) in all {
        let file: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(file["apiVersion"].as_u64(), Some(1), "{place}");
        let point = &file["contactPoints"][0];
        let receiver = &point["receivers"][0];
        assert_eq!(receiver["type"].as_str(), Some("webhook"), "{place}");
        assert!(receiver["uid"].is_string() && point["orgId"].as_u64() == Some(1), "{place}");
        let settings = &receiver["settings"];
        assert!(settings["url"].as_str().is_some_and(|url| url.ends_with(":9091/webhook/grafana")), "{place}");
        assert_eq!(settings["authorization_scheme"].as_str(), Some("Bearer"), "{place}");
        assert_eq!(settings["authorization_credentials"].as_str(), Some("$WATCHFIRE_TOKEN"), "{place}: the token stays in the environment");
        assert_eq!(file["policies"][0]["receiver"].as_str(), point["name"].as_str(), "{place}: no policy uses the contact point");
    }
}

/// The body of Grafana's documentation, with the header that its webhook makes of the block.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_grafana_is_accepted_with_the_credential_of_each_block() {
    let token = "grafanas-token-0123456789";
    let app = TestApp::start(&format!(
        "server: {{ listen: '127.0.0.1:0', auth: [{{ bearer: {token}, name: grafana, scopes: [webhook] }}] }}\n\
         store: sqlite:watchfire.db\nchannels: {{ terminal: {{ log: {{}} }} }}\nroute: {{ to: [terminal] }}\n"
    ))
    .await;
    let body = fs::read_to_string(root().join("tests/data/bodies/grafana-13.json")).unwrap();
    for (place, text) in marked("grafana") {
        let file: Value = serde_yaml::from_str(&text).unwrap();
        let setting = |name: &str| file["contactPoints"][0]["receivers"][0]["settings"][name].as_str().unwrap();
        let path = setting("url").split_once(":9091").unwrap().1;
        let header = format!("{} {}", setting("authorization_scheme"), setting("authorization_credentials").replace("$WATCHFIRE_TOKEN", token));
        let request = app.http.post(app.url(path)).header("content-type", "application/json").header("authorization", header).body(body.clone());
        assert_eq!(request.send().await.unwrap().status().as_u16(), 200, "{place}");
    }
    let refused = app.http.post(app.url("/webhook/grafana")).body(body).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 401, "the credential decides");
}

/// Commands take `WATCHFIRE_TOKEN` of their environment before what the configuration holds: with a sender's token there they would all be refused.
#[test]
fn no_sender_has_the_variable_that_commands_take_their_token_from() {
    let mut tried = 0;
    for (place, text) in marked("") {
        let file: Value = serde_yaml::from_str(&text).unwrap_or_default();
        for entry in file["server"]["auth"].as_sequence().into_iter().flatten() {
            tried += 1;
            let scopes = entry["scopes"].as_sequence();
            let reads = scopes.is_none_or(|scopes| scopes.iter().any(|scope| scope.as_str() == Some("read")));
            assert!(reads || entry["bearer"]["env"].as_str() != Some("WATCHFIRE_TOKEN"), "{place}: name the sender's token otherwise");
        }
    }
    assert!(tried >= 8, "only {tried} credentials were found");
}

/// What the tutorial adds to `deploy/compose.yaml` is about services that are there, and mounts only what the page has made before.
#[test]
fn what_is_added_to_the_compose_file_fits_it() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let shipped: Value = serde_yaml::from_str(&read("deploy/compose.yaml")).unwrap();
    let page = read("docs/tutorial.md");
    let all: Vec<_> = marked("compose").into_iter().filter(|(place, _)| place.starts_with("docs/tutorial.md:")).collect();
    assert_eq!(all.len(), 1, "the tutorial has one");
    let added: Value = serde_yaml::from_str(&all[0].1).unwrap();
    let mut mounted = 0;
    for (service, about) in added["services"].as_mapping().unwrap() {
        let service = service.as_str().unwrap();
        assert!(shipped["services"][service].is_mapping(), "deploy/compose.yaml has no service `{service}`");
        for volume in about["volumes"].as_sequence().unwrap() {
            let (from, to) = volume.as_str().unwrap().split_once(':').unwrap();
            assert!(to.ends_with(":ro"), "{from} is not read-only");
            let made = from.strip_prefix("../").unwrap();
            assert!(
                page.contains(&format!("`{made}")) || page.contains(&format!("> {made}\n")) || page.contains(&format!("mkdir {made}\n")),
                "{made}"
            );
            mounted += 1;
        }
    }
    assert_eq!(mounted, 4);
    assert!(page.contains(&format!("> {}\n", added["services"]["watchfire"]["env_file"].as_str().unwrap().trim_start_matches("../"))));
}

/// A credential with the scope `metrics` or `admin` closes `/metrics`, as one without `scopes` does: a Prometheus without a token would report that
/// Watchfire is down, and the tutorial's escalation would page somebody.
#[test]
fn prometheus_has_a_token_wherever_the_tutorial_closes_the_metrics() {
    let shipped = fs::read_to_string(root().join("deploy/prometheus/prometheus.yml")).unwrap();
    for name in ["docs/tutorial.md", "docs/tutorial.zh-CN.md"] {
        let page = fs::read_to_string(root().join(name)).unwrap();
        let files: Vec<Value> =
            marked("").iter().filter(|(place, _)| place.starts_with(name)).map(|(_, text)| serde_yaml::from_str(text).unwrap()).collect();
        let credentials: Vec<&Value> = files.iter().filter_map(|file| file["server"]["auth"].as_sequence()).flatten().collect();
        let has = |entry: &Value, scope: &str| entry["scopes"].as_sequence().is_none_or(|all| all.iter().any(|one| one.as_str() == Some(scope)));
        assert!(credentials.iter().any(|entry| has(entry, "metrics") || has(entry, "admin")), "{name} leaves the metrics open");

        let script = page.lines().find(|line| line.starts_with("sed ") && line.ends_with(" deploy/prometheus/prometheus.yml")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("deploy/prometheus")).unwrap();
        fs::write(folder.path().join("deploy/prometheus/prometheus.yml"), &shipped).unwrap();
        let done = Command::new("sh").args(["-e", "-c", script]).current_dir(folder.path()).status().unwrap();
        assert!(done.success(), "{name}: {script}");
        let changed: Value = serde_yaml::from_str(&fs::read_to_string(folder.path().join("deploy/prometheus/prometheus.yml")).unwrap()).unwrap();
        let jobs = changed["scrape_configs"].as_sequence().unwrap();
        let job = jobs.iter().find(|job| job["job_name"].as_str() == Some("watchfire")).unwrap();
        let token = job["authorization"]["credentials_file"].as_str().unwrap();

        let (_, added) = marked("compose").into_iter().find(|(place, _)| place.starts_with(name)).unwrap();
        let added: Value = serde_yaml::from_str(&added).unwrap();
        let volume = added["services"]["prometheus"]["volumes"][0].as_str().unwrap();
        assert_eq!(volume, format!("../mine/token:{token}:ro"), "{name}");
        assert!(page.contains("ALERTMANAGER_TOKEN=%s") && page.contains("\"$(cat mine/token)\""), "{name}: whose token is it?");
        let holder = credentials.iter().find(|entry| entry["bearer"]["env"].as_str() == Some("ALERTMANAGER_TOKEN")).unwrap();
        assert!(has(holder, "metrics"), "{name}: the token does not open the metrics");
    }
}

/// Alertmanager repeats an alert every four hours unless its route says otherwise: a heartbeat would be missing all the time.
#[test]
fn whatever_sends_to_a_heartbeat_repeats_it_in_time() {
    let heartbeats = |file: &Value| file["heartbeats"].is_sequence();
    let with_heartbeats: Vec<String> = marked("")
        .into_iter()
        .filter(|(_, text)| serde_yaml::from_str::<Value>(text).is_ok_and(|file| heartbeats(&file)))
        .map(|(place, _)| place.split(':').next().unwrap().to_owned())
        .collect();
    let mut tried = 0;
    for (mark, repeat) in [("alertmanager", "repeat_interval"), ("kubernetes", "repeatInterval")] {
        for (place, text) in marked(mark).into_iter().filter(|(place, _)| with_heartbeats.iter().any(|page| place.starts_with(&format!("{page}:")))) {
            let file: Value = serde_yaml::from_str(&text).unwrap();
            let route = if mark == "alertmanager" { &file["route"] } else { &file["spec"]["route"] };
            let routes = route["routes"].as_sequence().unwrap_or_else(|| panic!("{place}: no route for the Watchdog"));
            let is_in_time = |route: &Value| {
                serde_yaml::to_string(&route["matchers"]).is_ok_and(|text| text.contains("Watchdog")) && route[repeat].as_str() == Some("1m")
            };
            assert!(routes.iter().any(is_in_time), "{place}: the Watchdog is not repeated every minute");
            tried += 1;
        }
    }
    assert!(tried >= 6, "only {tried} were found");
}
