//! The page On call: who, until when, and overrides by form; and the commands `oncall`.

use std::process::Command;

use reqwest::StatusCode;
use serde_json::json;

use super::{Browser, HOSTILE, READER, ROOT, TEAM, guarded, hidden};
use crate::support::app::TestApp;

const PLAIN: &str =
    "server: { listen: \"127.0.0.1:0\" }\nstore: sqlite:watchfire.db\nchannels: { terminal: { log: {} } }\nroute: { to: [terminal] }\n";
const ROTAS: &str = "people:\n  ann: { mobile: \"+4915112345678\" }\n  bob: { email: bob@example.com }\nrotas:\n  db: { zone: Asia/Shanghai, handoff: \"monday 10:00\", start: 2026-11-02, people: [ann, bob] }\n  later: { handoff: \"monday 10:00\", start: 2026-12-07, people: [bob] }\n";

async fn start(routes: &str) -> TestApp {
    let at: jiff::Timestamp = "2026-11-24T03:00:00Z".parse().unwrap();
    let clock = watchfire::delivery::Clock::runtime(at.into());
    TestApp::start_with(routes, |options| options.clock = clock).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_call_is_shown_overridden_and_handed_back() {
    let app = start(&format!("{}{ROTAS}", guarded())).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    let page = ann.page("/ui/oncall").await;
    assert!(page.contains("Nobody for later until Mon 7 Dec 10:00"), "the first hole: {page}");
    // Three weeks after the first handoff it is bob's turn.
    assert!(page.contains("<p class=\"person\">bob</p>") && page.contains("until Mon 30 Nov 10:00, then ann"), "{page}");
    assert!(page.contains("class=\"hole\" colspan=\"29\"") && page.contains("class=\"cur\""), "{page}");
    // Somebody else steps in, in the rota's zone, as browsers send local times.
    let form = [("rota", "db"), ("person", "ann"), ("from", ""), ("until", "2026-11-25T18:00"), ("reason", HOSTILE)];
    let done = ann.post("/ui/oncall/overrides", &form).await;
    assert_eq!((done.status(), done.headers()["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/ui/oncall"));
    let page = ann.page("/ui/oncall").await;
    assert!(page.contains("<p class=\"person\">ann</p>") && page.contains("until Wed 25 Nov 18:00 by an override, then bob"), "{page}");
    assert!(page.contains("class=\"ovr\" colspan=\"3\""), "{page}");
    assert!(page.contains("&lt;script&gt;") && page.contains("U+202E"), "{page}");
    let calendar = ann.get("/ui/oncall/people/ann/calendar.ics").await;
    assert_eq!(calendar.headers()["content-type"], "text/calendar; charset=utf-8");
    assert!(calendar.text().await.unwrap().contains("DTEND:20261125T100000Z"));
    assert_eq!(ann.get("/ui/oncall/rotas/none/calendar.ics").await.status(), StatusCode::NOT_FOUND);
    // A calendar that subscribes knows its address, and nothing else.
    let key = page.split("/api/v1/oncall/people/ann/calendar.ics?k=").nth(1).and_then(|rest| rest.get(..24)).expect("the address");
    let read = async |path: String| app.http.get(app.url(&format!("/api/v1/oncall/{path}"))).send().await.unwrap();
    let subscribed = read(format!("people/ann/calendar.ics?k={key}")).await;
    assert_eq!(subscribed.status(), StatusCode::OK);
    assert!(subscribed.text().await.unwrap().contains("DTEND:20261125T100000Z"));
    for path in [format!("people/bob/calendar.ics?k={key}"), format!("rotas/db/calendar.ics?k={key}"), "people/ann/calendar.ics".to_owned()] {
        assert_eq!(read(path.clone()).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(read(format!("rotas/db?k={key}")).await.status(), StatusCode::UNAUTHORIZED, "it opens nothing else");
    for (field, value) in [("rota", "none"), ("person", "eve"), ("until", "soon"), ("until", "2020-01-01T00:00")] {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, known)| (*name, if *name == field { value } else { *known })).collect();
        assert!(ann.post("/ui/oncall/overrides", &form).await.status().is_client_error(), "{field}={value}");
    }
    assert_eq!(ann.post("/ui/oncall/overrides/1/end", &[]).await.headers()["location"], "/ui/oncall");
    assert!(ann.page("/ui/oncall").await.contains("<p class=\"person\">bob</p>"));
    assert_eq!(ann.post("/ui/oncall/overrides/1/end", &[]).await.status(), StatusCode::NOT_FOUND);
    let audit = ann.page("/ui/audit").await;
    for told in ["override", "ann in db from", "end override", "override 1", "Refused"] {
        assert!(audit.contains(told), "{told}: {audit}");
    }
    let mut reader = Browser::of(&app);
    reader.log_in("", READER).await;
    let page = reader.page("/ui/oncall").await;
    assert!(!page.contains("/ui/oncall/overrides\""), "no form that does not work: {page}");
    assert_eq!(reader.post("/ui/oncall/overrides", &form).await.status(), StatusCode::FORBIDDEN);
    let mut team = Browser::of(&app);
    team.log_in("", TEAM).await;
    assert_eq!(team.get("/ui/oncall").await.status(), StatusCode::FORBIDDEN);
    assert!(hidden(&page).iter().all(|(name, _)| name == "back"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_call_is_on_the_first_page_and_where_nobody_is_the_page_says_how_to_begin() {
    let app = start(&format!("{}{ROTAS}", guarded())).await;
    let mut root = Browser::of(&app);
    root.log_in("", ROOT).await;
    super::fire(&app, Some(ROOT), &crate::support::app::alert("ours", "First", "firing")).await;
    let page = root.page("/ui").await;
    assert!(page.contains("<b>bob</b> <span class=\"dim\">db</span>") && page.contains("until Mon 30 Nov 10:00"), "{page}");
    // Who has a name that people read is called by it, wherever the page says who is on call.
    let named = start(&format!("{}{}", guarded(), ROTAS.replace("bob: { email", "bob: { name: 王小明, email"))).await;
    let mut root = Browser::of(&named);
    root.log_in("", ROOT).await;
    super::fire(&named, Some(ROOT), &crate::support::app::alert("ours", "First", "firing")).await;
    assert!(root.page("/ui").await.contains("<b>王小明</b> <span class=\"dim\">db</span>"));
    let page = root.page("/ui/oncall").await;
    assert!(page.contains("<p class=\"person\">王小明</p>") && page.contains("<option value=\"bob\">王小明</option>"), "{page}");
    assert!(!page.contains(">bob<"), "{page}");
    let without = start(&guarded()).await;
    let mut root = Browser::of(&without);
    root.log_in("", ROOT).await;
    let page = root.page("/ui/oncall").await;
    assert!(page.contains("No rota") && page.contains("rotas:"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_until_a_time_of_day_ends_after_it_begins() {
    let app = start(&format!("{PLAIN}{ROTAS}")).await;
    let request = json!({ "rota": "db", "person": "ann", "from": "2026-11-26 22:00", "until": "06:00" });
    let (status, made) = app.post("/api/v1/oncall/overrides", &request).await;
    assert_eq!(
        (status, made["text"].as_str()),
        (200, Some("override 1: ann is on call in db from 2026-11-26T14:00:00Z until 2026-11-26T22:00:00Z")),
        "{made}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_say_who_is_on_call_and_make_and_end_overrides() {
    let app = start(&format!("{PLAIN}{ROTAS}")).await;
    let (address, folder) = (app.app.address.to_string(), app.folder.path().to_owned());
    let run = async |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(["--listen", &address, "oncall"]).args(args).current_dir(&folder);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let db = async |args: &[&str]| run(args).await.lines().find_map(|line| line.strip_prefix("db ")).unwrap().trim().to_owned();
    let planned = "bob until 2026-11-30 10:00 Asia/Shanghai, then ann until 2026-12-07 10:00 Asia/Shanghai";
    assert_eq!(db(&[]).await, planned);
    assert_eq!(run(&["overrides"]).await, "there are no overrides\n");
    let swap = ["override", "db", "ann", "--from", "2026-11-25 18:00", "--until", "2026-11-26 06:00", "--reason", "swap"];
    assert_eq!(run(&swap).await, "override 1: ann is on call in db from 2026-11-25T10:00:00Z until 2026-11-25T22:00:00Z\n");
    for (at, said) in [
        ("2026-11-25T09:59:59Z", "bob until 2026-11-25 18:00 Asia/Shanghai, then ann (override 1) until 2026-11-26 06:00 Asia/Shanghai"),
        ("2026-11-25T10:00:00Z", "ann (override 1) until 2026-11-26 06:00 Asia/Shanghai, then bob until 2026-11-30 10:00 Asia/Shanghai"),
    ] {
        assert_eq!(db(&["--at", at]).await, said, "{at}");
    }
    let listed = run(&["overrides"]).await;
    let words: Vec<&str> = listed.split_whitespace().collect();
    assert_eq!(words[..7], ["1", "db", "ann", "2026-11-25", "10:00:00Z", "2026-11-25", "22:00:00Z"], "{listed}");
    assert!(listed.ends_with(" swap\n") && listed.lines().count() == 1, "{listed}");
    assert_eq!(run(&["rm", "1"]).await, "override 1 is ended\n");
    assert_eq!(db(&["--at", "2026-11-25T10:00:00Z"]).await, planned);
    let address_of_ann = run(&["calendar", "ann"]).await;
    assert!(address_of_ann.starts_with("/api/v1/oncall/people/ann/calendar.ics?k="), "{address_of_ann}");
}
