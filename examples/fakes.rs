//! All fake platforms as one process, for end-to-end tests from a shell:
//! `cargo run --example fakes -- [--port 19100] [--unpaced]`. The control port is the first one; `GET /` on it explains.
//! The first line of output is JSON: what listens where, with which credentials.

use std::sync::Arc;

#[path = "../tests/it/support/fakes/mod.rs"]
mod fakes;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut unpaced) = (19_100_u16, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--port" => port = args.next().ok_or("--port needs a number")?.parse()?,
            "--unpaced" => unpaced = true,
            other => return Err(format!("unknown argument {other}; known: --port N, --unpaced").into()),
        }
    }
    let fleet = Arc::new(fakes::Fleet::start(if port == 0 { 0 } else { port + 1 }).await?);
    if unpaced {
        fleet.unpaced();
    }
    let control = fleet.clone().control(port).await?;
    println!("{}", serde_json::json!({ "control": format!("http://{control}"), "fakes": fleet.describe() }));
    tokio::signal::ctrl_c().await?;
    Ok(())
}
