//! Golden mistakes: `tests/check/NN_name.yaml` holds one mistake (or a few of a kind), `NN_name.txt` exactly what `check` says about it.
//! `UPDATE=1 cargo test --test check` writes the second again; read the difference before committing it.
//!
//! First-line options: `# options: without-secrets listen=0.0.0.0:80`. The environment holds `TOKEN` and `EMPTY`, nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use watchfire::config::{LoadOptions, codes, from_text, load, render};
use watchfire::model::{Finding, Level};

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir("tests/check").unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    cases.sort();
    cases
}

fn options(text: &str) -> LoadOptions {
    let line = text.lines().next().and_then(|line| line.strip_prefix("# options: ")).unwrap_or_default();
    let mut options = LoadOptions {
        env: Arc::new(|name| match name {
            "TOKEN" => Some("xoxb-placed-in-the-environment-1".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }),
        ..LoadOptions::default()
    };
    for word in line.split_whitespace() {
        match word.split_once('=') {
            None if word == "without-secrets" => options.secrets = false,
            Some(("listen", address)) => options.listen = Some(address.into()),
            _ => panic!("unknown option {word}"),
        }
    }
    options
}

fn findings(path: &Path) -> (Vec<Finding>, bool) {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    match load(path, &options(&text)) {
        Ok(loaded) => (loaded.findings, true),
        Err(findings) => (findings, false),
    }
}

#[test]
fn every_mistake_is_told_as_written_down() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let (findings, usable) = findings(&case);
        let told = format!("{}{}", render::report(&findings), if usable { "usable\n" } else { "" });
        assert_eq!(usable, findings.iter().all(|f| f.level == Level::Warning), "{}", case.display());
        let golden = case.with_extension("txt");
        if update {
            fs::write(&golden, &told).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != told {
            wrong.push(format!("--- {} now says:\n{told}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 writes these down", wrong.join("\n"));
}

/// The shipped file with its examples switched on: one `#` and a space are removed, explanations (`##`) stay.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.split_once("# ") {
        Some((indent, rest)) if indent.trim().is_empty() && !rest.starts_with("yaml-language-server") => format!("{indent}{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn the_shipped_file_works_without_credentials() {
    let nothing = LoadOptions { env: Arc::new(|_| None), ..LoadOptions::default() };
    let loaded = load(Path::new("routes.yaml"), &nothing).unwrap_or_else(|findings| panic!("{}", render::report(&findings)));
    assert_eq!(loaded.findings, []);
    assert_eq!(loaded.server.listen.to_string(), "127.0.0.1:9091");
    assert_eq!(loaded.plan.channels.keys().collect::<Vec<_>>(), ["terminal"]);
}

#[test]
fn the_examples_in_the_shipped_file_are_true() {
    let text = uncommented(&fs::read_to_string("routes.yaml").unwrap());
    let loaded = from_text(Path::new("routes.yaml"), &text, &LoadOptions::without_secrets())
        .unwrap_or_else(|findings| panic!("{}", render::report(&findings)));
    // It shows every platform, and no route leads to most of them.
    let findings: Vec<Finding> = loaded.findings.into_iter().filter(|finding| finding.code != codes::UNREACHED_CHANNEL).collect();
    assert_eq!(render::report(&findings), "");
    let schema = watchfire::config::schema();
    // Files to include are not shipped.
    for key in schema["properties"].as_object().unwrap().keys().filter(|key| *key != "include") {
        assert!(text.lines().any(|line| line.starts_with(&format!("{key}:"))), "no example for {key}");
    }
}

/// The channels of the shipped file are the platforms' examples.
#[test]
fn the_shipped_file_shows_the_example_of_every_platform() {
    for platform in watchfire::channel::PLATFORMS {
        assert!(!platform.example.trim().is_empty(), "{} has no example: write src/channel/{0}/example.yaml", platform.name);
    }
    let text = fs::read_to_string("routes.yaml").unwrap();
    let (before, rest) = text.split_once("\nchannels:\n").expect("routes.yaml has channels");
    let (_, after) = rest.split_once("\n## The first route").expect("routes.yaml explains the first route");
    let wanted = format!("{before}\nchannels:\n{}\n## The first route{after}", watchfire::config::example_channels());
    if std::env::var_os("UPDATE").is_some() {
        fs::write("routes.yaml", &wanted).unwrap();
    }
    assert!(fs::read_to_string("routes.yaml").unwrap() == wanted, "routes.yaml is out of date; UPDATE=1 writes it");
}

#[test]
fn no_message_holds_a_secret() {
    for case in cases() {
        let (findings, _) = findings(&case);
        let all = format!("{}{}{findings:?}", render::report(&findings), render::json(&findings));
        for secret in ["hunter2", "hunter3", "SEC0123456789", "xoxb-placed-in-the-environment-1"] {
            assert!(!all.contains(secret), "{} shows {secret}:\n{all}", case.display());
        }
    }
}

#[test]
fn every_error_code_is_explained_and_most_have_a_case() {
    let mut seen: Vec<&str> = Vec::new();
    for case in cases() {
        let (findings, _) = findings(&case);
        assert!(
            case.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("00")) || !findings.is_empty(),
            "{} finds nothing",
            case.display()
        );
        for finding in findings {
            assert!(codes::explain(finding.code).is_some(), "{} is not in the list of codes", finding.code);
            assert!(!finding.label.is_empty(), "{}: `{}` does not say what to do", case.display(), finding.message);
            seen.push(finding.code);
        }
    }
    let without: Vec<&str> = codes::ALL.iter().map(|code| code.code).filter(|code| !seen.contains(code)).collect();
    let elsewhere = ["E042", "E043", "E044", "E046", "E047", "E050", "E056", "E060", "E061", "E062", "E063", "W117"];
    assert_eq!(without, elsewhere, "codes without a case: templates, the import, stored bodies and asked platforms have their own tests");
}

/// What an editor says by the schema: nothing about files that work, something about files whose shape is wrong.
#[test]
fn the_schema_takes_what_works_and_refuses_what_does_not() {
    let validator = jsonschema::validator_for(&serde_json::from_str(&watchfire::config::schema_text()).unwrap()).unwrap();
    let value = |text: &str| {
        let mut value: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
        value.apply_merge().unwrap();
        serde_json::to_value(value).unwrap()
    };
    let all: Vec<String> = watchfire::channel::PLATFORMS.iter().map(|platform| platform.name.to_owned()).collect();
    let mut fine = vec![fs::read_to_string("routes.yaml").unwrap(), watchfire::config::first(&all).unwrap().text];
    fine.extend(fine.clone().iter().map(|text| uncommented(text)));
    for entry in fs::read_dir("tests/data/import").unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".routes.yaml") {
            fine.push(fs::read_to_string(path).unwrap());
        }
    }
    assert!(fine.len() >= 9);
    for text in fine {
        let value = value(&text);
        let wrong: Vec<String> = validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(wrong, Vec::<String>::new(), "{text}");
    }
    for name in ["07_unknown_keys", "08_mistyped_platform", "09_wrong_types", "13_words"] {
        let text = fs::read_to_string(format!("tests/check/{name}.yaml")).unwrap();
        assert!(!validator.is_valid(&value(&text)), "{name}");
    }
}

/// Editors read it by the first line of the shipped file.
#[test]
fn the_published_schema_is_the_one_in_use() {
    let path = "docs/routes.schema.json";
    let text = watchfire::config::schema_text();
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all("docs").unwrap();
        fs::write(path, &text).unwrap();
    }
    assert!(fs::read_to_string(path).unwrap_or_default() == text, "{path} is out of date; UPDATE=1 writes it");
}
