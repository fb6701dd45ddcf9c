//! What commands say where there is nothing to show, a name is mistyped, or nobody answers.

use std::process::Command;

use crate::support::app::TestApp;

const ROUTES: &str = "server: { listen: '127.0.0.1:0' }\nstore: sqlite:watchfire.db\nchannels: { ops: { log: {} }, night: { log: {} } }\nroute: { to: [ops, night] }\n";

/// What a command prints in an empty folder, and whether it is content.
async fn run(args: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.args(args).current_dir(folder.path()).env_clear().env("HOME", folder.path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_and_a_mistyped_name_are_said_in_a_line() {
    let app = TestApp::start(ROUTES).await;
    let url = app.url("");
    for (args, said) in [
        (&["events", "ls", "--unrouted"][..], "no events match\n"),
        (&["incidents", "ls", "--state", "stale"], "no incidents match\n"),
        (&["audit", "ls", "--person", "nobody"], "no acts match\n"),
        (&["queue", "ls", "--channel", "night"], "no deliveries match\n"),
        (&["queue", "ls", "--channel", "nigth"], "no deliveries match: there is no channel `nigth`; did you mean `night`?\n"),
    ] {
        assert_eq!(run(&[args, &["--server", &url]].concat()).await, (true, said.to_owned()), "{args:?}");
    }
    for list in ["queue", "events", "incidents", "audit"] {
        let (fine, said) = run(&[list, "ls", "--since", "5m", "--until", "10m", "--server", &url]).await;
        assert!(!fine && said.contains("`since` is not before `until`"), "{list}: {said}");
    }
    let (fine, said) = run(&["drill", "escalation", "nights", "--server", &url]).await;
    assert!(!fine && said.contains("there is no escalation `nights`; none is defined in routes.yaml"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_said_with_what_to_do() {
    let app = TestApp::start(ROUTES).await;
    let tls = app.url("").replace("http:", "https:");
    let nobody = "http://127.0.0.1:1";
    for (server, why) in [(tls.as_str(), "it speaks plain HTTP there; write its address with http://"), (nobody, "nothing listens there")] {
        assert_eq!(run(&["queue", "ls", "--server", server]).await, (false, format!("the server at {server} did not answer: {why}\n")));
    }
    // A web server of another kind, and the page of a login.
    for status in [200, 404] {
        let page = move || async move { (axum::http::StatusCode::from_u16(status).unwrap(), "\n<!DOCTYPE html><p>hello") };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(page)).await });
        for args in [&["queue", "ls"][..], &["status"]] {
            let (fine, said) = run(&[args, &["--server", &server]].concat()).await;
            let words = format!("what answers at {server} is not Watchfire, but a web page (HTTP {status})");
            assert!(!fine && said.contains(&words) && !said.contains("hello"), "{said}");
        }
        served.abort();
    }
    let (fine, said) = run(&["queue", "ls"]).await;
    assert!(!fine && said.starts_with("routes.yaml cannot be read: it does not exist;") && said.contains("--server URL"), "{said}");
}
